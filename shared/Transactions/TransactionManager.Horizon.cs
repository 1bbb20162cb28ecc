using SharedStorage.Primitives;

namespace SharedStorage.Transactions;

/// <summary>
/// The horizons (I7, R5). H is the oldest snapshot LSN in the cluster: local slots, what remote readers reported, visible. The xid horizon is the oldest xid
/// that had not ended at H; a cursor that only moves forward, so each xid is looked at about once.
/// </summary>
/// <remarks>
/// A snapshot is registered without a lock: it stores its LSN in its session's slot, then looks at <see cref="_horizon"/>; who computes the horizon stores a
/// candidate there, then reads the slots. With a full fence between on both sides one of them sees the other: either the slot counts, or the
/// snapshot finds that it came too late and takes a newer visible.
/// </remarks>
public sealed partial class TransactionManager
{
    private readonly Lock _horizonLock = new();
    private readonly Lock _slotsLock = new();
    private readonly Stack<SnapshotSlot> _freeSlots = new();
    private SnapshotSlot[] _slots = [];
    private ulong _horizon;
    private ulong _remoteHorizon = ulong.MaxValue;
    private Xid _horizonCursor = Xid.FirstNormal;
    private Xid _endedByLog = Xid.FirstNormal;
    private uint _feedback;
    private volatile bool _read;

    /// <summary>All xids before this had ended at the checkpoint where this node began, but for prepared ones.</summary>
    private uint _endedAtStart;

    /// <summary>H: the oldest snapshot LSN in the cluster (I7). A row version may go only when its deleter's commit ends at or before it. Never goes back.</summary>
    public Lsn Horizon
    {
        get
        {
            lock (_horizonLock)
            {
                return ComputeHorizon();
            }
        }
    }

    /// <summary>
    /// The oldest xid that had not ended at H: what freeze limits, relfrozenxid and recycling follow (R5). While H lies before B nothing is known of
    /// those that ended before B, so it is the oldest xid of the cluster then (R8).
    /// </summary>
    public Xid XidHorizon
    {
        get
        {
            lock (_horizonLock)
            {
                Lsn h = ComputeHorizon();
                if (h < Map.Start)
                {
                    return OldestXid;
                }

                MoveCursor(h);
                Map.CutBelow(_horizonCursor, h);
                var feedback = new Xid(Volatile.Read(ref _feedback));
                return feedback.IsNormal && feedback.Precedes(_horizonCursor) ? feedback : _horizonCursor;
            }
        }
    }

    /// <summary>
    /// The oldest snapshot LSN of the remote readers that count; <see cref="Lsn.Max"/> without any. The node sets it before it grants what depends on it,
    /// and a reader opens no snapshot below the horizon that was in use then (R4).
    /// </summary>
    public Lsn RemoteHorizon
    {
        get => new(Volatile.Read(ref _remoteHorizon));
        set => Volatile.Write(ref _remoteHorizon, value.Value);
    }

    /// <summary>A stock standby's hot_standby_feedback; invalid for none.</summary>
    public Xid StandbyFeedback
    {
        get => new(Volatile.Read(ref _feedback));
        set => Volatile.Write(ref _feedback, value.Value);
    }

    /// <summary>The oldest snapshot that is open on this node; <see cref="Lsn.Max"/> for none (R4).</summary>
    public Lsn OldestSnapshot => OldestOfSlots(Lsn.Max);

    /// <summary>Whether a snapshot was opened since the last call: a reader whose queries run wants the log sooner.</summary>
    public bool TakeReadMark()
    {
        bool read = _read;
        _read = false;
        return read;
    }

    /// <summary>Who lets snapshots be opened: a reader's lease. Null on a writer.</summary>
    public ISnapshotAdmission? Admission { get; set; }

    /// <summary>A snapshot that belongs to no transaction: it sees what has committed.</summary>
    public Snapshot TakeSnapshot()
    {
        SnapshotSlot slot = RentSlot();
        try
        {
            return new Snapshot { Lsn = Publish(slot), Command = CommandId.First, Slot = slot, SlotOwner = this };
        }
        catch
        {
            ReturnSlot(slot);
            throw;
        }
    }

    internal SnapshotSlot RentSlot()
    {
        lock (_slotsLock)
        {
            if (_freeSlots.TryPop(out SnapshotSlot? free))
            {
                return free;
            }

            var slot = new SnapshotSlot();
            Volatile.Write(ref _slots, [.. _slots, slot]);
            return slot;
        }
    }

    internal void ReturnSlot(SnapshotSlot slot)
    {
        slot.Clear();
        lock (_slotsLock)
        {
            _freeSlots.Push(slot);
        }
    }

    /// <summary>Registers visible in an empty slot and gives it. The admission is asked once the slot shows the snapshot: who ends snapshots sees it, or it is refused here (R4).</summary>
    internal Lsn Publish(SnapshotSlot slot)
    {
        if (!_read)
        {
            _read = true;
        }

        while (true)
        {
            Lsn at = Visible;
            FaultPoint.Hit("snapshot.before-publish");
            slot.Set(at);
            if (at.Value < Volatile.Read(ref _horizon))
            {
                continue;
            }

            if (Admission is not { } admission || admission.MayOpen(at))
            {
                return at;
            }

            slot.Clear();
            admission.Await();
        }
    }

