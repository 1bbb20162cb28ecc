using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace SharedStorage.Primitives;

/// <summary>
/// A byte position in the log (PostgreSQL's XLogRecPtr). Zero means "none". Written as two hexadecimal halves, "0/16B3740".
/// </summary>
public readonly record struct Lsn(ulong Value) : IComparable<Lsn>
{
    public const int Size = sizeof(ulong);

    public static readonly Lsn Invalid = new(0);
    public static readonly Lsn Max = new(ulong.MaxValue);

    public bool IsValid => Value != 0;

    public static bool operator <(Lsn a, Lsn b) => a.Value < b.Value;
    public static bool operator >(Lsn a, Lsn b) => a.Value > b.Value;
    public static bool operator <=(Lsn a, Lsn b) => a.Value <= b.Value;
    public static bool operator >=(Lsn a, Lsn b) => a.Value >= b.Value;

    /// <summary>The position <paramref name="bytes"/> bytes further on.</summary>
    public static Lsn operator +(Lsn a, ulong bytes) => new(a.Value + bytes);

    /// <summary>The distance in bytes; <paramref name="a"/> must not lie before <paramref name="b"/>.</summary>
    public static ulong operator -(Lsn a, Lsn b) => a.Value - b.Value;

    public static Lsn Min(Lsn a, Lsn b) => a < b ? a : b;
    public static Lsn MaxOf(Lsn a, Lsn b) => a > b ? a : b;

    public int CompareTo(Lsn other) => Value.CompareTo(other.Value);

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{(uint)(Value >> 32):X}/{(uint)Value:X}");

    public static bool TryParse([NotNullWhen(true)] string? text, out Lsn lsn)
    {
        lsn = Invalid;
        int slash = text?.IndexOf('/') ?? -1;
        if (slash is < 1 or > 8 || text!.Length - slash - 1 is < 1 or > 8)
        {
            return false;
        }

        if (!uint.TryParse(text.AsSpan(0, slash), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint high)
            || !uint.TryParse(text.AsSpan(slash + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint low))
        {
            return false;
        }

        lsn = new Lsn(((ulong)high << 32) | low);
        return true;
    }

    /// <exception cref="FormatException">The text is not two hexadecimal numbers with a slash between.</exception>
    public static Lsn Parse(string text) =>
        TryParse(text, out Lsn lsn) ? lsn : throw new FormatException($"invalid LSN: \"{text}\"");
}
