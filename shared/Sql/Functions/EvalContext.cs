using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

public enum DateStyle
{
    Iso,
    Sql,
    Postgres,
    German,
}

/// <summary>The order of day, month and year in ambiguous dates.</summary>
public enum DateOrder
{
    Mdy,
    Dmy,
    Ymd,
}

public enum IntervalStyle
{
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

/// <summary>
/// What functions and types may know of the session that calls them. One per session, used on its thread only; the session keeps the
/// settings here up to date when they change.
/// </summary>
public sealed class EvalContext
{
    private PgRandom? _random;

    public EvalContext(ISessionInfo session, ICatalogLookup catalogs)
    {
        Session = session;
        Catalogs = catalogs;
    }

    public ISessionInfo Session { get; }
    public ICatalogLookup Catalogs { get; }

    /// <summary>Setting TimeZone.</summary>
    public PgTimeZone TimeZone { get; set; } = PgTimeZone.Utc;
    public DateStyle DateStyle { get; set; }
    public DateOrder DateOrder { get; set; }
    public IntervalStyle IntervalStyle { get; set; }

    /// <summary>Setting extra_float_digits; above 0 the shortest exact text is given.</summary>
    public int ExtraFloatDigits { get; set; } = 1;

    /// <summary>Setting bytea_output is hex (else escape).</summary>
    public bool ByteaHex { get; set; } = true;

    /// <summary>Setting standard_conforming_strings and the like are the parser's; quote_all_identifiers is ours.</summary>
    public bool QuoteAllIdentifiers { get; set; }

    /// <summary>Microseconds since 2000-01-01 UTC (PostgreSQL's TimestampTz) at the start of the transaction: now().</summary>
    public long TransactionTimestamp { get; set; }

    public long StatementTimestamp { get; set; }

    /// <summary>The collation of the database, for functions that are called without one.</summary>
    public Collation DatabaseCollation { get; set; } = Collation.C;

    /// <summary>random(), setseed(): of the session.</summary>
    public PgRandom Random => _random ??= new PgRandom(Session.RandomSeed);

    /// <summary>Throws 57014 when the query was cancelled; long loops call it.</summary>
    public void CheckCancel() => Session.CheckCancel();
}

/// <summary>What the session tells functions about itself.</summary>
public interface ISessionInfo
{
    string CurrentUser { get; }
    string SessionUser { get; }
    string Database { get; }
    Oid DatabaseId => Oid.Invalid;
    int BackendPid { get; }
    bool IsReader { get; }
    ulong RandomSeed => (ulong)ClockTimestamp ^ ((ulong)BackendPid << 32);
    int ServerPort => 0;

    /// <summary>Microseconds since 2000-01-01 UTC now (clock_timestamp).</summary>
    long ClockTimestamp { get; }

    /// <summary>When the server started; pg_postmaster_start_time.</summary>
    long StartTimestamp => 0;

    /// <summary>A setting's value as SHOW prints it; null when there is none of that name.</summary>
    string? GetSetting(string name);

    /// <summary>set_config: the value as SHOW prints it afterwards.</summary>
    string SetSetting(string name, string? value, bool local);

    /// <summary>The schemas of search_path that exist, in order; with the implicit ones (pg_catalog) when asked.</summary>
    IReadOnlyList<string> CurrentSchemas(bool includeImplicit);

    void CheckCancel();

    /// <summary>Waits, but ends with 57014 when cancelled.</summary>
    void Sleep(TimeSpan time);

    bool CancelBackend(int pid) => false;

    /// <summary>What this node counted of a table; null: nothing.</summary>
    Transactions.Statistics.TableCounters? CountersOf(Oid table) => null;

    /// <summary>The LSN inserted (writer).</summary>
    Lsn CurrentWalLsn => Lsn.Invalid;
    Lsn FlushedWalLsn => CurrentWalLsn;

    /// <summary>The LSN applied (reader), or where recovery ended.</summary>
    Lsn? LastReplayLsn => null;

    /// <summary>The next transaction number that will be given out.</summary>
    Xid NextXid => Xid.FirstNormal;

    /// <summary>The next multixact number that will be given out.</summary>
    uint NextMultiXact => 1;

    /// <summary>How replay is held; null where it cannot be (a writer, a reader that follows one).</summary>
    IReplayControl? Replay => null;

    /// <summary>txid_current, pg_current_xact_id: gives the transaction a number when it has none.</summary>
    FullXid CurrentTransactionId(bool assign) => throw PgException.NotSupported("txid_current()");

    /// <summary>nextval, currval, setval; the relation is the sequence.</summary>
    long SequenceNext(Oid sequence) => throw PgException.NotSupported("nextval()");
    long SequenceCurrent(Oid sequence) => throw PgException.NotSupported("currval()");
    long SequenceSet(Oid sequence, long value, bool called) => throw PgException.NotSupported("setval()");
    long SequenceLast() => throw PgException.NotSupported("lastval()");

    void SendNotice(string severity, string message) { }
}

/// <summary>Holds replay, as pg_wal_replay_pause does on a hot standby.</summary>
public interface IReplayControl
{
    /// <summary>Asked to pause; replay stops before the next record.</summary>
    bool IsPauseRequested { get; }

    /// <summary>"not paused", "pause requested" or "paused".</summary>
    string PauseState { get; }

    /// <summary>How far the log is known.</summary>
    Lsn Received { get; }

    void Pause();
    void Resume();

    /// <summary>Nothing that ends after this is applied; <see cref="Lsn.Max"/> for no bound.</summary>
    void HoldAt(Lsn position);
}
