using System.Runtime.CompilerServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

[Flags]
internal enum FrameFlags
{
    None = 0,

    /// <summary>The page is there; until then its loader alone touches it.</summary>
    Valid = 1,

    /// <summary>The load failed; whoever waits tries by itself.</summary>
    Failed = 2,

    /// <summary>Not in the table any more: an old version, or a discarded page. It goes with its last pin.</summary>
    Detached = 4,

    /// <summary>A version made while the node applied: it never changes, so latches on it do nothing (R9).</summary>
    Immutable = 8,

    /// <summary>Somebody makes the next version from this one.</summary>
    Building = 16,

    /// <summary>Somebody waits for the other pins to go.</summary>
    CleanupWaits = 32,
}

/// <summary>
/// One page's place in memory: its name, pins, latch and dirty marks. The pin count is negative while nobody may pin it (free, or being evicted);
/// whoever pins by a name that was read without a lock checks the name again afterwards: it cannot change under a pin.
/// </summary>
internal sealed unsafe class Frame(BufferPool pool, int index, byte* pointer)
{
    public const byte MaxUsage = 5;

    private const int Claimed = int.MinValue / 2;
    private const int LatchExclusiveBit = 1 << 20;
    private const int LatchWaiters = 1 << 21;
    private const int LatchExclusiveWaits = 1 << 22;
    private const int LatchSharedMask = LatchExclusiveBit - 1;

    public readonly BufferPool Pool = pool;
    public readonly byte* Pointer = pointer;
    public readonly int Index = index;
    public BufferTag Tag;

    /// <summary>The next frame of the hash chain; -1 ends it.</summary>
    public int Next = -1;

    /// <summary>For the clock: raised by pins, lowered by each pass.</summary>
    public byte Usage;

    /// <summary>Pins that found the page here; counted on the frame, whose cache line the pin takes anyway.</summary>
    public long Hits;

    /// <summary>All records before this are in the page: its applied mark (R15). Written while loading, and raised when no entry lies between.</summary>
    public ulong Mark;

    /// <summary>Where the oldest change begins that no copy has yet; 0 is clean.</summary>
    private ulong _recLsn;

    /// <summary>The same for the copy that is being written now; 0 when none is.</summary>
    private ulong _writingRecLsn;

    private int _pins = Claimed;
    private int _flags;
    private int _latch;
    private int _header;

    public FrameFlags Flags => (FrameFlags)Volatile.Read(ref _flags);
    public bool IsImmutable => (Flags & FrameFlags.Immutable) != 0;
    public int Pins => Volatile.Read(ref _pins);
    public Page Page => new(new Span<byte>(Pointer, Page.Size));
    public ulong RecLsn => Volatile.Read(ref _recLsn);
    public ulong WritingRecLsn => Volatile.Read(ref _writingRecLsn);

    /// <summary>Has a change that no file has.</summary>
    public bool IsDirty => RecLsn != 0 || WritingRecLsn != 0;

    public void Set(FrameFlags flags) => Interlocked.Or(ref _flags, (int)flags);
    public void Clear(FrameFlags flags) => Interlocked.And(ref _flags, ~(int)flags);

    /// <summary>Sets a flag; false when it was set already.</summary>
    public bool TrySet(FrameFlags flag) => (Interlocked.Or(ref _flags, (int)flag) & (int)flag) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryPin()
    {
        int pins = Volatile.Read(ref _pins);
        while (pins >= 0)
        {
            int seen = Interlocked.CompareExchange(ref _pins, pins + 1, pins);
            if (seen == pins)
            {
                if (Usage < MaxUsage)
                {
                    Usage++;
                }

                return true;
            }

            pins = seen;
        }

        return false;
    }

    /// <summary>One more pin by a holder of one.</summary>
    public void PinAgain() => Interlocked.Increment(ref _pins);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Unpin()
    {
        int left = Interlocked.Decrement(ref _pins);
        if (left <= 1)
        {
            AfterUnpin(left);
        }
    }

    /// <summary>Takes an unpinned frame out of everybody's reach.</summary>
    public bool TryClaim() => Interlocked.CompareExchange(ref _pins, Claimed, 0) == 0;

