using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_tablespace: a tablespace. Properties are the columns, in order.</summary>
public sealed record PgTablespace : ICatalogRow<PgTablespace>
{
    public Oid Oid { get; init; }
    public string SpcName { get; init; } = "";
    public Oid SpcOwner { get; init; }
    public byte[]? SpcAcl { get; init; }
    public string[]? SpcOptions { get; init; }

    public static PgTablespace Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        SpcName = v[1].AsText(),
        SpcOwner = v[2].Oid,
        SpcAcl = v[3].IsNull ? null : v[3].Bytes,
        SpcOptions = v[4].IsNull ? null : ArrayCodec.ReadTexts(v[4]),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(SpcName);
        v[2] = Datum.FromOid(SpcOwner);
        v[3] = SpcAcl is null ? Datum.Null : Datum.FromBytes(SpcAcl);
        v[4] = SpcOptions is null ? Datum.Null : ArrayCodec.Texts(SpcOptions);
    }
}
