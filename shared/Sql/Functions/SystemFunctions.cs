using System.Globalization;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>Functions about the session, the server, settings, transactions and the log.</summary>
internal static class SystemFunctions
{
    /// <summary>What version() says; the number is the PostgreSQL release whose behaviour this is.</summary>
    public const string Version = "PostgreSQL 15.18 (SharedStorage) on x86_64-pc-linux-gnu, compiled by .NET 10, 64-bit";

    private const int Utf8 = 6;

    // Numbers of encodings (pg_wchar.h).
    private static readonly string[] Encodings =
    [
        "SQL_ASCII", "EUC_JP", "EUC_CN", "EUC_KR", "EUC_TW", "EUC_JIS_2004", "UTF8", "MULE_INTERNAL", "LATIN1", "LATIN2", "LATIN3", "LATIN4",
        "LATIN5", "LATIN6", "LATIN7", "LATIN8", "LATIN9", "LATIN10", "WIN1256", "WIN1258", "WIN866", "WIN874", "KOI8R", "WIN1251", "WIN1252",
        "ISO_8859_5", "ISO_8859_6", "ISO_8859_7", "ISO_8859_8", "WIN1250", "WIN1253", "WIN1254", "WIN1255", "WIN1257", "KOI8U", "SJIS", "BIG5",
        "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004",
    ];

    public static void Add(FunctionTable t)
    {
        AddSession(t);
        AddSettings(t);
        AddLog(t);
        AddTransactions(t);
        AddSizes(t);
        AddPrivileges(t);
    }

    private static string Str(Datum d) => TextFunctions.Str(d);
    private static string NameOf(Datum d) => System.Text.Encoding.UTF8.GetString(Comparators.NameBytes(d));
    private static Datum Void => Datum.FromInt32(0);

    private static void AddSession(FunctionTable t)
    {
        t.F0("pgsql_version", static _ => Datum.FromText(Version));
        t.F0("current_database", static c => NameType.From(c.Session.Database));
        t.F0("current_user", static c => NameType.From(c.Session.CurrentUser));
        t.F0("session_user", static c => NameType.From(c.Session.SessionUser));
        t.F0("current_schema", static c => c.Session.CurrentSchemas(false) is { Count: > 0 } s ? NameType.From(s[0]) : Datum.Null);
        t.F1("current_schemas", static (a, c) => ArrayBuilder.Build(
            TypeRegistry.Find(new Oid(19))!, (Datum[])[.. c.Session.CurrentSchemas(a.Bool).Select(static s => NameType.From(s))]));
        t.F0("pg_backend_pid", static c => Datum.FromInt32(c.Session.BackendPid));
        t.F0("pg_my_temp_schema", static _ => Datum.FromUInt32(0));
        t.F1("pg_is_other_temp_schema", static (_, _) => Datum.FromBool(false));
        t.F1("pg_sleep", static (a, c) =>
        {
            if (a.Double > 0)
            {
                c.Session.Sleep(TimeSpan.FromSeconds(Math.Min(a.Double, TimeSpan.MaxValue.TotalSeconds / 2)));
            }

            return Void;
        });
        t.F1("pg_cancel_backend", static (a, c) => Datum.FromBool(c.Session.CancelBackend(a.Int32)));
        t.F0("pg_trigger_depth", static _ => Datum.FromInt32(0));
        t.F0("inet_server_port", static c => c.Session.ServerPort is var p && p != 0 ? Datum.FromInt32(p) : Datum.Null);
        t.F0("inet_client_addr", static _ => Datum.Null);
        t.F0("inet_server_addr", static _ => Datum.Null);
        t.F0("inet_client_port", static _ => Datum.Null);
        // The age of a number that wraps; what is no real number is older than all (xid_age, mxid_age).
        t.F1("xid_age", static (a, c) => Datum.FromInt32(new Xid(a.Oid.Value).IsNormal ? (int)(c.Session.NextXid.Value - a.Oid.Value) : int.MaxValue));
        t.F1("mxid_age", static (a, c) => Datum.FromInt32(a.Oid.Value != 0 ? (int)(c.Session.NextMultiXact - a.Oid.Value) : int.MaxValue));
        t.F0("pg_is_in_recovery", static c => Datum.FromBool(c.Session.IsReader));
        t.F1("PG_encoding_to_char", static (a, _) => NameType.From(a.Int32 >= 0 && a.Int32 < Encodings.Length ? Encodings[a.Int32] : ""));
        t.F1("PG_char_to_encoding", static (a, _) => Datum.FromInt32(FindEncoding(NameOf(a))));
        t.F0("getdatabaseencoding", static _ => NameType.From(Encodings[Utf8]));
        t.F0("pg_client_encoding", static _ => NameType.From(Encodings[Utf8]));
        t.F1("pg_encoding_max_length_sql", static (a, _) => a.Int32 == Utf8 ? Datum.FromInt32(4) : Datum.FromInt32(1));
    }

