using System.Collections.Concurrent;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions;

/// <summary>
/// Ends of transactions in the order of the log (R14). The record is inserted and queued under one lock, so the queue has the log's order; flushes are shared
/// (group commit); whoever comes back first completes all flushed heads: clog, map, visible. So visible never passes a commit that is not in the map (I6).
/// </summary>
public sealed partial class TransactionManager
{
    /// <summary>Every so many commits the horizon is looked at, so that the map is cut while nobody asks for it.</summary>
    private const int CommitsPerCut = 1024;

    private readonly Lock _committing = new();
    private readonly Lock _completing = new();
    private readonly ConcurrentQueue<Transaction> _pending = new();
    private readonly object _visibleMoved = new();
    private byte[] _recordBuffer = new byte[1024];
    private ulong _visible;
    private int _visibleWaiters;
    private int _sinceCut;

    /// <summary>Told where the log should be flushed to soon: asynchronous commits and aborts (the writer's background flush). May be null.</summary>
    public Action<Lsn>? FlushSoon { get; set; }

    /// <summary>Returns once the readers that count have applied the position (synchronous_commit = remote_apply). May be null.</summary>
    public Action<Lsn>? WaitRemoteApply { get; set; }

    /// <summary>Inserts the commit record, has it flushed, and makes it visible; gives its end.</summary>
    internal Lsn CommitRecord(Transaction tx, ref XactEnd record, SynchronousCommit sync)
    {
        ITransactionLog log = WritableLog;
        bool wait = sync != SynchronousCommit.Off || !record.Files.IsEmpty;
        FaultPoint.Hit("commit-before-record");
        lock (_committing)
        {
            int length = record.Write(tx.IsPrepared ? XactEnd.OpCommitPrepared : XactEnd.OpCommit, ref _recordBuffer, out byte info);
            tx.CommitRecLsn = log.Reserved;
            tx.CommitEnd = log.Insert(tx.IsPrepared ? Xid.Invalid : tx.TopXidOrInvalid, Rmgr.Transaction, info, _recordBuffer.AsSpan(0, length), WalRecordFlags.IncludeOrigin);
            tx.CommitWaitsForFlush = wait;
            _pending.Enqueue(tx);
        }

        FaultPoint.Hit("commit-after-record");
        if (wait)
        {
            log.Flush(tx.CommitEnd);
            FaultPoint.Hit("commit-after-flush");
        }

        CompleteFlushed(tx);
        if (!tx.CommitDone)
        {
            // Asynchronous, behind a synchronous one whose flush still runs: visible is in the order of the log, so it goes with that flush.
            log.Flush(tx.CommitEnd);
            CompleteFlushed(tx);
        }

        Invariant.Check(tx.CommitDone, "R14", "a flushed commit was not completed");
        if (!wait)
        {
            FlushSoon?.Invoke(tx.CommitEnd);
        }

        return tx.CommitEnd;
    }

    /// <summary>Inserts an abort record and ends the xids at once: nobody waits for an abort to be durable.</summary>
    internal void AbortRecord(Xid xid, ref XactEnd record)
    {
        ITransactionLog log = WritableLog;
        byte[] buffer = [];
        bool prepared = record.TwoPhaseXid.IsValid;
        int length = record.Write(prepared ? XactEnd.OpAbortPrepared : XactEnd.OpAbort, ref buffer, out byte info);
        Lsn recLsn = log.Reserved;
        Lsn end = log.Insert(prepared ? Xid.Invalid : xid, Rmgr.Transaction, info, buffer.AsSpan(0, length), WalRecordFlags.IncludeOrigin);
        Clog.Set(xid, record.Children, XidStatus.Aborted, recLsn, end);
        foreach (Xid child in record.Children)
        {
            Map.Set(child, CommitLsnMap.Aborted);
        }

        Map.Set(xid, CommitLsnMap.Aborted);
        if (prepared)
        {
            // Its file goes next, and with it all that could tell of it: the record is durable before that.
            log.Flush(end);
            return;
        }

        FlushSoon?.Invoke(end);
    }

