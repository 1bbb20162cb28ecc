using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;

namespace SharedStorage.Writer.Vacuum;

/// <summary>
/// VACUUM and ANALYZE by themselves, on the writer alone (PostgreSQL's autovacuum.c): every autovacuum_naptime the databases in which something changed are looked through, and
/// always those whose oldest numbers have passed autovacuum_freeze_max_age, even when autovacuum is off. Several workers share a database's tables among them.
/// </summary>
internal sealed class Autovacuum : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    private readonly SqlNode _node;
    private readonly NodeEngine _engine;
    private readonly AutovacuumSettings _settings;
    private readonly ILogger _log;
    private readonly Thread _launcher;
    private readonly ManualResetEventSlim _stop = new();
    private readonly AutoResetEvent _due = new(false);
    private readonly ConcurrentDictionary<int, AutovacuumWorker> _workers = new();
    private readonly ConcurrentDictionary<(Oid Database, Oid Table), bool> _tables = new();
    private int _lastWorker;

    public Autovacuum(NodeEnvironment environment, SqlNode node, NodeEngine engine)
    {
        (_node, _engine) = (node, engine);
        _settings = AutovacuumSettings.Of(environment.Settings);
        _log = environment.Logs.CreateLogger("autovacuum");
        TransactionManager transactions = engine.Transactions;
        transactions.FreezeMaxAge = _settings.FreezeMaxAge;
        transactions.MultiFreezeMaxAge = _settings.MultiFreezeMaxAge;
        transactions.DatabaseName = NameOf;
        transactions.VacuumIsDue = () => _due.Set();
        _launcher = new Thread(Run) { IsBackground = true, Name = "autovacuum launcher" };
        _launcher.Start();
    }

    /// <summary>Ends the workers; what they did so far stays.</summary>
    public void Dispose()
    {
        if (_stop.IsSet)
        {
            return;
        }

        _engine.Transactions.VacuumIsDue = null;
        _stop.Set();
        _due.Set();
        _launcher.Join();
        while (!_workers.IsEmpty)
        {
            foreach (AutovacuumWorker worker in _workers.Values)
            {
                worker.Stop();
            }
        }
    }

    private void Run()
    {
        // Numbers may be short from the start.
        bool first = true;
        while (!_stop.IsSet)
        {
            try
            {
                if (!first || AnyTooOld())
                {
                    FaultPoint.Hit("autovacuum-before-look");
                    LookThrough();
                }
            }
            catch (Exception e) when (e is PgException or StorageException)
            {
                _log.LogWarning("autovacuum could not look for work: {Reason}", e.Message);
            }

            // Who runs out of numbers calls again and again.
            first = false;
            _stop.Wait(Pause);
            _due.WaitOne(_settings.NapTime - Pause);
        }
    }

    private bool AnyTooOld() => Databases().Any(IsTooOld);

    private bool IsTooOld(PgDatabase database) =>
        AutovacuumNeed.IsTooOld(database, _settings, _engine.Transactions.NextXid, _engine.Transactions.MultiXacts.Next);

    /// <summary>Starts workers for the databases that need one, the oldest first.</summary>
    private void LookThrough()
    {
        Xid next = _engine.Transactions.NextXid;
        foreach (PgDatabase database in Databases().OrderByDescending(d => next.Value - d.DatFrozenXid.Value))
        {
            bool needed = IsTooOld(database) || (_settings.Enabled && _engine.Transactions.Counters.KnowsDatabase(database.Oid));
            if (_stop.IsSet || _workers.Count >= _settings.MaxWorkers)
            {
                return;
            }

            if (needed)
            {
                Start(database);
            }
        }
    }

    private void Start(PgDatabase database)
    {
        int number = Interlocked.Increment(ref _lastWorker);
        var worker = new AutovacuumWorker(_node, _engine, _settings, _log, database, number, _tables);
        _workers[number] = worker;
        worker.Start(() => _workers.TryRemove(number, out _));
    }

    private IReadOnlyList<PgDatabase> Databases()
    {
        using Snapshot snapshot = _engine.Transactions.TakeSnapshot();

        // Nobody can enter one whose drop did not end.
        return [.. _engine.Catalogs.Shared.View(snapshot).Scan(SystemCatalogs.Database).Where(d => d.DatConnLimit != CatalogWriter.InvalidDatabase)];
    }

    private string? NameOf(Oid database) => Databases().FirstOrDefault(d => d.Oid == database)?.DatName;
}
