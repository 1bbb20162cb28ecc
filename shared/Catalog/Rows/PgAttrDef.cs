using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_attrdef: the default or generation expression of a column. Properties are the columns, in order.</summary>
public sealed record PgAttrDef : ICatalogRow<PgAttrDef>
{
    public Oid Oid { get; init; }
    public Oid AdRelId { get; init; }
    public short AdNum { get; init; }
    public string AdBin { get; init; } = "";

    public static PgAttrDef Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        AdRelId = v[1].Oid,
        AdNum = v[2].Int16,
        AdBin = v[3].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = Datum.FromOid(AdRelId);
        v[2] = Datum.FromInt16(AdNum);
        v[3] = Datum.FromText(AdBin);
    }
}
