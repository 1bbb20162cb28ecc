using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_cast: a cast. Properties are the columns, in order.</summary>
public sealed record PgCast : ICatalogRow<PgCast>
{
    public Oid Oid { get; init; }
    public Oid CastSource { get; init; }
    public Oid CastTarget { get; init; }
    public Oid CastFunc { get; init; }
    public char CastContext { get; init; }
    public char CastMethod { get; init; }

    public static PgCast Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        CastSource = v[1].Oid,
        CastTarget = v[2].Oid,
        CastFunc = v[3].Oid,
        CastContext = (char)(byte)v[4].Bits,
        CastMethod = (char)(byte)v[5].Bits,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = Datum.FromOid(CastSource);
        v[2] = Datum.FromOid(CastTarget);
        v[3] = Datum.FromOid(CastFunc);
        v[4] = CatalogDatum.FromChar(CastContext);
        v[5] = CatalogDatum.FromChar(CastMethod);
    }
}
