using System.Numerics;
using System.Runtime.CompilerServices;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// Frames by page name: chained hashing with striped locks. Finding a page that is there takes no lock: the chain is walked as it is, the frame pinned, and its
/// name checked under the pin. What is not found that way is looked for once more under the lock. No lock is held across I/O.
/// </summary>
internal sealed class BufferTable
{
    private const int Stripes = 128;

    private readonly Frame[] _frames;
    private readonly int[] _heads;
    private readonly Lock[] _locks = new Lock[Stripes];
    private readonly int _mask;

    public BufferTable(Frame[] frames)
    {
        _frames = frames;
        int size = (int)Math.Max(Stripes, BitOperations.RoundUpToPowerOf2((uint)frames.Length));
        _heads = new int[size];
        Array.Fill(_heads, -1);
        _mask = size - 1;
        for (int i = 0; i < Stripes; i++)
        {
            _locks[i] = new Lock();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Same(in BufferTag a, in BufferTag b) =>
        a.Block.Value == b.Block.Value && a.Rel.Relation.Value == b.Rel.Relation.Value && a.Fork == b.Fork
        && a.Rel.Database.Value == b.Rel.Database.Value && a.Rel.Tablespace.Value == b.Rel.Tablespace.Value;

    /// <summary>The frame of the page, pinned; null when the page is not in the table.</summary>
    public Frame? TryPin(in BufferTag tag, int hash)
    {
        int index = Volatile.Read(ref _heads[hash & _mask]);

        // A frame that is moved to another chain meanwhile leads there; the bound ends the walk, and the lock decides.
        for (int steps = 0; index >= 0 && steps < 32; steps++)
        {
            Frame frame = _frames[index];
            if (Same(frame.Tag, tag))
            {
                if (frame.TryPin())
                {
                    if (Same(frame.Tag, tag) && (frame.Flags & FrameFlags.Detached) == 0)
                    {
                        return frame;
                    }

                    frame.Unpin();
                }

                break;
            }

            index = Volatile.Read(ref frame.Next);
        }

        return TryPinLocked(tag, hash);
    }

    /// <summary>Puts a claimed frame in under a name, with one pin, not valid yet. False when the name is there already.</summary>
    public bool TryInsert(Frame frame, in BufferTag tag, int hash, FrameFlags flags)
    {
        lock (LockOf(hash))
        {
            if (FindLocked(tag, hash) is not null)
            {
                return false;
            }

            frame.Begin(tag, flags, Lsn.Invalid, Lsn.Invalid);
            Link(frame, hash);
            return true;
        }
    }

    /// <summary>Puts a claimed frame in the place of another version of the same page; false when that one is not in the table any more.</summary>
    public bool TryReplace(Frame old, Frame next, int hash, FrameFlags flags, Lsn mark, Lsn recLsn)
    {
        lock (LockOf(hash))
        {
            if (!Unlink(old, hash))
            {
                return false;
            }

            next.Begin(old.Tag, flags, mark, recLsn);
            Link(next, hash);
        }

        old.Detach();
        return true;
    }

    /// <summary>Takes a frame out; false when it is not in.</summary>
    public bool Remove(Frame frame, int hash)
    {
        lock (LockOf(hash))
        {
            return Unlink(frame, hash);
        }
    }

    private Frame? TryPinLocked(in BufferTag tag, int hash)
    {
        var spin = new SpinWait();
        while (true)
        {
            lock (LockOf(hash))
            {
                Frame? frame = FindLocked(tag, hash);
                if (frame is null || frame.TryPin())
                {
                    return frame;
                }
            }

            // Claimed by one that evicts it: it is out of the table, or given back, in a moment.
            spin.SpinOnce(sleep1Threshold: -1);
        }
    }

    private Lock LockOf(int hash) => _locks[hash & (Stripes - 1)];

    private Frame? FindLocked(in BufferTag tag, int hash)
    {
        for (int i = _heads[hash & _mask]; i >= 0; i = _frames[i].Next)
        {
            if (Same(_frames[i].Tag, tag))
            {
                return _frames[i];
            }
        }

        return null;
    }

    private void Link(Frame frame, int hash)
    {
        ref int head = ref _heads[hash & _mask];
        Volatile.Write(ref frame.Next, head);
        Volatile.Write(ref head, frame.Index);
    }

    private bool Unlink(Frame frame, int hash)
    {
        ref int link = ref _heads[hash & _mask];
        while (link >= 0)
        {
            if (link == frame.Index)
            {
                Volatile.Write(ref link, frame.Next);
                return true;
            }

            link = ref _frames[link].Next;
        }

        return false;
    }
}