    /// <summary>
    /// The transactions and subtransactions that run where the tail of a node that applies is, by xid: those of which the log has told no end, and which it does not say cannot run.
    /// </summary>
    public IReadOnlyList<Xid> ReplayedRunning()
    {
        Xid ended;
        lock (_horizonLock)
        {
            ended = _endedByLog;
        }

        var running = new List<Xid>();
        foreach (TwoPhase.PreparedTransaction p in Prepared.List())
        {
            running.AddRange(new[] { p.Xid }.Concat(p.Children).Where(x => x.Precedes(ended)));
        }

        Xid next = NextXid;
        for (Xid xid = ended; xid.Precedes(next); xid = xid.Next())
        {
            if (!HasReplayedEnd(xid))
            {
                running.Add(xid);
            }
        }

        running.Sort(static (a, b) => a == b ? 0 : a.Precedes(b) ? -1 : 1);
        return running;
    }

    /// <summary>On a node that applies: whether the log, or clog as it was where the node began, tells of an end.</summary>
    internal bool HasReplayedEnd(Xid xid) =>
        Map.Get(xid) != CommitLsnMap.Unknown || Clog.Get(xid, Slru.SlruMissing.ReadsAsZero) is XidStatus.Committed or XidStatus.Aborted;

    /// <summary>One past the newest xid that has ended: what a snapshot of PostgreSQL calls xmax.</summary>
    public Xid ReplayedXmax => new Xid(Volatile.Read(ref _latestCompleted)).Next();

    private void StartHorizon(Lsn begin, Xid ended)
    {
        lock (_horizonLock)
        {
            Volatile.Write(ref _horizon, 0);
            _horizonCursor = ended;
            _endedByLog = new Xid(Volatile.Read(ref _endedAtStart));
            _ = begin;
        }
    }

    private Lsn ComputeHorizon()
    {
        ulong last = _horizon;
        Lsn candidate = Lsn.MaxOf(new Lsn(last), Lsn.Min(OldestOfSlots(Visible), RemoteHorizon));
        if (candidate.Value == last)
        {
            return candidate;
        }

        Interlocked.Exchange(ref _horizon, candidate.Value);
        Lsn settled = Lsn.MaxOf(new Lsn(last), OldestOfSlots(candidate));
        Volatile.Write(ref _horizon, settled.Value);
        return settled;
    }

    private Lsn OldestOfSlots(Lsn noLaterThan)
    {
        foreach (SnapshotSlot slot in Volatile.Read(ref _slots))
        {
            noLaterThan = Lsn.Min(noLaterThan, slot.Lsn);
        }

        return noLaterThan;
    }

    /// <summary>On a node that applies: all xids before this had ended where the tail is (a running-transactions record, a shutdown).</summary>
    internal void NoteEndedBefore(Xid xid)
    {
        lock (_horizonLock)
        {
            if (_endedByLog.Precedes(xid))
            {
                _endedByLog = xid;
            }
        }
    }

    private void MoveCursor(Lsn h)
    {
        bool writer = Log is not null;
        Xid stop = NextXid;
        while (_horizonCursor != stop)
        {
            ulong end = Map.Get(_horizonCursor);
            if (end == CommitLsnMap.Running || end > h.Value)
            {
                return;
            }

            // Without an end: on the writer it crashed; on a reader it runs unless the log said that it cannot. Prepared ones run all the same.
            if (end == CommitLsnMap.Unknown && !writer && (!_horizonCursor.Precedes(_endedByLog) || Prepared.Owns(_horizonCursor)))
            {
                return;
            }

            _horizonCursor = _horizonCursor.Next();
        }
    }
}

/// <summary>Says whether snapshots may be opened on a node that applies (R4, I8).</summary>
public interface ISnapshotAdmission
{
    /// <summary>Whether a snapshot that is published may be read from.</summary>
    bool MayOpen(Lsn snapshot);

    /// <summary>Returns when it may be tried again.</summary>
    /// <exception cref="PgException">The node does not answer now.</exception>
    void Await();
}

/// <summary>The oldest snapshot of one session; alone on its cache line, since its session writes it with every statement.</summary>
internal sealed class SnapshotSlot
{
    private PaddedLsn _lsn = new() { Value = ulong.MaxValue };

    internal Lsn Lsn => new(Volatile.Read(ref _lsn.Value));

    /// <summary>A full fence follows the store: the caller looks at the horizon next.</summary>
    internal void Set(Lsn lsn) => Interlocked.Exchange(ref _lsn.Value, lsn.Value);

    /// <summary>The session's oldest snapshot is a later one now, or none.</summary>
    internal void Raise(Lsn lsn) => Volatile.Write(ref _lsn.Value, lsn.Value);

    internal void Clear() => Volatile.Write(ref _lsn.Value, ulong.MaxValue);

    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 128)]
    private struct PaddedLsn
    {
        [System.Runtime.InteropServices.FieldOffset(64)] internal ulong Value;
    }
}
