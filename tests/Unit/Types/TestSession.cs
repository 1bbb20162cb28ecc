using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;

namespace SharedStorage.Unit.Types;

/// <summary>A session without a server: fixed answers for functions that ask about it.</summary>
internal sealed class TestSession : ISessionInfo, ICatalogLookup
{
    public string CurrentUser => "postgres";
    public string SessionUser => "postgres";
    public string Database => "postgres";
    public int BackendPid => 4711;
    public bool IsReader => false;
    public long ClockTimestamp { get; } = (DateTimeOffset.UtcNow - new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero)).Ticks / 10;

    public static EvalContext NewContext(string zone = "UTC")
    {
        var session = new TestSession();
        return new EvalContext(session, session)
        {
            TimeZone = PgTimeZone.Find(zone)!,
            TransactionTimestamp = session.ClockTimestamp,
            StatementTimestamp = session.ClockTimestamp,
            DatabaseCollation = Collation.Get("C.UTF-8", "C.UTF-8"),
        };
    }

    public string? GetSetting(string name) => null;
    public string SetSetting(string name, string? value, bool local) => value ?? "";
    public IReadOnlyList<string> CurrentSchemas(bool includeImplicit) => includeImplicit ? ["pg_catalog", "public"] : ["public"];
    public void CheckCancel() { }
    public void Sleep(TimeSpan time) { }
    public Oid? FindRelation(IReadOnlyList<string> name) => null;
    public CatalogName? RelationName(Oid id) => null;
    public TypeInfo? Type(Oid id) => null;
    public Oid? FindType(IReadOnlyList<string> name) => TypeRegistry.All.FirstOrDefault(t => t.Name == name[^1]) is { } t ? new Oid(t.Id) : null;
    public Oid? FindNamespace(string name) => null;
    public string? NamespaceName(Oid id) => null;
    public Oid? FindRole(string name) => null;
    public string? RoleName(Oid id) => null;
}
