using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_authid: a role. Properties are the columns, in order.</summary>
public sealed record PgAuthId : ICatalogRow<PgAuthId>
{
    public Oid Oid { get; init; }
    public string RolName { get; init; } = "";
    public bool RolSuper { get; init; }
    public bool RolInherit { get; init; }
    public bool RolCreateRole { get; init; }
    public bool RolCreateDb { get; init; }
    public bool RolCanLogin { get; init; }
    public bool RolReplication { get; init; }
    public bool RolBypassRls { get; init; }
    public int RolConnLimit { get; init; }
    public string? RolPassword { get; init; }
    public long? RolValidUntil { get; init; }

    public static PgAuthId Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        RolName = v[1].AsText(),
        RolSuper = v[2].Bool,
        RolInherit = v[3].Bool,
        RolCreateRole = v[4].Bool,
        RolCreateDb = v[5].Bool,
        RolCanLogin = v[6].Bool,
        RolReplication = v[7].Bool,
        RolBypassRls = v[8].Bool,
        RolConnLimit = v[9].Int32,
        RolPassword = v[10].IsNull ? null : v[10].AsText(),
        RolValidUntil = v[11].IsNull ? null : v[11].Int64,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(RolName);
        v[2] = Datum.FromBool(RolSuper);
        v[3] = Datum.FromBool(RolInherit);
        v[4] = Datum.FromBool(RolCreateRole);
        v[5] = Datum.FromBool(RolCreateDb);
        v[6] = Datum.FromBool(RolCanLogin);
        v[7] = Datum.FromBool(RolReplication);
        v[8] = Datum.FromBool(RolBypassRls);
        v[9] = Datum.FromInt32(RolConnLimit);
        v[10] = RolPassword is null ? Datum.Null : Datum.FromText(RolPassword);
        v[11] = RolValidUntil is null ? Datum.Null : Datum.FromInt64(RolValidUntil.Value);
    }
}
