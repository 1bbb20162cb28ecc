using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_am: an access method. Properties are the columns, in order.</summary>
public sealed record PgAm : ICatalogRow<PgAm>
{
    public Oid Oid { get; init; }
    public string AmName { get; init; } = "";
    public Oid AmHandler { get; init; }
    public char AmType { get; init; }

    public static PgAm Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        AmName = v[1].AsText(),
        AmHandler = v[2].Oid,
        AmType = (char)(byte)v[3].Bits,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(AmName);
        v[2] = Datum.FromOid(AmHandler);
        v[3] = CatalogDatum.FromChar(AmType);
    }
}
