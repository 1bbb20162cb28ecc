using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_opfamily: an operator family. Properties are the columns, in order.</summary>
public sealed record PgOpFamily : ICatalogRow<PgOpFamily>
{
    public Oid Oid { get; init; }
    public Oid OpfMethod { get; init; }
    public string OpfName { get; init; } = "";
    public Oid OpfNamespace { get; init; }
    public Oid OpfOwner { get; init; }

    public static PgOpFamily Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        OpfMethod = v[1].Oid,
        OpfName = v[2].AsText(),
        OpfNamespace = v[3].Oid,
        OpfOwner = v[4].Oid,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = Datum.FromOid(OpfMethod);
        v[2] = CatalogDatum.FromName(OpfName);
        v[3] = Datum.FromOid(OpfNamespace);
        v[4] = Datum.FromOid(OpfOwner);
    }
}