    private static int FindEncoding(string name)
    {
        string plain = name.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal);
        return Array.FindIndex(Encodings, e => e.Replace("_", "", StringComparison.Ordinal).Equals(plain, StringComparison.OrdinalIgnoreCase));
    }

    private static void AddSettings(FunctionTable t)
    {
        t.F1("show_config_by_name", static (a, c) => Datum.FromText(c.Session.GetSetting(Str(a)) ?? throw UnknownSetting(Str(a))));
        t.F2("show_config_by_name_missing_ok", static (a, b, c) => c.Session.GetSetting(Str(a)) is { } v
            ? Datum.FromText(v)
            : b.Bool ? Datum.Null : throw UnknownSetting(Str(a)));
        t.F3("set_config_by_name", static (a, b, local, c) => a.IsNull
            ? throw new PgException("22004", "SET requires parameter name")
            : Datum.FromText(c.Session.SetSetting(Str(a), b.IsNull ? null : Str(b), !local.IsNull && local.Bool)));
    }

    private static PgException UnknownSetting(string name) =>
        new(SqlStates.UndefinedObject, $"unrecognized configuration parameter \"{name}\"");

    private static PgException InRecovery() => new(SqlStates.ObjectNotInPrerequisiteState, "recovery is in progress")
    {
        Hint = "WAL control functions cannot be executed during recovery.",
    };

    private static IReplayControl Replay(EvalContext c) => c.Session.Replay ?? throw (c.Session.IsReader
        ? PgException.NotSupported("control of replay on a reader that follows a writer")
        : new PgException(SqlStates.ObjectNotInPrerequisiteState, "recovery is not in progress") { Hint = "Recovery control functions can only be executed during recovery." });

    private static Datum FromLsn(Lsn lsn) => Datum.FromInt64((long)lsn.Value);

    private static void AddLog(FunctionTable t)
    {
        t.F0("pg_current_wal_lsn", static c => c.Session.IsReader ? throw InRecovery() : FromLsn(c.Session.FlushedWalLsn));
        t.F0("pg_current_wal_insert_lsn", static c => c.Session.IsReader ? throw InRecovery() : FromLsn(c.Session.CurrentWalLsn));
        t.F0("pg_current_wal_flush_lsn", static c => c.Session.IsReader ? throw InRecovery() : FromLsn(c.Session.FlushedWalLsn));
        t.F0("pg_last_wal_replay_lsn", static c => c.Session.LastReplayLsn is { } l ? FromLsn(l) : Datum.Null);
        t.F0("pg_last_wal_receive_lsn", static c => (c.Session.Replay?.Received ?? c.Session.LastReplayLsn) is { } l ? FromLsn(l) : Datum.Null);
        t.F0("pg_wal_replay_pause", static c =>
        {
            Replay(c).Pause();
            return Void;
        });
        t.F0("pg_wal_replay_resume", static c =>
        {
            Replay(c).Resume();
            return Void;
        });
        t.F0("pg_is_wal_replay_paused", static c => Datum.FromBool(Replay(c).IsPauseRequested));
        t.F0("pg_get_wal_replay_pause_state", static c => Datum.FromText(Replay(c).PauseState));
        t.F2("pg_wal_lsn_diff", static (a, b, _) => NumericFunctions.FromInteger((Int128)(ulong)a.Bits - (ulong)b.Bits));
    }

    private static void AddTransactions(FunctionTable t)
    {
        t.F0("pg_current_xact_id", static c => Datum.FromInt64((long)c.Session.CurrentTransactionId(true).Value));
        t.F0("pg_current_xact_id_if_assigned", static c => c.Session.CurrentTransactionId(false) is { Value: > 0 } x ? Datum.FromInt64((long)x.Value) : Datum.Null);
        t.F1("nextval_oid", static (a, c) => Datum.FromInt64(c.Session.SequenceNext(a.Oid)));
        t.F1("currval_oid", static (a, c) => Datum.FromInt64(c.Session.SequenceCurrent(a.Oid)));
        t.F2("setval_oid", static (a, b, c) => Datum.FromInt64(c.Session.SequenceSet(a.Oid, b.Int64, true)));
        t.F3("setval3_oid", static (a, b, called, c) => Datum.FromInt64(c.Session.SequenceSet(a.Oid, b.Int64, called.Bool)));
        t.F0("lastval", static c => Datum.FromInt64(c.Session.SequenceLast()));
    }

    private static void AddSizes(FunctionTable t)
    {
        t.F2("pg_relation_size", static (a, b, c) => Size(c.Catalogs.RelationSize(a.Oid, ForkName(Str(b)))));
        t.Sql1(2325, "pg_relation_size", static (a, c) => Size(c.Catalogs.RelationSize(a.Oid, "main")));
        t.F1("pg_table_size", static (a, c) => Size(c.Catalogs.TableSize(a.Oid, withIndexes: false)));
        t.F1("pg_total_relation_size", static (a, c) => Size(c.Catalogs.TableSize(a.Oid, withIndexes: true)));
        t.F1("pg_indexes_size", static (a, c) => Size(c.Catalogs.IndexesSize(a.Oid)));
        t.F1("pg_database_size_oid", static (a, c) => Size(c.Catalogs.DatabaseSize(a.Oid)));
        t.F1("pg_database_size_name", static (a, c) => Size(c.Catalogs.DatabaseSize(
            c.Catalogs.FindDatabase(NameOf(a)) ?? throw new PgException(SqlStates.InvalidCatalogName, $"database \"{NameOf(a)}\" does not exist"))));
        t.F1("pg_relation_filenode", static (a, c) => c.Catalogs.RelationFileNode(a.Oid) is { } n ? Datum.FromUInt32(n) : Datum.Null);
        t.F1("pg_tablespace_size_oid", static (a, c) => Size(c.Catalogs.TablespaceSize(a.Oid)));
        t.F1("pg_relation_filepath", static (a, c) => c.Catalogs.RelationFilePath(a.Oid) is { } p ? Datum.FromText(p) : Datum.Null);
        t.F1("pg_size_pretty", static (a, _) => Datum.FromText(SizePretty.Format(a.Int64)));
        t.F1("pg_size_pretty_numeric", static (a, _) => Datum.FromText(SizePretty.Format(NumericFunctions.Read(a))));
        t.F1("pg_size_bytes", static (a, _) => SizePretty.Parse(Str(a)));
    }

    private static Datum Size(long? bytes) => bytes is { } b ? Datum.FromInt64(b) : Datum.Null;

    private static string ForkName(string s) => s is "main" or "fsm" or "vm" or "init"
        ? s
        : throw new PgException(SqlStates.InvalidParameterValue, "invalid fork name") { Hint = "Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\"." };

    private static void AddPrivileges(FunctionTable t)
    {
        // has_KIND_privilege([user,] object, privilege): by name or number each.
        foreach (string kind in new[]
        {
            "table", "sequence", "database", "function", "language", "schema", "tablespace", "foreign_data_wrapper", "server", "type", "any_column",
        })
        {
            string prefix = $"has_{kind}_privilege_";
            t.F3(prefix + "name_name", (u, o, p, c) => Has(NameOf(u), kind, Str(o), Str(p), c));
            t.F3(prefix + "name_id", (u, o, p, c) => Has(RoleId(NameOf(u), c), kind, o.Oid, Str(p), c));
            t.F3(prefix + "id_name", (u, o, p, c) => Has(u.Oid, kind, Resolve(kind, Str(o), c), Str(p), c));
            t.F3(prefix + "id_id", (u, o, p, c) => Has(u.Oid, kind, o.Oid, Str(p), c));
            t.F2(prefix + "name", (o, p, c) => Has(c.Session.CurrentUser, kind, Str(o), Str(p), c));
            t.F2(prefix + "id", (o, p, c) => Has(RoleId(c.Session.CurrentUser, c), kind, o.Oid, Str(p), c));
        }

        t.F3("has_column_privilege_name_name", static (o, _, p, c) => Has(c.Session.CurrentUser, "table", Str(o), Str(p), c));
        t.F3("has_column_privilege_name_attnum", static (o, _, p, c) => Has(c.Session.CurrentUser, "table", Str(o), Str(p), c));
        t.F3("has_column_privilege_id_name", static (o, _, p, c) => Has(RoleId(c.Session.CurrentUser, c), "table", o.Oid, Str(p), c));
        t.F3("has_column_privilege_id_attnum", static (o, _, p, c) => Has(RoleId(c.Session.CurrentUser, c), "table", o.Oid, Str(p), c));
        t.F2("pg_has_role_name", static (r, _, c) => Member(RoleId(c.Session.CurrentUser, c), RoleId(NameOf(r), c), c));
        t.F2("pg_has_role_id", static (r, _, c) => Member(RoleId(c.Session.CurrentUser, c), r.Oid, c));
        t.F3("pg_has_role_name_name", static (u, r, _, c) => Member(RoleId(NameOf(u), c), RoleId(NameOf(r), c), c));
        t.F3("pg_has_role_name_id", static (u, r, _, c) => Member(RoleId(NameOf(u), c), r.Oid, c));
        t.F3("pg_has_role_id_name", static (u, r, _, c) => Member(u.Oid, RoleId(NameOf(r), c), c));
        t.F3("pg_has_role_id_id", static (u, r, _, c) => Member(u.Oid, r.Oid, c));
    }

    private static Oid RoleId(string name, EvalContext c) =>
        c.Catalogs.FindRole(name) ?? throw new PgException(SqlStates.UndefinedObject, $"role \"{name}\" does not exist");

    private static Datum Member(Oid member, Oid role, EvalContext c) => Datum.FromBool(member == role || c.Catalogs.RoleIsSuperuser(member));

    private static Datum Has(string user, string kind, string name, string privilege, EvalContext c) =>
        Has(RoleId(user, c), kind, Resolve(kind, name, c), privilege, c);

    private static Datum Has(Oid role, string kind, Oid id, string privilege, EvalContext c)
    {
        if (kind is "table" or "any_column" or "sequence" && c.Catalogs.RelationName(id) is null)
        {
            return Datum.Null;
        }

        return Datum.FromBool(c.Catalogs.RoleIsSuperuser(role) || c.Catalogs.HasPrivilege(role, kind, id, privilege));
    }

    // The object must exist; which it is matters for those only that have a number here.
    private static Oid Resolve(string kind, string name, EvalContext c)
    {
        string type = kind switch
        {
            "table" or "sequence" or "any_column" => "regclass",
            "schema" => "regnamespace",
            "type" => "regtype",
            "function" => "regprocedure",
            _ => "",
        };
        return type switch
        {
            "regclass" => TypeRegistry.Find(new Oid(2205))!.InputText(name, -1, c).Oid,
            "regnamespace" => c.Catalogs.FindNamespace(name) ?? throw new PgException(SqlStates.InvalidSchemaName, $"schema \"{name}\" does not exist"),
            "regtype" => TypeRegistry.Find(new Oid(2206))!.InputText(name, -1, c).Oid,
            "regprocedure" => TypeRegistry.Find(new Oid(2202))!.InputText(name, -1, c).Oid,
            _ when kind == "database" => c.Catalogs.FindDatabase(name) ?? throw new PgException(SqlStates.InvalidCatalogName, $"database \"{name}\" does not exist"),
            _ => Oid.Invalid,
        };
    }
}

