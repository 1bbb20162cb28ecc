using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Locks;

/// <summary>
/// Who holds locks: a client's session, through its transactions one after the other (PostgreSQL's PGPROC). What it holds is counted here, by the level of
/// (sub)transaction, so the shared table is asked once for each lock. All but the fast path and <see cref="Interrupt"/> belongs to the session's thread.
/// </summary>
public sealed class LockSession
{
    /// <summary>The level of locks that outlive transactions (advisory ones, VACUUM's).</summary>
    internal const int SessionLevel = 0;

    /// <summary>So many weak relation locks lie in the session itself (FP_LOCK_SLOTS_PER_BACKEND).</summary>
    private const int FastSlots = 16;

    private readonly FastSlot[] _fast = new FastSlot[FastSlots];
    private volatile bool _interrupted;
    private int _fastUsed;

    /// <summary>The number that clients and messages know the session by (pg_backend_pid).</summary>
    public int ProcessId { get; init; }

    /// <summary>lock_timeout; zero waits for ever.</summary>
    public TimeSpan LockTimeout { get; set; }

    /// <summary>deadlock_timeout: so long a wait goes on before it is looked into.</summary>
    public TimeSpan DeadlockTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Called on the session's thread when <see cref="Interrupt"/> woke it from a wait: throws what there is to throw (cancel, shutdown), or returns.</summary>
    public Action? CheckInterrupts { get; set; }

    /// <summary>Rows that the running transaction changed, by table.</summary>
    public Statistics.TransactionChanges Changes { get; } = new();

    /// <summary>Tells the session's client of a warning: message, hint. On the session's thread.</summary>
    public Action<string, string>? Warn { get; init; }

    /// <summary>
    /// Called, from any thread, when another session has waited for this one's lock as long as deadlock_timeout: an autovacuum gives way. Null lets them wait.
    /// </summary>
    public Action? GiveWay
    {
        get => _giveWay;
        set => _giveWay = value;
    }

    private volatile Action? _giveWay;

    /// <summary>The transaction that runs.</summary>
    public Transaction? Current { get; internal set; }

    /// <summary>Made for one transaction, not for a client: it is forgotten with it.</summary>
    internal bool IsTransient { get; init; }

    /// <summary>Known to those who want strong locks; set and cleared by the session's thread.</summary>
    internal bool IsRegistered { get; set; }

    internal Dictionary<(LockTag Tag, LockMode Mode), LocalLock> Local { get; } = [];

    /// <summary>Guards the fast path's slots: taken by others who want a strong lock.</summary>
    internal Lock FastLock { get; } = new();

    /// <summary>What the thread waits for; read by the deadlock check under all partition locks.</summary>
    internal LockWaiter? Waiting
    {
        get => _waiting;
        set => _waiting = value;
    }

    private volatile LockWaiter? _waiting;

    internal bool IsInterrupted => _interrupted;

    /// <summary>From any thread: a wait for a lock ends at once, to look at <see cref="CheckInterrupts"/>.</summary>
    public void Interrupt()
    {
        _interrupted = true;
        _waiting?.Wake(granted: false);
    }

    internal bool TakeInterrupt()
    {
        bool was = _interrupted;
        _interrupted = false;
        return was;
    }

    /// <summary>Sets a mode in a slot; the caller holds <see cref="FastLock"/>. False: all slots are taken.</summary>
    internal bool TryAddFast(in LockTag tag, LockMode mode)
    {
        int free = -1;
        for (int i = 0; i < FastSlots; i++)
        {
            if (_fast[i].Modes == 0)
            {
                free = free < 0 ? i : free;
            }
            else if (_fast[i].Tag.Object == tag.Object && _fast[i].Tag.Database == tag.Database)
            {
                _fast[i].Modes |= LockConflicts.Bit(mode);
                return true;
            }
        }

        if (free < 0)
        {
            return false;
        }

        _fast[free] = new FastSlot { Tag = tag, Modes = LockConflicts.Bit(mode) };
        _fastUsed++;
        return true;
    }

