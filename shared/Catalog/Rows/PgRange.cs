using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_range: a range type. Properties are the columns, in order.</summary>
public sealed record PgRange : ICatalogRow<PgRange>
{
    public Oid RngTypId { get; init; }
    public Oid RngSubtype { get; init; }
    public Oid RngMultiTypId { get; init; }
    public Oid RngCollation { get; init; }
    public Oid RngSubOpc { get; init; }
    public Oid RngCanonical { get; init; }
    public Oid RngSubDiff { get; init; }

    public static PgRange Read(ReadOnlySpan<Datum> v) => new()
    {
        RngTypId = v[0].Oid,
        RngSubtype = v[1].Oid,
        RngMultiTypId = v[2].Oid,
        RngCollation = v[3].Oid,
        RngSubOpc = v[4].Oid,
        RngCanonical = v[5].Oid,
        RngSubDiff = v[6].Oid,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(RngTypId);
        v[1] = Datum.FromOid(RngSubtype);
        v[2] = Datum.FromOid(RngMultiTypId);
        v[3] = Datum.FromOid(RngCollation);
        v[4] = Datum.FromOid(RngSubOpc);
        v[5] = Datum.FromOid(RngCanonical);
        v[6] = Datum.FromOid(RngSubDiff);
    }
}
