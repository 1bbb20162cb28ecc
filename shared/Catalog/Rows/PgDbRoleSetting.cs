using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_db_role_setting: settings of a database or role. Properties are the columns, in order.</summary>
public sealed record PgDbRoleSetting : ICatalogRow<PgDbRoleSetting>
{
    public Oid SetDatabase { get; init; }
    public Oid SetRole { get; init; }
    public string[]? SetConfig { get; init; }

    public static PgDbRoleSetting Read(ReadOnlySpan<Datum> v) => new()
    {
        SetDatabase = v[0].Oid,
        SetRole = v[1].Oid,
        SetConfig = v[2].IsNull ? null : ArrayCodec.ReadTexts(v[2]),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(SetDatabase);
        v[1] = Datum.FromOid(SetRole);
        v[2] = SetConfig is null ? Datum.Null : ArrayCodec.Texts(SetConfig);
    }
}