    /// <summary>Gives a claimed frame back as it was.</summary>
    public void Unclaim() => Volatile.Write(ref _pins, 0);

    /// <summary>Takes a frame whose only pin is the caller's; the pin goes.</summary>
    public bool TryClaimPinned() => Interlocked.CompareExchange(ref _pins, Claimed, 1) == 1;

    /// <summary>Gives a claimed frame a name and one pin.</summary>
    public void Begin(in BufferTag tag, FrameFlags flags, Lsn mark, Lsn recLsn)
    {
        Tag = tag;
        Usage = 1;
        Volatile.Write(ref Mark, mark.Value);
        Volatile.Write(ref _recLsn, recLsn.Value);
        Volatile.Write(ref _writingRecLsn, 0);
        Volatile.Write(ref _flags, (int)flags);
        Volatile.Write(ref _pins, 1);
    }

    /// <summary>Ends a load, well or not, and wakes those who wait for it.</summary>
    public void EndLoad(bool valid)
    {
        lock (this)
        {
            Set(valid ? FrameFlags.Valid : FrameFlags.Failed);
            Monitor.PulseAll(this);
        }
    }

    /// <summary>Waits for the loader; false when the load failed.</summary>
    public bool WaitLoaded()
    {
        if ((Flags & FrameFlags.Valid) != 0)
        {
            return true;
        }

        lock (this)
        {
            while ((Flags & (FrameFlags.Valid | FrameFlags.Failed)) == 0)
            {
                Monitor.Wait(this);
            }
        }

        return (Flags & FrameFlags.Valid) != 0;
    }

    /// <summary>Waits until the builder of the next version has ended.</summary>
    public void WaitBuilt()
    {
        lock (this)
        {
            while ((Flags & FrameFlags.Building) != 0)
            {
                Monitor.Wait(this);
            }
        }
    }

    public void EndBuilding()
    {
        lock (this)
        {
            Clear(FrameFlags.Building);
            Monitor.PulseAll(this);
        }
    }

    /// <summary>The frame has left the table: it goes with its last pin, at once if there is none.</summary>
    public void Detach()
    {
        Set(FrameFlags.Detached);
        FreeIfUnused();
    }

    public bool TryLatch(LatchMode mode)
    {
        int state = Volatile.Read(ref _latch);
        while (mode == LatchMode.Shared ? (state & (LatchExclusiveBit | LatchExclusiveWaits)) == 0 : (state & (LatchExclusiveBit | LatchSharedMask)) == 0)
        {
            int seen = Interlocked.CompareExchange(ref _latch, mode == LatchMode.Shared ? state + 1 : state | LatchExclusiveBit, state);
            if (seen == state)
            {
                return true;
            }

            state = seen;
        }

        return false;
    }

    public void Latch(LatchMode mode)
    {
        if (!TryLatch(mode))
        {
            LatchSlowly(mode);
        }
    }

    public void Unlatch()
    {
        int state = Volatile.Read(ref _latch);
        while (true)
        {
            Invariant.Check((state & (LatchExclusiveBit | LatchSharedMask)) != 0, "latch", "a page is unlatched that is not latched");
            int next = (state & LatchExclusiveBit) != 0 ? state & ~LatchExclusiveBit : state - 1;

            // The last one out wakes all that wait; they compete, and an exclusive one that loses keeps new shared ones out again.
            bool wake = (state & LatchWaiters) != 0 && (next & LatchSharedMask) == 0;
            if (wake)
            {
                next &= ~(LatchWaiters | LatchExclusiveWaits);
            }

            int seen = Interlocked.CompareExchange(ref _latch, next, state);
            if (seen == state)
            {
                if (wake)
                {
                    Wake();
                }

                return;
            }

            state = seen;
        }
    }

    public bool IsLatched => (Volatile.Read(ref _latch) & (LatchExclusiveBit | LatchSharedMask)) != 0;
    public bool IsLatchedExclusively => (Volatile.Read(ref _latch) & LatchExclusiveBit) != 0;

    /// <summary>Latches exclusively once the caller's pin is the only one (LockBufferForCleanup).</summary>
    public void LatchForCleanup()
    {
        while (true)
        {
            Latch(LatchMode.Exclusive);
            if (Pins == 1)
            {
                return;
            }

            Unlatch();
            lock (this)
            {
                // The flag goes with each wake-up: who finds the page pinned again by then says anew that it waits.
                for (Set(FrameFlags.CleanupWaits); Pins > 1; Set(FrameFlags.CleanupWaits))
                {
                    Monitor.Wait(this);
                }
            }
        }
    }

