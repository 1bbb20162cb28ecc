using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Logging;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Hosting.Engine;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;

namespace SharedStorage.Writer.Vacuum;

/// <summary>Looks through one database with a session of its own, and vacuums and analyzes the tables that need it, one after the other (do_autovacuum).</summary>
internal sealed class AutovacuumWorker(
    SqlNode node, NodeEngine engine, AutovacuumSettings settings, ILogger log, PgDatabase database, int number, ConcurrentDictionary<(Oid Database, Oid Table), bool> busy)
{
    private readonly NoSink _sink = new();
    private volatile SqlSession? _session;
    private volatile bool _stopping;
    private bool _vacuumed;
    private Thread? _thread;

    public void Start(Action ended)
    {
        _thread = new Thread(() =>
        {
            try
            {
                Run();
            }
            catch (Exception e) when (e is PgException or StorageException)
            {
                log.LogWarning("autovacuum of database \"{Database}\": {Reason}", database.DatName, e.Message);
            }
            finally
            {
                ended();
            }
        })
        { IsBackground = true, Name = "autovacuum worker" };
        _thread.Start();
    }

    /// <summary>Ends the worker and waits for it.</summary>
    public void Stop()
    {
        _stopping = true;
        _session?.Terminate(new PgException(SqlStates.AdminShutdown, "terminating autovacuum process due to administrator command") { Fatal = true });
        _thread?.Join(TimeSpan.FromMilliseconds(50));
    }

    private void Run()
    {
        using var session = new SqlSession(node, new SessionStartup { User = "autovacuum", Database = database.DatName, ProcessId = number, IsAutovacuum = true });
        _session = session;

        // In this order: a table that is counted and not in the list was dropped, not made meanwhile.
        IReadOnlyList<Oid> counted = engine.Transactions.Counters.TablesOf(database.Oid);
        IReadOnlyList<PgClass> all = Tables();
        foreach (Oid gone in counted.Except(all.Select(t => t.Oid)))
        {
            engine.Transactions.Counters.Forget(database.Oid, gone);
        }

        Dictionary<Oid, PgClass> owners = all.Where(t => t.RelToastRelId.IsValid).ToDictionary(t => t.RelToastRelId);
        foreach (PgClass table in all)
        {
            if (_stopping)
            {
                return;
            }

            (Oid, Oid) key = (table.RelIsShared ? Oid.Invalid : database.Oid, table.Oid);
            if (busy.TryAdd(key, true))
            {
                try
                {
                    // A TOAST table goes by the parameters of its table.
                    Look(session, table, settings.With(owners.GetValueOrDefault(table.Oid)?.RelOptions).With(table.RelOptions));
                }
                finally
                {
                    busy.TryRemove(key, out _);
                }
            }
        }

        if (!_vacuumed && AutovacuumNeed.IsTooOld(database, settings, engine.Transactions.NextXid, engine.Transactions.MultiXacts.Next))
        {
            // No table is that old any more; any vacuum brings pg_database up to date.
            session.ExecuteSimple("vacuum pg_catalog.pg_database", _sink);
        }
    }

    private IReadOnlyList<PgClass> Tables()
    {
        using Snapshot snapshot = engine.Transactions.TakeSnapshot();
        return [.. engine.Catalogs.Database(database.Oid, snapshot).View(snapshot).Scan(SystemCatalogs.Class).Where(c => c.RelKind is 'r' or 'm' or 't' && c.RelPersistence != 't')];
    }

    private void Look(SqlSession session, PgClass table, AutovacuumSettings own)
    {
        TransactionManager transactions = engine.Transactions;
        AutovacuumNeed need = AutovacuumNeed.Of(
            table, own, transactions.Counters.Find(table.RelIsShared ? Oid.Invalid : database.Oid, table.Oid), transactions.NextXid, transactions.MultiXacts.Next);
        if (!need.Vacuum && !need.Analyze)
        {
            return;
        }

        string? name = NameOf(table);
        if (name is null)
        {
            return;
        }

        string delay = own.CostDelay < 0 ? "default" : own.CostDelay.ToString(CultureInfo.InvariantCulture);
        string limit = own.CostLimit <= 0 ? "default" : own.CostLimit.ToString(CultureInfo.InvariantCulture);
        string options = need.TooOld ? "" : ", skip_locked";
        session.GiveWay(!need.TooOld);
        try
        {
            session.ExecuteSimple($"set vacuum_cost_delay = {delay}; set vacuum_cost_limit = {limit}", _sink);
            session.ExecuteSimple(
                need.Vacuum ? $"vacuum (process_toast false, analyze {(need.Analyze ? "on" : "off")}{options}) {name}" : $"analyze (verbose off{options}) {name}", _sink);
            _vacuumed |= need.Vacuum;
            log.LogInformation(
                "automatic {What} of table \"{Database}.{Table}\"{Why}", !need.Vacuum ? "analyze" : need.Analyze ? "vacuum and analyze" : "vacuum", database.DatName, name,
                need.TooOld ? " to prevent wraparound" : "");
        }
        catch (PgException e) when (!e.Fatal)
        {
            log.LogInformation("{Reason} of table \"{Database}.{Table}\"", e.Message, database.DatName, name);
        }
        finally
        {
            session.GiveWay(false);
        }
    }

    /// <summary>The name with its schema, quoted; null when the table is gone.</summary>
    private string? NameOf(PgClass table)
    {
        using Snapshot snapshot = engine.Transactions.TakeSnapshot();
        CatalogView view = engine.Catalogs.Database(database.Oid, snapshot).View(snapshot);
        PgNamespace? schema = view.Scan(SystemCatalogs.Namespace).FirstOrDefault(n => n.Oid == table.RelNamespace);
        return schema is null ? null : $"{Quote(schema.NspName)}.{Quote(table.RelName)}";
    }

    private static string Quote(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    /// <summary>Nobody reads what the commands say.</summary>
    private sealed class NoSink : IResultSink
    {
        public void BeginRows(RowDescription description, ReadOnlySpan<short> formats)
        {
        }

        public void Row(ReadOnlySpan<Datum> values)
        {
        }

        public void Complete(string tag)
        {
        }

        public void EmptyQuery()
        {
        }

        public void CopyOutBegin(int columns, bool binary)
        {
        }

        public void CopyOutData(ReadOnlySpan<byte> data)
        {
        }

        public void CopyOutEnd()
        {
        }

        public void CopyInBegin(int columns, bool binary)
        {
        }

        public bool CopyInRead(out ReadOnlyMemory<byte> chunk)
        {
            chunk = default;
            return false;
        }
    }
}
