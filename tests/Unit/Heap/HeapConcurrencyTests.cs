using System.Globalization;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Heap;

/// <summary>Sessions that change and lock the same rows at once; stock PostgreSQL checks what their records made.</summary>
public sealed class HeapConcurrencyTests
{
    private const int Rows = 4;
    private const int Threads = 6;
    private const int Rounds = 120;
    private static readonly HashSet<int> NoColumns = [];
    private static readonly HashSet<int> FirstColumn = [1];

    private static readonly TupleDesc TwoInts = new(
    [
        new TupleAttribute { Name = "a", TypeId = new Oid(23), Length = 4, ByValue = true, Alignment = 4 },
        new TupleAttribute { Name = "n", TypeId = new Oid(23), Length = 4, ByValue = true, Alignment = 4 },
    ]);

    [SkippableFact]
    public void No_update_is_lost_between_updates_and_row_locks()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["wal_keep_size = 1GB", "autovacuum = off"]);
        server.Start();
        server.Psql($"CREATE TABLE t (a int, n int); INSERT INTO t SELECT i, 0 FROM generate_series(1, {Rows}) i; CREATE EXTENSION amcheck");
        Oid database = HeapWriter.DatabaseOf(server);
        uint file = HeapWriter.FileOf(server, "t");
        server.Stop();
        using var writer = new HeapWriter(server, database);
        int done = 0;
        var failures = new List<Exception>();
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
        {
            try
            {
                Interlocked.Add(ref done, Work(writer, writer.Table(file, TwoInts), new Random(t)));
            }
            catch (Exception e)
            {
                lock (failures)
                {
                    failures.Add(e);
                }
            }
        }))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => Assert.True(t.Join(TimeSpan.FromSeconds(120)), "a session hangs"));
        Assert.Empty(failures);
        writer.Crash();
        Assert.Equal(done.ToString(CultureInfo.InvariantCulture), server.Psql("SELECT sum(n) FROM t"));
        Assert.Equal(Rows.ToString(CultureInfo.InvariantCulture), server.Psql("SELECT count(*) FROM t"));
        Assert.Equal("", server.Psql("SELECT * FROM verify_heapam('t')"));
        server.PsqlFile("VACUUM FREEZE t; SELECT 1;");
    }

    /// <summary>Increments random rows, some after a lock, some in a transaction that then aborts; gives the number of increments that count.</summary>
    private static int Work(HeapWriter writer, HeapTable table, Random random)
    {
        int done = 0;
        for (int round = 0; round < Rounds; round++)
        {
            int a = random.Next(1, Rows + 1);
            Transaction tx = writer.Engine.Transactions.Begin();
            bool abort = random.Next(8) == 0;
            RowLockMode? mode = random.Next(5) switch { 0 => RowLockMode.KeyShare, 1 => RowLockMode.NoKeyExclusive, 2 => RowLockMode.Exclusive, _ => null };
            if (mode == RowLockMode.KeyShare)
            {
                // Shares the key of another row than it updates, as a foreign key's check does.
                Tid shared = Find(table, tx, random.Next(1, Rows + 1), out _);
                using Snapshot s = tx.TakeSnapshot();
                ModifyResult result = table.Lock(tx, ref shared, s, RowLockMode.KeyShare, LockWait.Wait, followUpdates: true);
                Assert.Equal(ModifyOutcome.Ok, result.Outcome);
            }

            bool hotKey = random.Next(2) == 0;
            Increment(table, tx, a, mode is RowLockMode.KeyShare ? null : mode, hotKey ? FirstColumn : NoColumns);
            if (abort)
            {
                tx.Abort();
            }
            else
            {
                tx.Commit();
                done++;
            }
        }

        return done;
    }

    private static void Increment(HeapTable table, Transaction tx, int a, RowLockMode? mode, HashSet<int> indexed)
    {
        Tid tid = Find(table, tx, a, out int n);
        while (true)
        {
            using Snapshot snapshot = tx.TakeSnapshot();
            if (mode is { } lockMode)
            {
                ModifyResult locked = table.Lock(tx, ref tid, snapshot, lockMode, LockWait.Wait, followUpdates: true);
                Assert.Equal(ModifyOutcome.Ok, locked.Outcome);
                var values = new Datum[2];
                Assert.True(table.TryFetchVersion(tid, values));
                n = values[1].Int32;
            }

            ModifyResult result = table.Update(tx, tid, [Datum.FromInt32(a), Datum.FromInt32(n + 1)], snapshot, indexed, indexed, out _);
            if (result.Outcome == ModifyOutcome.Ok)
            {
                return;
            }

            // Another session's update came first: its version is the one to change.
            Assert.Equal(ModifyOutcome.Updated, result.Outcome);
            var latest = new Datum[2];
            Tid next = result.NewTid;
            Assert.Equal(ModifyOutcome.Ok, table.Lock(tx, ref next, snapshot, RowLockMode.NoKeyExclusive, LockWait.Wait, followUpdates: true).Outcome);
            Assert.True(table.TryFetchVersion(next, latest));
            Assert.Equal(a, latest[0].Int32);
            tid = next;
            n = latest[1].Int32;
        }
    }

    private static Tid Find(HeapTable table, Transaction tx, int a, out int n)
    {
        using Snapshot snapshot = tx.TakeSnapshot();
        var values = new Datum[2];
        using HeapScan scan = table.Scan(snapshot);
        Tid found = Tid.Invalid;
        n = 0;
        int count = 0;
        while (scan.Next(values))
        {
            count++;
            if (values[0].Int32 == a)
            {
                found = scan.Tid;
                n = values[1].Int32;
            }
        }

        Assert.Equal(Rows, count);
        return found;
    }
}
