using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>Datums of the types that only catalogs use much: name and "char".</summary>
public static class CatalogDatum
{
    /// <summary>Bytes of a name, its terminating zero included (NAMEDATALEN).</summary>
    public const int NameLength = 64;

    public static Datum FromChar(char c) => Datum.FromInt16((sbyte)c);

    /// <summary>A name padded with zeros to 64 bytes.</summary>
    /// <exception cref="PgException">42622: longer than 63 bytes; the parser cuts identifiers before they come here.</exception>
    public static Datum FromName(string name)
    {
        var bytes = new byte[NameLength];
        if (!Encoding.UTF8.TryGetBytes(name, bytes.AsSpan(0, NameLength - 1), out _))
        {
            throw new PgException(SqlStates.NameTooLong, "identifier too long") { Detail = "Identifier must be less than 64 characters." };
        }

        return Datum.FromBytes(bytes);
    }
}
