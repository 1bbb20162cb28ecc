using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_opclass: an operator class. Properties are the columns, in order.</summary>
public sealed record PgOpClass : ICatalogRow<PgOpClass>
{
    public Oid Oid { get; init; }
    public Oid OpcMethod { get; init; }
    public string OpcName { get; init; } = "";
    public Oid OpcNamespace { get; init; }
    public Oid OpcOwner { get; init; }
    public Oid OpcFamily { get; init; }
    public Oid OpcInType { get; init; }
    public bool OpcDefault { get; init; }
    public Oid OpcKeyType { get; init; }

    public static PgOpClass Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        OpcMethod = v[1].Oid,
        OpcName = v[2].AsText(),
        OpcNamespace = v[3].Oid,
        OpcOwner = v[4].Oid,
        OpcFamily = v[5].Oid,
        OpcInType = v[6].Oid,
        OpcDefault = v[7].Bool,
        OpcKeyType = v[8].Oid,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = Datum.FromOid(OpcMethod);
        v[2] = CatalogDatum.FromName(OpcName);
        v[3] = Datum.FromOid(OpcNamespace);
        v[4] = Datum.FromOid(OpcOwner);
        v[5] = Datum.FromOid(OpcFamily);
        v[6] = Datum.FromOid(OpcInType);
        v[7] = Datum.FromBool(OpcDefault);
        v[8] = Datum.FromOid(OpcKeyType);
    }
}
