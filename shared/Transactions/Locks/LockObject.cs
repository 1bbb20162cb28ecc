namespace SharedStorage.Transactions.Locks;

/// <summary>A thing that somebody holds or waits for: who, in which modes, and the queue. Belongs to a partition of the table, whose lock guards it.</summary>
internal sealed class LockObject(LockTag tag)
{
    private readonly int[] _granted = new int[LockConflicts.ModeCount];

    internal LockTag Tag { get; } = tag;
    internal List<LockHolder> Holders { get; } = [];

    /// <summary>Who waits, in the order in which they are served.</summary>
    internal List<LockWaiter> Queue { get; private set; } = [];

    internal bool IsUnused => Holders.Count == 0 && Queue.Count == 0;

    internal LockHolder? HolderOf(LockSession session)
    {
        foreach (LockHolder h in Holders)
        {
            if (ReferenceEquals(h.Session, session))
            {
                return h;
            }
        }

        return null;
    }

    internal int HeldBy(LockSession session) => HolderOf(session)?.Modes ?? 0;

    /// <summary>Whether a mode excludes what others hold (LockCheckConflicts): own locks never do.</summary>
    internal bool ConflictsWithHeld(LockSession session, LockMode mode)
    {
        int conflicts = LockConflicts.Of(mode);
        int own = HeldBy(session);
        for (int m = 1; m < LockConflicts.ModeCount; m++)
        {
            if ((conflicts & (1 << m)) != 0 && _granted[m] > ((own >> m) & 1))
            {
                return true;
            }
        }

        return false;
    }

    internal bool ConflictsWithQueue(LockMode mode)
    {
        foreach (LockWaiter w in Queue)
        {
            if ((LockConflicts.Of(mode) & LockConflicts.Bit(w.Mode)) != 0)
            {
                return true;
            }
        }

        return false;
    }

    internal void Grant(LockSession session, LockMode mode)
    {
        LockHolder? holder = HolderOf(session);
        if (holder is null)
        {
            holder = new LockHolder(session);
            Holders.Add(holder);
        }

        if ((holder.Modes & LockConflicts.Bit(mode)) == 0)
        {
            holder.Modes |= LockConflicts.Bit(mode);
            _granted[(int)mode]++;
        }
    }

    /// <summary>Takes a mode back, and serves the queue.</summary>
    internal void Ungrant(LockSession session, LockMode mode)
    {
        LockHolder? holder = HolderOf(session);
        if (holder is null || (holder.Modes & LockConflicts.Bit(mode)) == 0)
        {
            return;
        }

        holder.Modes &= ~LockConflicts.Bit(mode);
        _granted[(int)mode]--;
        if (holder.Modes == 0)
        {
            Holders.Remove(holder);
        }

        Serve();
    }

    /// <summary>Grants what can be granted, in the order of the queue: nobody passes one ahead whose mode excludes his (ProcLockWakeup).</summary>
    internal void Serve()
    {
        int ahead = 0;
        for (int i = 0; i < Queue.Count;)
        {
            LockWaiter w = Queue[i];
            if ((LockConflicts.Of(w.Mode) & ahead) == 0 && !ConflictsWithHeld(w.Session, w.Mode))
            {
                Queue.RemoveAt(i);
                Grant(w.Session, w.Mode);
                w.Wake(granted: true);
            }
            else
            {
                ahead |= LockConflicts.Bit(w.Mode);
                i++;
            }
        }
    }

    /// <summary>
    /// Where a new waiter stands (ProcSleep): last, but before the first that waits for what he holds, since that one cannot be served before him.
    /// Gives -1 when the two would wait for each other.
    /// </summary>
    internal int PlaceInQueue(LockSession session, LockMode mode, out bool grantable)
    {
        grantable = false;
        int held = HeldBy(session);
        int ahead = 0;
        for (int i = 0; held != 0 && i < Queue.Count; i++)
        {
            LockWaiter w = Queue[i];
            if ((LockConflicts.Of(w.Mode) & held) != 0)
            {
                if ((LockConflicts.Of(mode) & HeldBy(w.Session)) != 0)
                {
                    return -1;
                }

                grantable = (LockConflicts.Of(mode) & ahead) == 0 && !ConflictsWithHeld(session, mode);
                return i;
            }

            ahead |= LockConflicts.Bit(w.Mode);
        }

        return Queue.Count;
    }

    internal void Reorder(List<LockWaiter> queue) => Queue = queue;
}

/// <summary>The modes in which one session holds an object.</summary>
internal sealed class LockHolder(LockSession session)
{
    internal LockSession Session { get; } = session;
    internal int Modes { get; set; }
}

/// <summary>A session in an object's queue. Its thread sleeps on it.</summary>
internal sealed class LockWaiter(LockSession session, LockObject target, LockMode mode)
{
    private bool _done;

    internal bool IsDone
    {
        get
        {
            lock (this)
            {
                return _done;
            }
        }
    }

    internal LockSession Session { get; } = session;
    internal LockObject Object { get; } = target;
    internal LockMode Mode { get; } = mode;

    /// <summary>The waiter and one in the queue wait for each other, so the check need not wait for deadlock_timeout.</summary>
    internal bool CheckAtOnce { get; init; }

    internal void Wake(bool granted)
    {
        lock (this)
        {
            _done |= granted;
            Monitor.PulseAll(this);
        }
    }

    /// <summary>Sleeps until granted, woken for another reason, or the time is up. True: granted.</summary>
    internal bool Sleep(TimeSpan atMost)
    {
        lock (this)
        {
            if (!_done && !Session.IsInterrupted)
            {
                Monitor.Wait(this, atMost);
            }

            return _done;
        }
    }
}
