using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Plan;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;

namespace SharedStorage.Sql.Session;

/// <summary>
/// One connection's SQL: its settings, transaction, prepared statements and portals. All members are for its one thread, except <see cref="Cancel"/> and
/// <see cref="Terminate"/>. After a <see cref="PgException"/> in the extended protocol the caller skips messages up to Sync; the session has put its
/// transaction in the right state.
/// </summary>
public sealed partial class SqlSession : IDisposable
{
    private readonly SqlNode _node;
    private readonly SessionStartup _startup;
    private readonly CancelFlag _cancel = new();
    private readonly LockSession _locks;
    private readonly SessionSettings _settings = new();
    private readonly SpillSession _spill;
    private readonly DatabaseCatalog _database;
    private readonly PgDatabase _databaseRow;
    private readonly PgAuthId _user;
    private readonly EvalContext _eval;
    private readonly SessionInfo _info;
    private volatile bool _running;

    /// <exception cref="PgException">3D000, 28000: no such database or role; 22023: a bad startup setting.</exception>
    public SqlSession(SqlNode node, SessionStartup startup)
    {
        (_node, _startup) = (node, startup);
        _spill = new SpillSession(node.TemporaryFiles, startup.ProcessId);
        _locks = new LockSession { ProcessId = startup.ProcessId, CheckInterrupts = _cancel.Check, Warn = WarnOfLimit };
        Transaction tx = node.Engine.Transactions.Begin(_locks, true);
        try
        {
            startup.Begins?.Invoke(tx);
            using Snapshot snapshot = tx.TakeSnapshot();
            CatalogView shared = node.Catalogs.Shared.View(snapshot);
            _user = startup.IsAutovacuum ? shared.Scan(SystemCatalogs.AuthId).First(r => r.Oid.Value == PgOids.BootstrapSuperuser)
                : shared.RoleByName(startup.User) is { RolCanLogin: true } role ? role
                : throw new PgException(SqlStates.InvalidAuthorizationSpecification, $"role \"{startup.User}\" does not exist") { Fatal = true };
            _databaseRow = shared.DatabaseByName(startup.Database)
                ?? throw new PgException(SqlStates.InvalidCatalogName, $"database \"{startup.Database}\" does not exist") { Fatal = true };
            if (!_databaseRow.DatAllowConn && !startup.IsAutovacuum)
            {
                throw new PgException(SqlStates.ObjectNotInPrerequisiteState, $"database \"{startup.Database}\" is not currently accepting connections") { Fatal = true };
            }

            _databaseRow = EnterDatabase(tx, _databaseRow);
            _database = node.Catalogs.Database(_databaseRow.Oid, snapshot);
            _info = new SessionInfo(this);
            _eval = new EvalContext(_info, new CatalogFunctions(this));
            _settings.Changed = OnSettingChanged;
            _settings.Check = CheckSetting;
            LoadSettings(_database.View(snapshot));
        }
        catch
        {
            node.Sessions.Remove(this);
            throw;
        }
        finally
        {
            tx.Abort();
        }
    }

    /// <summary>What types and functions know of this session; the wire protocol writes values with it.</summary>
    public EvalContext EvalContext => _eval;

    /// <summary>The oldest snapshot that it reads from; <see cref="Lsn.Max"/> for none. From any thread.</summary>
    public Lsn OldestSnapshot => Volatile.Read(ref _tx)?.OldestSnapshot ?? Lsn.Max;

    public bool IsSuperuser => _user.RolSuper;

    public TransactionBlockState State => _block switch
    {
        BlockState.Explicit => TransactionBlockState.InBlock,
        BlockState.Failed => TransactionBlockState.Failed,
        _ => TransactionBlockState.Idle,
    };

    /// <summary>The settings whose changes clients are told (ParameterStatus), with their values now.</summary>
    public IEnumerable<KeyValuePair<string, string>> ReportedParameters =>
        _settings.All.Where(s => s.Reported).Select(s => KeyValuePair.Create(s.Name, GetSetting(s.Name)!));

    /// <summary>Called when a reported setting changes: name, value (ParameterStatus).</summary>
    public Action<string, string>? ParameterChanged { get; set; }

    /// <summary>Called for each notice.</summary>
    public Action<SqlNotice>? Notice { get; set; }

    internal SqlNode Node => _node;
    internal SessionStartup Startup => _startup;
    internal CancelFlag CancelFlag => _cancel;

    /// <summary>Asks the running query to stop with 57014. From any thread; nothing when no query runs.</summary>
    public void Cancel() => Cancel(new PgException(SqlStates.QueryCanceled, "canceling statement due to user request"));

    /// <summary>Whether a statement runs; without one a session cannot be cancelled, only ended. From any thread.</summary>
    public bool IsRunning => _running;

