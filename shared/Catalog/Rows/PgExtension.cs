using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_extension: an extension. Properties are the columns, in order.</summary>
public sealed record PgExtension : ICatalogRow<PgExtension>
{
    public Oid Oid { get; init; }
    public string ExtName { get; init; } = "";
    public Oid ExtOwner { get; init; }
    public Oid ExtNamespace { get; init; }
    public bool ExtRelocatable { get; init; }
    public string ExtVersion { get; init; } = "";
    public Oid[]? ExtConfig { get; init; }
    public string[]? ExtCondition { get; init; }

    public static PgExtension Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        ExtName = v[1].AsText(),
        ExtOwner = v[2].Oid,
        ExtNamespace = v[3].Oid,
        ExtRelocatable = v[4].Bool,
        ExtVersion = v[5].AsText(),
        ExtConfig = v[6].IsNull ? null : ArrayCodec.ReadOids(v[6]),
        ExtCondition = v[7].IsNull ? null : ArrayCodec.ReadTexts(v[7]),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(ExtName);
        v[2] = Datum.FromOid(ExtOwner);
        v[3] = Datum.FromOid(ExtNamespace);
        v[4] = Datum.FromBool(ExtRelocatable);
        v[5] = Datum.FromText(ExtVersion);
        v[6] = ExtConfig is null ? Datum.Null : ArrayCodec.Oids(ExtConfig);
        v[7] = ExtCondition is null ? Datum.Null : ArrayCodec.Texts(ExtCondition);
    }
}
