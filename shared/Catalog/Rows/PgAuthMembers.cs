using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_auth_members: a membership between roles. Properties are the columns, in order.</summary>
public sealed record PgAuthMembers : ICatalogRow<PgAuthMembers>
{
    public Oid RoleId { get; init; }
    public Oid Member { get; init; }
    public Oid Grantor { get; init; }
    public bool AdminOption { get; init; }

    public static PgAuthMembers Read(ReadOnlySpan<Datum> v) => new()
    {
        RoleId = v[0].Oid,
        Member = v[1].Oid,
        Grantor = v[2].Oid,
        AdminOption = v[3].Bool,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(RoleId);
        v[1] = Datum.FromOid(Member);
        v[2] = Datum.FromOid(Grantor);
        v[3] = Datum.FromBool(AdminOption);
    }
}
