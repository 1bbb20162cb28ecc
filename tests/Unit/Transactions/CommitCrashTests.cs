using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Transactions;

/// <summary>What a writer that dies leaves: the log up to some place, and files as the last flushes left them. Replay from the checkpoint's redo decides.</summary>
public sealed class CommitCrashTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void After_a_crash_just_those_are_committed_whose_record_is_in_the_log(int seed)
    {
        var random = new Random(seed);
        using var cluster = new TestCluster(nextXid: 32_500);
        TransactionManager manager = cluster.Manager;
        var ends = new Dictionary<Xid, Lsn>();
        TransactionStart start = StartAt(manager, manager.Visible);
        var multis = new Dictionary<MultiXactId, (Lsn End, MultiXactMember[] Members)>();
        var open = new List<Transaction>();
        Lsn written = Lsn.Invalid;
        for (int step = 0; step < 1500; step++)
        {
            switch (random.Next(12))
            {
                case < 4:
                    open.Add(manager.Begin());
                    _ = open[^1].Xid;
                    break;
                case 4 when open.Count > 1:
                    MultiXactMember[] members = [new(open[0].Xid, MultiXactStatus.ForKeyShare), new(open[^1].Xid, MultiXactStatus.NoKeyUpdate)];
                    multis[manager.MultiXacts.Create(members)] = (cluster.Log.Reserved, members);
                    break;
                case < 10 when open.Count > 0:
                    Transaction tx = open[random.Next(open.Count)];
                    open.Remove(tx);
                    End(tx, random, ends);
                    break;
                case 10:
                    manager.FlushAreas(new OpenGate(), Lsn.Max);
                    written = cluster.Log.Reserved;
                    break;
                default:
                    Lsn redo = cluster.Log.Reserved;
                    TransactionStart next = StartAt(manager, redo);
                    manager.CompleteCommitsBefore(redo);
                    Assert.True(manager.FlushAreas(new OpenGate(), redo));
                    Assert.True(manager.OldestUnflushed() >= redo);
                    written = cluster.Log.Reserved;
                    start = next;
                    break;
            }
        }

        // The log survives to a place at or beyond what pages on disk have (I1).
        Lsn crash = new((ulong)random.NextInt64((long)Lsn.MaxOf(written, start.Begin).Value, (long)cluster.Log.Reserved.Value + 1));
        TransactionManager recovered = TestCluster.Open(cluster.Directory, 1, readOnly: false);
        recovered.Start(start);
        Replay(recovered, cluster.Log, start.Begin, crash);
        var log = new ModelLog();
        recovered.OpenForWrites(log);
        foreach ((Xid xid, Lsn end) in ends)
        {
            bool committed = end.IsValid && end <= crash;
            Assert.Equal(committed, recovered.DidCommit(xid));
            Assert.Equal(committed, recovered.CommittedAtOrBefore(xid, recovered.Visible));
        }

        Assert.All(open, t => Assert.False(recovered.DidCommit(t.TopXidOrInvalid)));
        foreach ((MultiXactId multi, (Lsn end, MultiXactMember[] members)) in multis)
        {
            if (end <= crash)
            {
                Assert.Equal(members, recovered.MultiXacts.GetMembers(multi, onlyLockers: false));
            }
        }
    }

    [SkippableFact]
    public void The_real_log_tells_the_same_to_a_reader_and_to_pg_waldump()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var cluster = new TestCluster(writer: false);
        var begin = new Lsn(0x1000000);
        TransactionManager manager = TestCluster.Open(cluster.Directory, 32_000, readOnly: false, begin.Value);
        using Snapshot keepsTheWritersMap = manager.TakeSnapshot();
        string folder = StockPostgres.NewRoot();
        var directory = new WalDirectory(folder, 1 << 20, 42);
        var options = new WalInserterOptions { Directory = directory, Timeline = new TimelineId(1), BufferSize = 256 << 10 };
        int commits = 0;
        using (WalInserter wal = WalInserter.Start(options, new WalStart { InsertAt = begin, PreviousRecord = Lsn.Invalid, RedoPointer = begin }))
        {
            manager.OpenForWrites(new TransactionLog(wal));
            Thread[] threads = [.. Enumerable.Range(0, 6).Select(n => new Thread(() =>
            {
                var random = new Random(n);
                for (int i = 0; i < 200; i++)
                {
                    Transaction tx = manager.Begin();
                    tx.Database = new Oid(5);
                    tx.DatabaseTablespace = RelFileNode.DefaultTablespace;
                    _ = tx.Xid;
                    tx.SynchronousCommit = i % 10 == 0 ? SynchronousCommit.Off : SynchronousCommit.On;
                    var ended = new Dictionary<Xid, Lsn>();
                    End(tx, random, ended);
                    Interlocked.Add(ref commits, ended[tx.TopXidOrInvalid].IsValid ? 1 : 0);
                }
            }))];
            Array.ForEach(threads, t => t.Start());
            Array.ForEach(threads, t => t.Join());
            wal.Flush(manager.LogRunningXacts());
        }

        TransactionManager reader = TestCluster.Open(cluster.Directory, 32_000, readOnly: true, begin.Value);
        Snapshot keepsTheReadersMap = reader.TakeSnapshot();
        var replay = new TransactionReplay(reader);
        using (WalReader records = WalReader.Open(directory, directory.ReadHistory(new TimelineId(1)), begin))
        {
            var record = new WalRecord();
            while (records.Read(record) == WalRead.Record)
            {
                Assert.True(replay.Apply(record));
                reader.AdvanceVisible(record.End);
            }
        }

        Assert.Equal(manager.NextXid, reader.NextXid);
        for (Xid x = new(32_000); x.Precedes(manager.NextXid); x = x.Next())
        {
            Assert.Equal(manager.StatusOf(x), reader.StatusOf(x));
            Assert.Equal(manager.CommitLsnOf(x), reader.CommitLsnOf(x));
        }

        Assert.Equal(new Xid(32_000), reader.XidHorizon);
        keepsTheReadersMap.Dispose();
        Assert.Equal(reader.NextXid, reader.XidHorizon);
        foreach (WalSegmentName segment in directory.List())
        {
            MakeReadable(directory.SegmentPath(segment.Timeline, segment.Segment));
        }

        (_, string text, string problem) = StockPostgres.TryTool("pg_waldump", "-p", folder, "-s", "0/1000028", "-r", "Transaction", "000000010000000000000010");
        Assert.True(text.Length != 0, problem);
        Assert.Equal(commits, text.Split('\n').Count(l => l.Contains("COMMIT", StringComparison.Ordinal)));
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>PostgreSQL's programs do not run as root.</summary>
    private static void MakeReadable(string file)
    {
        if (OperatingSystem.IsLinux())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        }
    }

    private static TransactionStart StartAt(TransactionManager manager, Lsn redo) => new()
    {
        NextXid = manager.NextFullXid,
        OldestXid = Xid.FirstNormal,
        OldestXidDatabase = new Oid(1),
        OldestActiveXid = manager.OldestRunningXid,
        MultiXacts = manager.MultiXacts.Limits,
        Begin = redo,
    };

    /// <summary>Commits or aborts after some subtransactions, and notes where each xid's commit ends; invalid for an abort.</summary>
    private static void End(Transaction tx, Random random, Dictionary<Xid, Lsn> ends)
    {
        var kept = new List<Xid> { tx.Xid };
        for (int s = random.Next(4); s > 0; s--)
        {
            tx.BeginSub(null);
            Xid xid = tx.Xid;
            if (random.Next(3) == 0)
            {
                tx.AbortSub();
                ends[xid] = Lsn.Invalid;
            }
            else
            {
                tx.AddInvalidation(MemoryMarshal.AsBytes<int>([-2, 5, 16384, 0]));
                tx.ReleaseSub();
                kept.Add(xid);
            }
        }

        Lsn end = Lsn.Invalid;
        if (random.Next(4) == 0)
        {
            tx.Abort();
        }
        else
        {
            end = tx.Commit();
        }

        kept.ForEach(x => ends[x] = end);
    }

    private static void Replay(TransactionManager manager, ModelLog log, Lsn from, Lsn to)
    {
        var replay = new TransactionReplay(manager);
        foreach ((Lsn start, Lsn end, Xid xid, Rmgr rmgr, byte info, byte[] body) in log.Records.Where(r => r.Start >= from && r.End <= to))
        {
            replay.NoteXid(xid);
            switch (rmgr, info & XactEnd.OpMask)
            {
                case (Rmgr.Transaction, XactEnd.OpCommit):
                    replay.ApplyCommit(xid, XactEnd.Read(info, body), start, end);
                    break;
                case (Rmgr.Transaction, XactEnd.OpAbort):
                    replay.ApplyAbort(xid, XactEnd.Read(info, body), start, end);
                    break;
                case (Rmgr.Clog, Clog.OpZeroPage):
                    replay.ApplyClogZeroPage(BitConverter.ToUInt32(body), start, end);
                    break;
                case (Rmgr.MultiXact, MultiXacts.OpZeroMembersPage):
                    replay.ApplyMultiXactZeroMembers(BitConverter.ToUInt32(body), start, end);
                    break;
                case (Rmgr.MultiXact, MultiXacts.OpCreate):
                    replay.ApplyMultiXactCreate(MultiXactCreation.Read(body), start, end);
                    break;
                default:
                    Assert.Fail($"{rmgr} {info}");
                    break;
            }

            manager.AdvanceVisible(end);
        }
    }
}