/// <summary>pg_size_pretty, pg_size_bytes (dbsize.c).</summary>
internal static class SizePretty
{
    private static readonly string[] Units = ["bytes", "kB", "MB", "GB", "TB", "PB"];

    public static string Format(long size) => Format(new NumericValue(size, 0));

    // A unit is left when the number in it reaches 10240 (20480 halves, from the second unit on); half a unit rounds away from zero.
    public static string Format(NumericValue size)
    {
        if (size.IsSpecial)
        {
            return NumericType.Format(size) + " PB";
        }

        System.Numerics.BigInteger v = size.Truncate(0).Unscaled;
        if (System.Numerics.BigInteger.Abs(v) < 10 * 1024)
        {
            return NumericType.Format(size) + " bytes";
        }

        // Kept in halves of the unit, so that the last step can round.
        v /= 512;
        int unit = 1;
        while (unit < Units.Length - 1 && System.Numerics.BigInteger.Abs(v) >= (20 * 1024) - 1)
        {
            v /= 1024;
            unit++;
        }

        v = v.Sign < 0 ? (v - 1) / 2 : (v + 1) / 2;
        return $"{v.ToString(CultureInfo.InvariantCulture)} {Units[unit]}";
    }

    public static Datum Parse(string text)
    {
        string s = text.Trim();
        int end = 0;
        while (end < s.Length && (char.IsAsciiDigit(s[end]) || s[end] is '.' or '+' or '-'
            || (s[end] is 'e' or 'E' && end + 1 < s.Length && (char.IsAsciiDigit(s[end + 1]) || s[end + 1] is '-' or '+'))))
        {
            end++;
        }

        if (end == 0)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"invalid size: \"{text}\"");
        }

        NumericValue v = ((NumericType)TypeRegistry.Find(new Oid(1700))!).Parse(System.Text.Encoding.UTF8.GetBytes(s[..end]));
        string unit = s[end..].Trim();
        int power = unit.Length == 0 ? 0 : unit.Equals("B", StringComparison.OrdinalIgnoreCase)
            ? 0
            : Array.FindIndex(Units, u => u.Equals(unit, StringComparison.OrdinalIgnoreCase));
        if (power < 0)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"invalid size: \"{text}\"")
            {
                Detail = $"Invalid size unit: \"{unit}\".",
                Hint = "Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".",
            };
        }

        v = NumericMath.Multiply(v, new NumericValue(System.Numerics.BigInteger.Pow(1024, power), 0));
        return Datum.FromInt64(NumericFunctions.ToInteger(v, long.MinValue, long.MaxValue, "bigint"));
    }
}
