using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_namespace: a schema. Properties are the columns, in order.</summary>
public sealed record PgNamespace : ICatalogRow<PgNamespace>
{
    public Oid Oid { get; init; }
    public string NspName { get; init; } = "";
    public Oid NspOwner { get; init; }
    public byte[]? NspAcl { get; init; }

    public static PgNamespace Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        NspName = v[1].AsText(),
        NspOwner = v[2].Oid,
        NspAcl = v[3].IsNull ? null : v[3].Bytes,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(NspName);
        v[2] = Datum.FromOid(NspOwner);
        v[3] = NspAcl is null ? Datum.Null : Datum.FromBytes(NspAcl);
    }
}