    /// <summary>Clears a mode; the caller holds <see cref="FastLock"/>. False: it is not here (moved to the table).</summary>
    internal bool TryRemoveFast(in LockTag tag, LockMode mode)
    {
        int bit = LockConflicts.Bit(mode);
        for (int i = 0; i < FastSlots; i++)
        {
            if ((_fast[i].Modes & bit) != 0 && _fast[i].Tag == tag)
            {
                _fast[i].Modes &= ~bit;
                _fastUsed -= _fast[i].Modes == 0 ? 1 : 0;
                return true;
            }
        }

        return false;
    }

    /// <summary>Takes all modes of a relation out of the fast path, as a mask; the caller holds <see cref="FastLock"/>.</summary>
    internal int TakeFast(in LockTag tag)
    {
        if (_fastUsed == 0)
        {
            return 0;
        }

        for (int i = 0; i < FastSlots; i++)
        {
            if (_fast[i].Modes != 0 && _fast[i].Tag == tag)
            {
                int modes = _fast[i].Modes;
                _fast[i].Modes = 0;
                _fastUsed--;
                return modes;
            }
        }

        return 0;
    }

    internal void ListFast(List<LockInfo> into)
    {
        lock (FastLock)
        {
            foreach (FastSlot slot in _fast)
            {
                for (LockMode m = LockMode.AccessShare; m <= LockMode.RowExclusive; m++)
                {
                    if ((slot.Modes & LockConflicts.Bit(m)) != 0)
                    {
                        into.Add(new LockInfo(slot.Tag, m, Granted: true, FastPath: true, ProcessId));
                    }
                }
            }
        }
    }

    private struct FastSlot
    {
        internal LockTag Tag;
        internal int Modes;
    }
}

/// <summary>
/// How often a session holds one lock, by level: 0 the session, 1 the transaction, 2 and on its subtransactions. Nearly always there is one level, so
/// that one lies here and only others in a list.
/// </summary>
internal sealed class LocalLock
{
    private int _level;
    private int _count;
    private List<(int Level, int Count)>? _others;

    /// <summary>Granted through the session's fast path; it may have been moved to the table since.</summary>
    internal bool IsFast { get; init; }

    internal bool IsStrong { get; init; }
    internal bool IsUnused => _count == 0 && _others is not { Count: > 0 };

    internal void Add(int level) => Add(level, 1);

    /// <summary>One less at the level. False: it is not held there.</summary>
    internal bool Remove(int level)
    {
        if (_count != 0 && _level == level)
        {
            _count--;
            return true;
        }

        int i = _others?.FindIndex(c => c.Level == level) ?? -1;
        if (i < 0)
        {
            return false;
        }

        int left = _others![i].Count - 1;
        _others.RemoveAt(i);
        if (left != 0)
        {
            _others.Add((level, left));
        }

        return true;
    }

    /// <summary>Nothing is held at the level and the ones within it any more.</summary>
    internal void RemoveFrom(int level)
    {
        _count = _level >= level ? 0 : _count;
        _others?.RemoveAll(c => c.Level >= level);
    }

    internal void RemoveAt(int level)
    {
        _count = _level == level ? 0 : _count;
        _others?.RemoveAll(c => c.Level == level);
    }

    /// <summary>What a level held, the one above it holds now.</summary>
    internal void Pass(int level)
    {
        int held = _count != 0 && _level == level ? _count : 0;
        foreach ((int other, int count) in _others ?? [])
        {
            held += other == level ? count : 0;
        }

        if (held != 0)
        {
            RemoveAt(level);
            Add(level - 1, held);
        }
    }

    private void Add(int level, int count)
    {
        if (_count == 0 || _level == level)
        {
            _level = level;
            _count += count;
            return;
        }

        _others ??= [];
        int i = _others.FindIndex(c => c.Level == level);
        if (i < 0)
        {
            _others.Add((level, count));
        }
        else
        {
            _others[i] = (level, _others[i].Count + count);
        }
    }
}