    /// <summary>For the session's thread, where it waits.</summary>
    /// <exception cref="PgException">The statement, or the session, is to end.</exception>
    public void CheckInterrupts() => _cancel.Check();

    /// <summary>Asks the running statement to stop with this error. From any thread; nothing when no query runs.</summary>
    public void Cancel(PgException reason)
    {
        if (_running)
        {
            _cancel.Set(reason);
            _locks.Interrupt();
        }
    }

    /// <summary>Asks the session to end: the running query stops with this FATAL error (57P01, 57P02, 25P03). From any thread.</summary>
    public void Terminate(PgException reason)
    {
        _cancel.Set(reason);
        _locks.Interrupt();
    }

    /// <summary>
    /// From here on who creates a database from this one, or drops it, knows of the session. The lock waits for those that are at it, and goes with the transaction; then the row
    /// is looked at again (InitPostgres). A reader asks nobody: the row of each later snapshot tells whether the database is there.
    /// </summary>
    private PgDatabase EnterDatabase(Transaction tx, PgDatabase row)
    {
        if (!_node.IsReader)
        {
            _node.Engine.Locks.Acquire(tx, LockTag.OfObject(Oid.Invalid, SystemCatalogs.Database.Id, row.Oid), LockMode.RowExclusive);
            using Snapshot now = tx.TakeSnapshot();
            row = _node.Catalogs.Shared.View(now).DatabaseByName(row.DatName) is { } current && current.Oid == row.Oid ? current
                : throw new PgException(SqlStates.InvalidCatalogName, $"database \"{row.DatName}\" does not exist")
                {
                    Detail = "It seems to have just been dropped or renamed.",
                    Fatal = true,
                };
        }

        if (row.DatConnLimit == Catalog.Ddl.CatalogWriter.InvalidDatabase)
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, $"cannot connect to invalid database \"{row.DatName}\"")
            {
                Hint = "Use DROP DATABASE to drop invalid databases.",
                Fatal = true,
            };
        }

        _node.Sessions.Add(this, row.Oid);
        return row;
    }

    /// <summary>Aborts what is open.</summary>
    public void Dispose()
    {
        _node.Sessions.Remove(this);
        CloseAllPortals();
        _spill.EndTransaction();
        _tx?.Abort();
        _tx = null;
        _node.Engine.Locks.ReleaseAllForSession(_locks);
    }

    internal void SendNotice(string severity, string state, string message, string? detail = null, string? hint = null)
    {
        string[] order = ["debug", "log", "info", "notice", "warning", "error"];
        int level = Array.IndexOf(order, severity.ToLowerInvariant()), wanted = Array.IndexOf(order, _settings.Get("client_min_messages"));
        if (severity == "INFO" || level >= wanted)
        {
            Notice?.Invoke(new SqlNotice(severity, state, message) { Detail = detail, Hint = hint });
        }
    }

    private void WarnOfLimit(string message, string hint) => SendNotice("WARNING", SqlStates.Warning, message, hint: hint);

    private void LoadSettings(CatalogView view)
    {
        foreach ((string name, string value) in _node.Settings)
        {
            if (SessionSettings.Find(name) is not null)
            {
                _settings.SetStartup(name, value);
            }
        }

        _settings.SetStartup("session_authorization", _user.RolName);
        _settings.SetStartup("is_superuser", _user.RolSuper ? "on" : "off");
        _settings.SetStartup("data_directory", _node.DataDirectory);
        _settings.SetStartup("lc_collate", _databaseRow.DatCollate);
        _settings.SetStartup("lc_ctype", _databaseRow.DatCtype);
        _eval.DatabaseCollation = Types.Collation.Get(_databaseRow.DatCollate, _databaseRow.DatCtype);
        // Later ones win: the database's, the role's, the role's in the database.
        var none = new Oid(0);
        foreach ((Oid database, Oid role) in new[] { (none, none), (_databaseRow.Oid, none), (none, _user.Oid), (_databaseRow.Oid, _user.Oid) })
        {
            foreach (string setting in view.Settings(database, role))
            {
                int at = setting.IndexOf('=', StringComparison.Ordinal);
                if (at > 0 && (SessionSettings.Find(setting[..at]) is { Changeable: true } || setting[..at].Contains('.', StringComparison.Ordinal)))
                {
                    _settings.SetStartup(setting[..at], setting[(at + 1)..]);
                }
            }
        }

        foreach ((string name, string value) in _startup.Parameters)
        {
            if (name is "user" or "database" or "replication")
            {
                continue;
            }

            if (name == "options")
            {
                ApplyOptions(value);
            }
            else
            {
                ApplyStartup(name, value);
            }
        }
    }

    private void ApplyStartup(string name, string value)
    {
        try
        {
            Setting? known = SessionSettings.Find(name);
            if (known is { Changeable: false })
            {
                throw new PgException(SqlStates.CantChangeRuntimeParam, $"parameter \"{name}\" cannot be changed");
            }

            _settings.SetStartup(name, value);
        }
        catch (PgException e) when (!e.Fatal)
        {
            throw new PgException(e.SqlState, e.Message) { Fatal = true, Hint = e.Hint, Detail = e.Detail };
        }
    }

    // "-c name=value --name=value": a backslash keeps a blank.
    private void ApplyOptions(string options)
    {
        string[] words = options.Replace("\\ ", "\u0001", StringComparison.Ordinal).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        for (int i = 0; i < words.Length; i++)
        {
            string word = words[i].Replace('\u0001', ' ');
            string? assignment = word == "-c" && i + 1 < words.Length ? words[++i].Replace('\u0001', ' ')
                : word.StartsWith("-c", StringComparison.Ordinal) || word.StartsWith("--", StringComparison.Ordinal) ? word[2..] : null;
            int at = assignment?.IndexOf('=', StringComparison.Ordinal) ?? -1;
            if (at <= 0)
            {
                throw new PgException(SqlStates.SyntaxError, $"invalid command-line argument for server process: {word}") { Fatal = true };
            }

            ApplyStartup(assignment![..at].Replace('-', '_'), assignment[(at + 1)..]);
        }
    }

    private void OnSettingChanged(Setting setting, string value)
    {
        TextSettings.Apply(_eval, setting.Name, value);
        switch (setting.Name)
        {
            case "search_path":
                _searchPathVersion = null;
                break;
            case "enable_seqscan":
                SetPath(PlanPaths.SeqScan, value == "on");
                break;
            case "enable_indexscan":
                SetPath(PlanPaths.IndexScan, value == "on");
                break;
            case "enable_indexonlyscan":
                SetPath(PlanPaths.IndexOnlyScan, value == "on");
                break;
            case "work_mem":
                _spill.WorkMemory = long.Parse(SessionSettings.InUnit(setting, value), System.Globalization.CultureInfo.InvariantCulture) * 1024;
                break;
            case "hash_mem_multiplier":
                _spill.HashMultiplier = double.Parse(value, System.Globalization.CultureInfo.InvariantCulture);
                break;
            case "temp_file_limit":
                _spill.FileLimit = long.Parse(SessionSettings.InUnit(setting, value), System.Globalization.CultureInfo.InvariantCulture);
                break;
            case "lock_timeout":
                _locks.LockTimeout = TimeSpan.FromMilliseconds(_settings.Milliseconds("lock_timeout"));
                break;
            case "deadlock_timeout":
                _locks.DeadlockTimeout = TimeSpan.FromMilliseconds(_settings.Milliseconds("deadlock_timeout"));
                break;
        }

        if (setting.Reported)
        {
            ParameterChanged?.Invoke(setting.Name, value);
        }
    }

    private void SetPath(PlanPaths path, bool enabled) => _disabledPaths = enabled ? _disabledPaths & ~path : _disabledPaths | path;

    /// <summary>A setting as SHOW prints it; null when it does not exist.</summary>
    internal string? GetSetting(string name) => name.ToLowerInvariant() switch
    {
        "in_hot_standby" => _node.IsReader ? "on" : "off",
        "transaction_read_only" => IsReadOnly ? "on" : "off",
        "transaction_isolation" => _isolation,
        "sharedstorage.commit_lsn" => _lastCommit.ToString(),
        "port" => _node.Port.ToString(System.Globalization.CultureInfo.InvariantCulture),
        _ => _settings.Get(name),
    };

    private string CheckSetting(string name, string value)
    {
        switch (name)
        {
            case "transaction_isolation":
                SetIsolation(value);
                break;
            case "transaction_read_only":
                SetReadOnly(value == "on");
                break;
            case "default_transaction_isolation" when value == "serializable":
                throw PgException.NotSupported("isolation level SERIALIZABLE");
            case "sharedstorage.read_lsn" when !Lsn.TryParse(value, out _):
                throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"{name}\": \"{value}\"") { Hint = "A position in the log, as SHOW sharedstorage.commit_lsn gives it." };
            case "sharedstorage.replay_until":
                HoldReplay(value);
                break;
            case "role" when value != "none" && value != _user.RolName:
                throw PgException.NotSupported("SET ROLE");
        }

        return value;
    }

    /// <summary>The bound is the node's, not the session's: it stays until it is set to nothing.</summary>
    private void HoldReplay(string position)
    {
        Lsn until = Lsn.Max;
        if (position.Length > 0 && !Lsn.TryParse(position, out until))
        {
            throw new PgException(SqlStates.InvalidTextRepresentation, $"invalid input syntax for type pg_lsn: \"{position}\"");
        }

        if (_node.Replay is { } replay)
        {
            replay.HoldAt(until);
        }
        else if (position.Length > 0)
        {
            throw PgException.NotSupported("control of replay on this node");
        }
    }
}
