using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_description: a comment. Properties are the columns, in order.</summary>
public sealed record PgDescription : ICatalogRow<PgDescription>
{
    public Oid ObjOid { get; init; }
    public Oid ClassOid { get; init; }
    public int ObjSubId { get; init; }
    public string Description { get; init; } = "";

    public static PgDescription Read(ReadOnlySpan<Datum> v) => new()
    {
        ObjOid = v[0].Oid,
        ClassOid = v[1].Oid,
        ObjSubId = v[2].Int32,
        Description = v[3].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(ObjOid);
        v[1] = Datum.FromOid(ClassOid);
        v[2] = Datum.FromInt32(ObjSubId);
        v[3] = Datum.FromText(Description);
    }
}
