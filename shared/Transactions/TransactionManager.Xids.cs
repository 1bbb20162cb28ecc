using System.Buffers.Binary;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions;

/// <summary>Handing out xids, and who runs (PostgreSQL's varsup.c and procarray.c).</summary>
public sealed partial class TransactionManager
{
    private readonly Lock _xids = new();
    private readonly Lock _running = new();
    private readonly List<Transaction> _withXid = [];
    private ulong _nextXid;
    private uint _latestCompleted = Xid.FirstNormal.Value;

    public Xid NextXid => new((uint)Volatile.Read(ref _nextXid));

    /// <summary>With the epoch, as the control file has it.</summary>
    public FullXid NextFullXid => new(Volatile.Read(ref _nextXid));

    /// <summary>A new session-level transaction; no xid yet.</summary>
    public Transaction Begin(bool readOnly = false) => Begin(new LockSession { IsTransient = true }, readOnly);

    /// <summary>A new transaction of a session, whose locks it takes.</summary>
    public Transaction Begin(LockSession session, bool readOnly = false) => new(this, session, readOnly);

    /// <summary>The oldest running xid, or the next one when none runs.</summary>
    public Xid OldestRunningXid
    {
        get
        {
            // Read first: whoever takes an xid afterwards gets this one or a later.
            Xid oldest = NextXid;
            lock (_running)
            {
                foreach (Transaction tx in _withXid)
                {
                    oldest = tx.TopXidOrInvalid.Precedes(oldest) ? tx.TopXidOrInvalid : oldest;
                }
            }

            return oldest;
        }
    }

    /// <summary>The running top-level transactions that have an xid.</summary>
    public Transaction[] Running()
    {
        lock (_running)
        {
            return [.. _withXid];
        }
    }

    /// <summary>Logs who runs now, at a checkpoint and about every 15 seconds, for hot standbys (LogStandbySnapshot); gives the record's end.</summary>
    public Lsn LogRunningXacts()
    {
        ITransactionLog log = WritableLog;
        var tops = new List<Xid>();
        var children = new List<Xid>();

        // No xid is handed out in between, so the list is whole.
        lock (_xids)
        {
            Xid next = NextXid;
            Xid oldest = next;
            lock (_running)
            {
                foreach (Transaction tx in _withXid)
                {
                    tops.Add(tx.TopXidOrInvalid);
                    tx.CopyChildren(children);
                    oldest = tx.TopXidOrInvalid.Precedes(oldest) ? tx.TopXidOrInvalid : oldest;
                }
            }

            var record = new RunningXacts
            {
                TopCount = tops.Count,
                ChildCount = children.Count,
                Next = next,
                OldestRunning = oldest,
                LatestCompleted = new Xid(Volatile.Read(ref _latestCompleted)),
                Xids = (Xid[])[.. tops, .. children],
            };
            return log.Insert(Xid.Invalid, Rmgr.Standby, RunningXacts.OpRunningXacts, record.ToBytes(), WalRecordFlags.Unimportant);
        }
    }

    /// <summary>Logs an access exclusive lock for hot standbys (LogAccessExclusiveLock).</summary>
    public void LogAccessExclusiveLock(Xid xid, Oid database, Oid relation)
    {
        Span<byte> body = stackalloc byte[16];
        BinaryPrimitives.WriteInt32LittleEndian(body, 1);
        BinaryPrimitives.WriteUInt32LittleEndian(body[4..], xid.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body[8..], database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body[12..], relation.Value);
        WritableLog.Insert(xid, Rmgr.Standby, RunningXacts.OpLocks, body, WalRecordFlags.Unimportant);
    }

    internal MultiXactId OldestMultiXactOfRunning(MultiXactId next)
    {
        MultiXactId oldest = next;
        lock (_running)
        {
            foreach (Transaction tx in _withXid)
            {
                MultiXactId first = tx.OldestMultiXact;
                oldest = first.IsValid && first.Precedes(oldest) ? first : oldest;
            }
        }

        return oldest;
    }

    /// <summary>Gives out an xid; its pages are there and the map says that it runs before anyone can meet it.</summary>
    /// <exception cref="PgException">The numbers are about to wrap (54000).</exception>
    internal Xid AssignXid(Transaction tx, Xid parent)
    {
        ITransactionLog log = WritableLog;
        CheckXidLimits(tx);
        lock (_xids)
        {
            var full = new FullXid(_nextXid);
            Xid xid = full.Xid;
            Clog.Extend(xid, log);
            CommitTimestamps.Extend(xid, log);
            Map.Set(xid, CommitLsnMap.Running);
            tx.NoteXid(xid, parent);
            if (!parent.IsValid)
            {
                lock (_running)
                {
                    _withXid.Add(tx);
                }
            }

            Volatile.Write(ref _nextXid, full.Next().Value);
            return xid;
        }
    }

    internal void LogAssignment(Xid top, ReadOnlySpan<Xid> children)
    {
        byte[] body = new byte[8 + (children.Length * Xid.Size)];
        BinaryPrimitives.WriteUInt32LittleEndian(body, top.Value);
        BinaryPrimitives.WriteInt32LittleEndian(body.AsSpan(4), children.Length);
        System.Runtime.InteropServices.MemoryMarshal.AsBytes(children).CopyTo(body.AsSpan(8));
        WritableLog.Insert(top, Rmgr.Transaction, XactEnd.OpAssignment, body);
    }

    /// <summary>The running transaction that the xid belongs to, as itself or as a subtransaction; null when it has ended.</summary>
    internal Transaction? FindRunning(Xid xid)
    {
        if (!IsInProgress(xid))
        {
            return null;
        }

        lock (_running)
        {
            foreach (Transaction tx in _withXid)
            {
                if (tx.Owns(xid))
                {
                    return tx;
                }
            }
        }

        return null;
    }

    private void Forget(Transaction tx, Xid latest)
    {
        lock (_running)
        {
            _withXid.Remove(tx);
            if (new Xid(_latestCompleted).Precedes(latest))
            {
                Volatile.Write(ref _latestCompleted, latest.Value);
            }
        }
    }
}
