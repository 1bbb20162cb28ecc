using System.Globalization;
using System.Text;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Names that PostgreSQL makes up (makeObjectName): parts joined by underscores, cut to 63 bytes by shortening the longer of the first two.</summary>
public static class ObjectNames
{
    private const int MaxBytes = CatalogDatum.NameLength - 1;

    public static string Make(string name1, string? name2, string? label)
    {
        int overhead = (name2 is null ? 0 : 1) + (label is null ? 0 : 1 + Encoding.UTF8.GetByteCount(label));
        int length1 = Encoding.UTF8.GetByteCount(name1), length2 = name2 is null ? 0 : Encoding.UTF8.GetByteCount(name2);
        while (length1 + length2 + overhead > MaxBytes)
        {
            if (length1 > length2)
            {
                length1--;
            }
            else
            {
                length2--;
            }
        }

        var name = new StringBuilder(Cut(name1, length1));
        if (name2 is not null)
        {
            name.Append('_').Append(Cut(name2, length2));
        }

        return label is null ? name.ToString() : name.Append('_').Append(label).ToString();
    }

    /// <summary>The first of label, label1, label2 ... whose name is not taken.</summary>
    public static string Choose(string name1, string? name2, string? label, Func<string, bool> taken)
    {
        string name = Make(name1, name2, label);
        for (int pass = 1; taken(name); pass++)
        {
            name = Make(name1, name2, string.Create(CultureInfo.InvariantCulture, $"{label}{pass}"));
        }

        return name;
    }

    /// <summary>At most so many bytes, without cutting a character in two.</summary>
    internal static string Cut(string s, int bytes)
    {
        while (Encoding.UTF8.GetByteCount(s) > bytes)
        {
            s = s[..^(s.Length > 1 && char.IsLowSurrogate(s[^1]) ? 2 : 1)];
        }

        return s;
    }
}
