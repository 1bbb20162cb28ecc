using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>What a stock primary has to do beside an attached reader: pgbench, VACUUM, index builds, TRUNCATE, DROP, column changes, checkpoints, pg_restore; again and again.</summary>
internal sealed class AttachLoad(StockPostgres primary) : IDisposable
{
    private readonly string _dump = Path.Combine(StockPostgres.NewRoot(), "dump");
    private readonly List<Task> _tasks = [];
    private readonly CancellationTokenSource _stop = new();
    private int _transactions;
    private int _rounds;
    private int _restores;

    public void Prepare()
    {
        primary.Pgbench("-i", "-s", "1", "-q");
        primary.PsqlFile("""
            create table churn (id int primary key, k int, s text);
            create index churn_k on churn (k);
            insert into churn select i, i % 97, 'row ' || i from generate_series(1, 5000) i;
            create table emptied (id int primary key, s text);
            create schema restored;
            create table restored.a (id int primary key, v text);
            insert into restored.a select i, md5(i::text) from generate_series(1, 3000) i;
            create index a_v on restored.a (v);
            """);
        Tool("pg_dump", "-Fc", "-n", "restored", "-f", _dump, "postgres");
    }

    public void Begin()
    {
        Loop(() =>
        {
            primary.Pgbench("-n", "-c", "3", "-j", "1", "-t", "300", "-M", "prepared");
            _transactions += 900;
        });
        Loop(Maintain);
        Loop(() =>
        {
            Tool("pg_restore", "--clean", "--if-exists", "-d", "postgres", _dump);
            _restores++;
        });
    }

    /// <summary>A failure of the load is the test's.</summary>
    public void Check()
    {
        foreach (Task task in _tasks)
        {
            if (task.IsFaulted)
            {
                task.GetAwaiter().GetResult();
            }
        }
    }

    public void End()
    {
        _stop.Cancel();
        Task.WaitAll([.. _tasks]);
    }

    public void Dispose()
    {
        _stop.Cancel();
        ((IAsyncResult)Task.WhenAll(_tasks)).AsyncWaitHandle.WaitOne(TimeSpan.FromSeconds(60));
        Directory.Delete(Path.GetDirectoryName(_dump)!, recursive: true);
        _stop.Dispose();
    }

    public override string ToString() => $"{_transactions} transactions of pgbench, {_rounds} rounds of maintenance, {_restores} of pg_restore";

    private void Loop(Action round) => _tasks.Add(Task.Run(() =>
    {
        while (!_stop.IsCancellationRequested)
        {
            round();
        }
    }));

    private void Maintain()
    {
        int n = ++_rounds;
        primary.Psql($"delete from churn where id % 7 = {n % 7}");
        primary.Psql("vacuum churn");
        primary.Psql($"insert into churn select {5000 * n} + i, i % 97, 'new ' || i from generate_series(1, 1000) i");
        primary.Psql($"delete from churn where id < {(5000 * (n - 3)) + 1000}");
        primary.Psql("vacuum churn");
        primary.Psql("drop index churn_k");
        primary.Psql($"create index {(n % 2 == 0 ? "concurrently " : "")}churn_k on churn (k)");
        primary.Psql($"create table made_{n} as select i, 'v' || i v from generate_series(1, 2000) i");
        primary.Psql($"create index on made_{n} (v)");
        primary.Psql("truncate emptied");
        primary.Psql("insert into emptied select i, 's' || i from generate_series(1, 1500) i");
        if (n > 1)
        {
            primary.Psql($"drop table made_{n - 1}");
        }

        primary.Psql(n % 2 == 0 ? "vacuum (freeze) emptied" : "vacuum full emptied");
        primary.Psql("vacuum pgbench_branches; vacuum pgbench_tellers".Split(';')[n % 2]);
        primary.Psql("vacuum pgbench_accounts");
        if (n % 3 == 0)
        {
            primary.Psql("checkpoint");
        }
    }

    private void Tool(string program, params string[] arguments) =>
        StockPostgres.Tool(program, ["-h", "127.0.0.1", "-p", $"{primary.Port}", "-U", "postgres", .. arguments]);
}
