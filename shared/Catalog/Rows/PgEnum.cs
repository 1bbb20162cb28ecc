using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_enum: a label of an enum. Properties are the columns, in order.</summary>
public sealed record PgEnum : ICatalogRow<PgEnum>
{
    public Oid Oid { get; init; }
    public Oid EnumTypId { get; init; }
    public float EnumSortOrder { get; init; }
    public string EnumLabel { get; init; } = "";

    public static PgEnum Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        EnumTypId = v[1].Oid,
        EnumSortOrder = v[2].Single,
        EnumLabel = v[3].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = Datum.FromOid(EnumTypId);
        v[2] = Datum.FromSingle(EnumSortOrder);
        v[3] = CatalogDatum.FromName(EnumLabel);
    }
}
