using System.Runtime.CompilerServices;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions;

/// <summary>
/// How each recent transaction ended, and where (R8): xid to the end of its commit record. An entry is the LSN of a commit, or one of the marks below; no
/// record ends at so low a position. One load answers "running, aborted, committed at": no order of look-ups can fall between two of them.
/// Chunks of 4096 entries; a chunk goes when all its xids lie below the horizon (<see cref="CutBelow"/>).
/// </summary>
/// <remarks>Entries are written by the thread that owns the xid, or by the tail; they are read without a lock.</remarks>
public sealed class CommitLsnMap
{
    /// <summary>Not known here: ended at or before <see cref="Start"/> if clog says committed; else running on the writer, or crashed.</summary>
    internal const ulong Unknown = 0;

    /// <summary>Runs on this writer.</summary>
    internal const ulong Running = 1;

    internal const ulong Aborted = 2;

    private const int ChunkBits = 12;
    private const int ChunkSize = 1 << ChunkBits;
    private const int MiddleBits = 10;
    private const int TopBits = 32 - ChunkBits - MiddleBits;

    private readonly ulong[]?[]?[] _chunks = new ulong[]?[1 << TopBits][];
    private readonly Lock _growing = new();
    private ulong _start;
    private uint _horizon;
    private int _chunkCount;

    /// <summary>B: a committed xid that is not in the map ended at or before this, and no more is known (R8). No snapshot below it is opened.</summary>
    public Lsn Start => new(Volatile.Read(ref _start));

    /// <summary>Every normal xid before this ended at or before <see cref="Start"/>: hint bits and clog say all there is to know of it.</summary>
    public Xid Horizon => new(Volatile.Read(ref _horizon));

    /// <summary>The memory of the entries, in bytes.</summary>
    public long Bytes => (long)Volatile.Read(ref _chunkCount) * ChunkSize * sizeof(ulong);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ulong Get(Xid xid)
    {
        ulong[]? chunk = Volatile.Read(ref _chunks[xid.Value >> (ChunkBits + MiddleBits)])?[(xid.Value >> ChunkBits) & ((1 << MiddleBits) - 1)];
        return chunk is null ? Unknown : Volatile.Read(ref chunk[xid.Value & (ChunkSize - 1)]);
    }

    internal void Set(Xid xid, ulong value)
    {
        ref ulong[]?[]? middle = ref _chunks[xid.Value >> (ChunkBits + MiddleBits)];
        uint index = (xid.Value >> ChunkBits) & ((1 << MiddleBits) - 1);
        ulong[] chunk = middle?[index] ?? Grow(ref middle, index);
        Volatile.Write(ref chunk[xid.Value & (ChunkSize - 1)], value);
    }

    /// <summary>Begins the map: nothing is known of commits that end at or before the position but what clog says.</summary>
    internal void Begin(Lsn start, Xid horizon)
    {
        Volatile.Write(ref _start, start.Value);
        Volatile.Write(ref _horizon, horizon.Value);
    }

    /// <summary>
    /// Drops what is known of xids before <paramref name="horizon"/>, all of which ended at or before <paramref name="endedBy"/>, H: every snapshot
    /// that is or will be sees them alike, and clog says how.
    /// </summary>
    internal void CutBelow(Xid horizon, Lsn endedBy)
    {
        lock (_growing)
        {
            var old = new Xid(_horizon);
            if (!old.Precedes(horizon))
            {
                return;
            }

            // B first: whoever meets a chunk that is gone already finds a B that covers it.
            Volatile.Write(ref _start, Math.Max(_start, endedBy.Value));
            Volatile.Write(ref _horizon, horizon.Value);
            uint last = horizon.Value >> ChunkBits;
            for (uint chunk = old.Value >> ChunkBits; chunk != last; chunk = (chunk + 1) & ((1u << (TopBits + MiddleBits)) - 1))
            {
                ulong[]?[]? middle = _chunks[chunk >> MiddleBits];
                if (middle is not null && middle[chunk & ((1 << MiddleBits) - 1)] is not null)
                {
                    Volatile.Write(ref middle[chunk & ((1 << MiddleBits) - 1)], null);
                    _chunkCount--;
                }
            }
        }
    }

    private ulong[] Grow(ref ulong[]?[]? middle, uint index)
    {
        lock (_growing)
        {
            if (middle is null)
            {
                Volatile.Write(ref middle, new ulong[]?[1 << MiddleBits]);
            }

            ref ulong[]? chunk = ref middle![index];
            if (chunk is null)
            {
                Volatile.Write(ref chunk, new ulong[ChunkSize]);
                _chunkCount++;
            }

            return chunk!;
        }
    }
}
