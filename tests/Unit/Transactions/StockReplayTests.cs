using SharedStorage.Buffers;
using SharedStorage.Format.Control;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Transactions;

/// <summary>Stock PostgreSQL writes log and files; our replay of the log over the files as they were before must give its files (DESIGN section 8).</summary>
public sealed class StockReplayTests
{
    private const string Schema = """
        CREATE TABLE t (id int PRIMARY KEY, n int);
        INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i;
        CREATE PROCEDURE many(how_many int) LANGUAGE plpgsql AS $$
        BEGIN
          FOR i IN 1..how_many LOOP
            BEGIN
              UPDATE t SET n = n + 1 WHERE id = 20;
              IF i % 3 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
            EXCEPTION WHEN OTHERS THEN NULL;
            END;
            IF i % 500 = 0 THEN COMMIT; END IF;
          END LOOP;
        END $$;
        """;

    /// <summary>Sessions that share row locks and change locked rows, some with savepoints that are rolled back.</summary>
    private const string Sharing = """
        \set id random(1, 5)
        BEGIN;
        SELECT id FROM t WHERE id = :id FOR KEY SHARE;
        SAVEPOINT a;
        SELECT id FROM t WHERE id = :id FOR SHARE SKIP LOCKED;
        ROLLBACK TO a;
        SELECT id FROM t WHERE id = 6 FOR KEY SHARE;
        UPDATE t SET n = n + 1 WHERE id = 6;
        COMMIT;
        """;

    [SkippableFact]
    public void Replayed_transactions_give_the_files_of_PostgreSQL()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["synchronous_commit = off", "autovacuum = off", "checkpoint_timeout = 1h", "max_wal_size = 4GB"]);
        using TestDirectory ours = CopyAreas(server.DataDirectory);
        ControlFile before = new ControlFileStore(server.DataDirectory).Read();

        server.Start();
        server.PsqlFile(Schema);
        string root = StockPostgres.NewRoot();
        string script = Path.Combine(root, "sharing.sql");
        File.WriteAllText(script, Sharing);
        server.Pgbench("-n", "-c", "8", "-j", "2", "-t", "500", "-f", script);
        server.Psql("CALL many(34000)");
        server.Pgbench("-n", "-c", "8", "-j", "2", "-t", "100", "-f", script);
        server.Stop();
        Directory.Delete(root, recursive: true);

        ControlFile after = new ControlFileStore(server.DataDirectory).Read();
        TransactionManager manager = Replay(server, ours.Path, before);
        Assert.Equal(after.CheckPoint.NextXid, manager.NextFullXid);
        Assert.Equal(after.CheckPoint.NextMulti, manager.MultiXacts.Limits.Next);
        Assert.Equal(after.CheckPoint.NextMultiOffset, manager.MultiXacts.Limits.NextOffset);
        Assert.True(manager.MultiXacts.Limits.Next.Value > 2048, "the workload made too few multixacts to cross a page");

        var log = new ModelLog();
        log.Release(Lsn.Max);
        manager.OpenForWrites(log);
        Assert.True(manager.FlushAreas(new OpenGate(), Lsn.Max));
        Assert.Equal(Lsn.Max, manager.OldestUnflushed());
        foreach (string area in new[] { "pg_xact", "pg_multixact/offsets", "pg_multixact/members" })
        {
            foreach (string file in Directory.GetFiles(Path.Combine(server.DataDirectory, area)))
            {
                byte[] theirs = File.ReadAllBytes(file);
                byte[] own = File.ReadAllBytes(Path.Combine(ours.Path, area, Path.GetFileName(file)));
                Assert.Equal(theirs.Length, own.Length);
                for (int at = 0; at < theirs.Length; at += 8192)
                {
                    Assert.True(theirs.AsSpan(at, 8192).SequenceEqual(own.AsSpan(at, 8192)), $"{area}/{Path.GetFileName(file)} page {at / 8192} differs");
                }
            }
        }
    }

    private static TransactionManager Replay(StockPostgres server, string directory, in ControlFile from)
    {
        var manager = new TransactionManager(directory, readOnly: false, new LockManager(), TimeProvider.System);
        manager.Start(TransactionStart.From(from.CheckPoint, shutdown: true));
        var replay = new TransactionReplay(manager);
        var wal = new WalDirectory(Path.Combine(server.DataDirectory, "pg_wal"), (int)from.WalSegmentSize, from.SystemIdentifier);
        using WalReader reader = WalReader.Open(wal, wal.ReadHistory(from.CheckPoint.Timeline), from.CheckPoint.Redo);
        var record = new WalRecord();
        long commits = 0;
        while (reader.Read(record) == WalRead.Record)
        {
            Lsn visible = manager.Visible;
            bool mine = replay.Apply(record);
            manager.AdvanceVisible(record.End);
            if (mine && record.Rmgr == Rmgr.Transaction && (record.Info & 0x70) == 0 && record.Xid.IsValid)
            {
                commits++;
                Assert.False(manager.CommittedAtOrBefore(record.Xid, visible));
                Assert.True(manager.CommittedAtOrBefore(record.Xid, record.End));
            }
        }

        Assert.True(commits > 4000);
        Assert.True(manager.XidHorizon.Follows(from.CheckPoint.NextXid.Xid), "the horizon does not move on a node that applies");
        return manager;
    }

    private static TestDirectory CopyAreas(string dataDirectory)
    {
        var copy = new TestDirectory();
        foreach (string area in new[] { "pg_xact", "pg_multixact/offsets", "pg_multixact/members" })
        {
            string to = Path.Combine(copy.Path, area);
            Directory.CreateDirectory(to);
            foreach (string file in Directory.GetFiles(Path.Combine(dataDirectory, area)))
            {
                File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
            }
        }

        return copy;
    }

    private sealed class TestDirectory : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("replay").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}

/// <summary>A gate that lets pages through up to a position, for readers that have applied so far.</summary>
internal sealed class OpenGate : IFlushGate
{
    public Lsn LowestApplied { get; set; } = Lsn.Max;

    public FlushVerdict Judge(Lsn pageLsn) => pageLsn <= LowestApplied ? FlushVerdict.Write : FlushVerdict.AheadOfReader;
}
