using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_shdescription: a comment on a shared object. Properties are the columns, in order.</summary>
public sealed record PgShDescription : ICatalogRow<PgShDescription>
{
    public Oid ObjOid { get; init; }
    public Oid ClassOid { get; init; }
    public string Description { get; init; } = "";

    public static PgShDescription Read(ReadOnlySpan<Datum> v) => new()
    {
        ObjOid = v[0].Oid,
        ClassOid = v[1].Oid,
        Description = v[2].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(ObjOid);
        v[1] = Datum.FromOid(ClassOid);
        v[2] = Datum.FromText(Description);
    }
}