    /// <summary>Notes that the page has a change from this position on, if it was clean.</summary>
    public void NoteDirty(Lsn from)
    {
        if (Volatile.Read(ref _recLsn) == 0)
        {
            Interlocked.CompareExchange(ref _recLsn, from.Value, 0);
        }
    }

    /// <summary>As <see cref="NoteDirty"/>; true when the page was clean.</summary>
    public bool TryNoteDirty(Lsn from) => Volatile.Read(ref _recLsn) == 0 && Interlocked.CompareExchange(ref _recLsn, from.Value, 0) == 0;

    /// <summary>Begins the write of a copy taken now: later changes mark the frame anew. Someone who looks for the oldest change sees one mark or both.</summary>
    public ulong BeginWriting()
    {
        Volatile.Write(ref _writingRecLsn, RecLsn);
        return Interlocked.Exchange(ref _recLsn, 0);
    }

    public void EndWriting() => Volatile.Write(ref _writingRecLsn, 0);

    /// <summary>The write was refused: the page is as dirty as before, from the older of both marks. The caller holds the block's write token.</summary>
    public void AbandonWriting()
    {
        ulong mark = Volatile.Read(ref _writingRecLsn);
        ulong now;
        do
        {
            now = Volatile.Read(ref _recLsn);
        }
        while (Interlocked.CompareExchange(ref _recLsn, now == 0 ? mark : Math.Min(now, mark), now) != now);

        // Dirty first, so that who looks for the oldest change meets it in one place or both.
        EndWriting();
    }

    /// <summary>Forgets that the page was changed: a frozen copy has the change now, or the page is discarded.</summary>
    public void ForgetDirty() => Interlocked.Exchange(ref _recLsn, 0);

    /// <summary>
    /// Guards the page LSN where it is set or read under a shared latch only (hints), as two halves could be of different values. Held for a copy of the page at most.
    /// </summary>
    public void LockHeader()
    {
        var spin = new SpinWait();
        while (Interlocked.CompareExchange(ref _header, 1, 0) != 0)
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }
    }

    public void UnlockHeader() => Volatile.Write(ref _header, 0);

    private void AfterUnpin(int left)
    {
        Invariant.Check(left >= 0, "pin", "a page is unpinned that is not pinned");
        FrameFlags flags = Flags;
        if ((flags & FrameFlags.CleanupWaits) != 0)
        {
            lock (this)
            {
                Clear(FrameFlags.CleanupWaits);
                Monitor.PulseAll(this);
            }
        }

        if (left == 0)
        {
            if ((flags & FrameFlags.Detached) != 0)
            {
                FreeIfUnused();
            }

            Pool.NoteUnpinned();
        }
    }

    private void FreeIfUnused()
    {
        if (!TryClaim())
        {
            return;
        }

        // Between the count's reaching zero and the claim, the frame may have been freed and used again by others.
        if ((Flags & FrameFlags.Detached) != 0)
        {
            Pool.Free(this);
        }
        else
        {
            Unclaim();
        }
    }

    private void LatchSlowly(LatchMode mode)
    {
        for (int i = 0; i < 12; i++)
        {
            Thread.SpinWait(16);
            if (TryLatch(mode))
            {
                return;
            }
        }

        lock (this)
        {
            while (!TryLatch(mode))
            {
                int state = Volatile.Read(ref _latch);
                bool busy = mode == LatchMode.Shared ? (state & (LatchExclusiveBit | LatchExclusiveWaits)) != 0 : (state & (LatchExclusiveBit | LatchSharedMask)) != 0;
                int wanted = state | LatchWaiters | (mode == LatchMode.Exclusive ? LatchExclusiveWaits : 0);
                if (busy && Interlocked.CompareExchange(ref _latch, wanted, state) == state)
                {
                    Monitor.Wait(this);
                }
            }
        }
    }

    private void Wake()
    {
        lock (this)
        {
            Monitor.PulseAll(this);
        }
    }
}
