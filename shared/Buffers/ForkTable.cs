using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// What is known of a fork: its virtual size, from files and log together, and where the log made it anew or cut it.
/// </summary>
internal sealed class ForkInfo(RelFileNode rel, ForkNumber fork)
{
    public readonly RelFileNode Rel = rel;
    public readonly ForkNumber Fork = fork;

    /// <summary>Held by a writer that extends the fork, and for changes of the fields below. Outside all page latches but the extender's own.</summary>
    public readonly Lock Extension = new();

    private uint _blocks;
    private bool _known;
    private Emptying[] _emptyings = [];

    /// <summary>Blocks that the file has, as far as this writer made it grow.</summary>
    public uint DiskBlocks { get; set; }

    /// <summary>The log makes the fork: a file that a crash lost is to be made again.</summary>
    public bool MadeByLog { get; set; }

    /// <summary>The log cuts or makes the fork, and nobody knows whether its file shows that.</summary>
    public bool IsEmptied => Volatile.Read(ref _emptyings).Length > 0;

    /// <summary>The first block whose older contents are void by the cuts that the file may not show.</summary>
    public uint FirstVoid => Volatile.Read(ref _emptyings).Min(e => e.FromBlock);

    /// <summary>Where the relation was dropped, by the log; invalid when it was not.</summary>
    public Lsn Dropped { get; set; }

    public uint Blocks => Volatile.Read(ref _blocks);

    /// <summary>Whether <see cref="Blocks"/> includes what the file had.</summary>
    public bool IsKnown => Volatile.Read(ref _known);

    public void SetBlocks(uint blocks) => Volatile.Write(ref _blocks, blocks);

    public void SetKnown(bool known) => Volatile.Write(ref _known, known);

    /// <summary>A block exists since the log names it.</summary>
    public void Grow(uint blocks)
    {
        if (blocks > Blocks)
        {
            lock (Extension)
            {
                if (blocks > _blocks)
                {
                    SetBlocks(blocks);
                }
            }
        }
    }

    /// <summary>The log cuts the fork (or makes it, with 0 blocks) with the record that starts here: older contents from that block on are void.</summary>
    public void Empty(uint fromBlock, Lsn recordStart)
    {
        lock (Extension)
        {
            SetBlocks(fromBlock);
            SetKnown(true);
            Volatile.Write(ref _emptyings, [.. _emptyings, new Emptying(recordStart, fromBlock)]);
        }
    }

    /// <summary>The start of the last record before <paramref name="applied"/> that made the block's older contents void; invalid when none did.</summary>
    public Lsn VoidBefore(uint block, Lsn applied)
    {
        Emptying[] all = Volatile.Read(ref _emptyings);
        for (int i = all.Length - 1; i >= 0; i--)
        {
            if (all[i].FromBlock <= block && all[i].Start < applied)
            {
                return all[i].Start;
            }
        }

        return Lsn.Invalid;
    }

    /// <summary>The file shows all cuts. The caller holds <see cref="Extension"/>.</summary>
    public void ForgetEmptyings() => Volatile.Write(ref _emptyings, []);

    /// <summary>Forgets cuts that files show.</summary>
    public void Cut(Lsn consistent)
    {
        lock (Extension)
        {
            if (_emptyings.Length > 0 && _emptyings[0].Start < consistent)
            {
                Volatile.Write(ref _emptyings, Array.FindAll(_emptyings, e => e.Start >= consistent));
            }
        }
    }

    private readonly record struct Emptying(Lsn Start, uint FromBlock);
}

/// <summary>The forks that the node has met. Thread-safe.</summary>
internal sealed class ForkTable(RelationFiles files, IStorageReadCheck? check = null, IStorageAhead? ahead = null)
{
    private readonly ConcurrentDictionary<(RelFileNode Rel, ForkNumber Fork), ForkInfo> _forks = new();
    private readonly ForkInfo?[] _recent = new ForkInfo?[256];

    public ForkInfo Get(RelFileNode rel, ForkNumber fork)
    {
        // A small direct-mapped cache in front: the tail asks for each block of each record.
        ref ForkInfo? slot = ref _recent[Slot(rel, fork)];
        ForkInfo? info = Volatile.Read(ref slot);
        if (info is not null && info.Rel == rel && info.Fork == fork)
        {
            return info;
        }

        info = _forks.GetOrAdd((rel, fork), static key => new ForkInfo(key.Rel, key.Fork));
        Volatile.Write(ref slot, info);
        return info;
    }

    /// <summary>The virtual size; the file is asked once.</summary>
    public uint BlockCount(RelFileNode rel, ForkNumber fork)
    {
        ForkInfo info = Get(rel, fork);
        return info.IsKnown ? info.Blocks : Learn(info);
    }

    public uint Learn(ForkInfo info)
    {
        uint disk = files.BlockCount(info.Rel, info.Fork);
        check?.AfterSize(info.Rel, info.Fork);
        if (ahead is not null && info.Fork is not (ForkNumber.VisibilityMap or ForkNumber.FreeSpaceMap))
        {
            disk = Explained(info, disk);
        }

        lock (info.Extension)
        {
            if (!info.IsKnown)
            {
                info.DiskBlocks = disk;
                info.SetBlocks(Math.Max(info.Blocks, disk));
                info.SetKnown(true);
            }

            return info.Blocks;
        }
    }

    /// <summary>
    /// A stock writer may have cut or removed the file by a record that is not applied yet. Once a cut is, the size is the log's to tell. Maps need no such care: one
    /// that is missing only says less.
    /// </summary>
    private uint Explained(ForkInfo info, uint disk)
    {
        bool gone = ahead!.IsGone(info.Rel) || Get(info.Rel, ForkNumber.Main).Dropped.IsValid;
        return gone && disk == 0 ? throw ahead.Vanished(info.Rel) : disk;
    }

    /// <summary>Nothing is known of the relation any more: its files went, or were changed behind the pool.</summary>
    public void Forget(RelFileNode rel)
    {
        foreach (ForkNumber fork in Enum.GetValues<ForkNumber>())
        {
            _forks.TryRemove((rel, fork), out _);
            Volatile.Write(ref _recent[Slot(rel, fork)], null);
        }
    }

    public IEnumerable<ForkInfo> OfDatabase(Oid tablespace, Oid database) =>
        _forks.Values.Where(f => f.Rel.Tablespace == tablespace && f.Rel.Database == database);

    public IReadOnlyList<RelFileNode> MadeByLog(ForkNumber fork) => [.. _forks.Values.Where(f => f.Fork == fork && f.MadeByLog).Select(f => f.Rel)];

    public IEnumerable<ForkInfo> Emptied() => _forks.Values.Where(f => f.IsEmptied);

    public void Cut(Lsn consistent)
    {
        foreach (ForkInfo info in _forks.Values)
        {
            info.Cut(consistent);
        }
    }

    public void Clear()
    {
        _forks.Clear();
        Array.Clear(_recent);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Slot(RelFileNode rel, ForkNumber fork) => (int)((rel.Relation.Value * 4) + (uint)fork) & 255;
}