    /// <summary>At or before the record of the oldest commit that is not in clog yet; <see cref="Lsn.Max"/> when there is none (R7).</summary>
    public Lsn OldestPendingCommit()
    {
        // Under the lock: a record that is inserted but not queued yet counts too.
        lock (_committing)
        {
            return _pending.TryPeek(out Transaction? head) ? head.CommitRecLsn : Lsn.Max;
        }
    }

    /// <summary>
    /// Returns when every commit whose record ends at or before the position is in clog: a checkpoint calls this after it chose redo and before it flushes (R7).
    /// </summary>
    public void CompleteCommitsBefore(Lsn position)
    {
        ITransactionLog log = WritableLog;
        log.Flush(Lsn.Min(position, log.Reserved));
        lock (_committing)
        {
            // Whoever inserted a record before has queued it now.
        }

        CompleteFlushed(null);
    }

    /// <summary>Moves visible forward on a node that applies: the tail calls it in the order of the log, before it publishes <c>applied</c>.</summary>
    public void AdvanceVisible(Lsn to)
    {
        if (to > Visible)
        {
            PublishVisible(to);
        }
    }

    /// <summary>Waits until visible reaches the position (read consistency). False: the time ran out.</summary>
    public bool WaitForVisible(Lsn position, TimeSpan timeout)
    {
        if (Visible >= position)
        {
            return true;
        }

        long deadline = _time.GetTimestamp() + (long)(timeout.TotalSeconds * _time.TimestampFrequency);
        lock (_visibleMoved)
        {
            Interlocked.Increment(ref _visibleWaiters);
            try
            {
                while (Visible < position)
                {
                    TimeSpan left = _time.GetElapsedTime(_time.GetTimestamp(), deadline);
                    if (left <= TimeSpan.Zero || !Monitor.Wait(_visibleMoved, left))
                    {
                        return Visible >= position;
                    }
                }
            }
            finally
            {
                Interlocked.Decrement(ref _visibleWaiters);
            }
        }

        return true;
    }

    private void CompleteFlushed(Transaction? own)
    {
        if (own is { CommitDone: true })
        {
            return;
        }

        lock (_completing)
        {
            Lsn flushed = WritableLog.Flushed;
            while (_pending.TryPeek(out Transaction? tx) && (!tx.CommitWaitsForFlush || tx.CommitEnd <= flushed))
            {
                Complete(tx);
                // Only now does it stop to hold back consistent and redo: its clog page is dirty.
                _pending.TryDequeue(out _);
                tx.CommitDone = true;
            }
        }
    }

    private void Complete(Transaction tx)
    {
        ReadOnlySpan<Xid> children = tx.ChildXids;
        Xid top = tx.TopXidOrInvalid;
        FaultPoint.Hit("commit-before-clog");
        Clog.Set(top, children, XidStatus.Committed, tx.CommitRecLsn, tx.CommitEnd);
        CommitTimestamps.Set(top, children, tx.CommitTime, origin: 0, tx.CommitRecLsn, tx.CommitEnd, Slru.SlruMissing.ReadsAsZero);
        NoteCommit(top, children, tx.CommitEnd);
        if (tx.HasInvalidations && Listener is { } listener)
        {
            XactEnd record = tx.CommitBody();
            listener.BeforeVisible(tx.CommitEnd, top, record);
        }

        PublishVisible(tx.CommitEnd);
        Forget(tx, children.IsEmpty ? top : children[^1]);
        CutNowAndThen();
    }

    private void NoteCommit(Xid top, ReadOnlySpan<Xid> children, Lsn end)
    {
        foreach (Xid child in children)
        {
            Map.Set(child, end.Value);
        }

        Map.Set(top, end.Value);
    }

    private void PublishVisible(Lsn to)
    {
        // A full fence: a waiter that counted itself before is seen, one that counts itself after sees the new value.
        Interlocked.Exchange(ref _visible, to.Value);
        if (Volatile.Read(ref _visibleWaiters) != 0)
        {
            lock (_visibleMoved)
            {
                Monitor.PulseAll(_visibleMoved);
            }
        }
    }
}
