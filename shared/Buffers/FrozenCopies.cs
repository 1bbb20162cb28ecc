using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// Images of pages that may not be written yet, since a leased reader has not applied their LSN (I2). A page may have several, from old to new; they are written in that
/// order, and whoever reads the page takes the newest (R3). Bounded in memory, then on local disk (<see cref="FrozenImages"/>). One short lock, never held across I/O; images are added and
/// removed under the page's write token.
/// </summary>
internal sealed unsafe class FrozenCopies : IDisposable
{
    private readonly FrozenImages _images;
    private readonly Dictionary<BufferTag, (int Oldest, int Newest)> _byTag = [];
    private readonly Lock _lock = new();
    private Copy[] _copies;
    private Lsn _lowest = Lsn.Max;
    private ulong _stamp;
    private volatile bool _hasRoom = true;

    public FrozenCopies(int inMemory, long spillBytes, SpillDirectory? spill, TimeProvider time)
    {
        _images = new FrozenImages(inMemory, (int)Math.Min(spillBytes / Page.Size, int.MaxValue / 2), spill, time);
        _copies = new Copy[inMemory];
    }

    public int Count { get; private set; }

    /// <summary>Images that lie on local disk now.</summary>
    public int Spilled
    {
        get
        {
            lock (_lock)
            {
                return _images.SpilledNow;
            }
        }
    }

    /// <summary>Why the last image could not be spilled; null while none has failed.</summary>
    public string? SpillFailure { get; private set; }

    /// <summary>Whether another image can be kept: while it can, no frame waits for a reader.</summary>
    public bool HasRoom => _hasRoom || LookForRoom();

    /// <summary>The oldest change that only a copy here has; <see cref="Lsn.Max"/> when there is none.</summary>
    public Lsn OldestChange
    {
        get
        {
            lock (_lock)
            {
                Lsn oldest = Lsn.Max;
                if (Count > 0)
                {
                    foreach (ref Copy copy in _copies.AsSpan())
                    {
                        if (copy.Stamp != 0)
                        {
                            oldest = Lsn.Min(oldest, copy.RecLsn);
                        }
                    }
                }

                return oldest;
            }
        }
    }

    /// <summary>Room for one image, to be given to <see cref="TryKeep"/> or <see cref="GiveBack"/>; -1 when there is none.</summary>
    public int Reserve()
    {
        lock (_lock)
        {
            int slot = _images.Take();
            _hasRoom = _images.HasRoom;
            return slot;
        }
    }

    public void GiveBack(int slot)
    {
        ISpillFile? empty;
        lock (_lock)
        {
            empty = _images.Release(slot);
            _hasRoom = _images.HasRoom;
        }

        empty?.Dispose();
    }

    /// <summary>
    /// Keeps an image as the newest of its page, under the page's write token. The caller's copy gets its checksum. False when local disk does not take it: then the page stays
    /// where it is, and nothing more is spilled for a while.
    /// </summary>
    public bool TryKeep(int slot, in BufferTag tag, byte* copy, Lsn lsn, Lsn recLsn)
    {
        var page = new Span<byte>(copy, Page.Size);
        if (!TryStore(slot, tag, page))
        {
            GiveBack(slot);
            return false;
        }

        lock (_lock)
        {
            if (slot >= _copies.Length)
            {
                Array.Resize(ref _copies, Math.Max(slot + 1, 2 * _copies.Length));
            }

            _copies[slot] = new Copy { Stamp = ++_stamp, Tag = tag, Lsn = lsn, RecLsn = recLsn, Newer = -1 };
            if (_byTag.TryGetValue(tag, out (int Oldest, int Newest) chain))
            {
                _copies[chain.Newest].Newer = slot;
                _byTag[tag] = (chain.Oldest, slot);
            }
            else
            {
                _byTag[tag] = (slot, slot);
            }

            _lowest = Lsn.Min(_lowest, lsn);
            Count++;
        }

        return true;
    }

    public bool TryReadNewest(in BufferTag tag, Span<byte> page) => Count > 0 && TryRead(tag, newest: true, page, out _);

    /// <summary>The oldest image of a page, into the caller's memory. It stays until <see cref="RemoveOldest"/>.</summary>
    public bool TryPeekOldest(in BufferTag tag, Span<byte> page, out Lsn lsn, out Lsn recLsn)
    {
        bool found = TryRead(tag, newest: false, page, out Copy copy);
        (lsn, recLsn) = (copy.Lsn, copy.RecLsn);
        return found;
    }

    public void RemoveOldest(in BufferTag tag)
    {
        ISpillFile? empty;
        lock (_lock)
        {
            (int oldest, int newest) = _byTag[tag];
            int next = _copies[oldest].Newer;
            if (next < 0)
            {
                _byTag.Remove(tag);
            }
            else
            {
                _byTag[tag] = (next, newest);
            }

            empty = Release(oldest);
        }

        empty?.Dispose();
    }

    /// <summary>The oldest change among a page's images; <see cref="Lsn.Max"/> when it has none.</summary>
    public Lsn OldestChangeOf(in BufferTag tag)
    {
        lock (_lock)
        {
            Lsn oldest = Lsn.Max;
            if (_byTag.TryGetValue(tag, out (int Oldest, int Newest) chain))
            {
                for (int i = chain.Oldest; i >= 0; i = _copies[i].Newer)
                {
                    oldest = Lsn.Min(oldest, _copies[i].RecLsn);
                }
            }

            return oldest;
        }
    }

    /// <summary>Drops all images of a page: a newer one was written, or the page is discarded.</summary>
    public void RemoveAll(in BufferTag tag)
    {
        if (Count == 0)
        {
            return;
        }

        ISpillFile? empty = null;
        lock (_lock)
        {
            if (_byTag.Remove(tag, out (int Oldest, int Newest) chain))
            {
                for (int i = chain.Oldest; i >= 0;)
                {
                    int next = _copies[i].Newer;
                    empty = Release(i) ?? empty;
                    i = next;
                }
            }
        }

        empty?.Dispose();
    }

    /// <summary>Pages whose oldest image has an LSN at or before the given one, so many at most. Costs nothing while there are none.</summary>
    public void CollectWritable(Lsn upTo, int most, List<BufferTag> into)
    {
        lock (_lock)
        {
            if (upTo < _lowest)
            {
                return;
            }

            // An image that becomes its page's oldest is later than the one that has gone, so this stays a lower bound.
            Lsn lowest = Lsn.Max;
            foreach ((BufferTag tag, (int oldest, _)) in _byTag)
            {
                Lsn lsn = _copies[oldest].Lsn;
                lowest = Lsn.Min(lowest, lsn);
                if (lsn <= upTo)
                {
                    into.Add(tag);
                    if (into.Count == most)
                    {
                        return;
                    }
                }
            }

            _lowest = lowest;
        }
    }

    /// <summary>The pages of a fork at and after a block, of which there are images.</summary>
    public void CollectOf(RelFileNode rel, ForkNumber? fork, uint firstBlock, List<BufferTag> into)
    {
        lock (_lock)
        {
            foreach (BufferTag tag in _byTag.Keys)
            {
                if (tag.Rel == rel && (fork is null || tag.Fork == fork) && tag.Block.Value >= firstBlock)
                {
                    into.Add(tag);
                }
            }
        }
    }

    public void Dispose() => _images.Dispose();

    /// <summary>Puts the image where its slot is; false when local disk does not take it.</summary>
    private bool TryStore(int slot, in BufferTag tag, Span<byte> page)
    {
        try
        {
            ISpillFile? file;
            lock (_lock)
            {
                // A file is made once for as long as there is something to spill.
                file = _images.FileOf(slot);
            }

            if (file is null)
            {
                page.CopyTo(_images.InMemory(slot));
                return true;
            }

            if (!new Page(page).IsNew)
            {
                PageChecksum.Store(page, tag.Block.Value);
            }

            _images.Write(file, slot, page);
            return true;
        }
        catch (StorageException e)
        {
            lock (_lock)
            {
                _images.NoteFull();
                _hasRoom = _images.HasRoom;
                SpillFailure = e.Message;
            }

            return false;
        }
    }

    private bool TryRead(in BufferTag tag, bool newest, Span<byte> page, out Copy copy)
    {
        while (true)
        {
            int slot;
            ISpillFile? file;
            lock (_lock)
            {
                if (!_byTag.TryGetValue(tag, out (int Oldest, int Newest) chain))
                {
                    copy = default;
                    return false;
                }

                slot = newest ? chain.Newest : chain.Oldest;
                copy = _copies[slot];
                file = _images.FileOf(slot);
                if (file is null)
                {
                    _images.InMemory(slot).CopyTo(page);
                    return true;
                }
            }

            // Outside the lock the slot may get another image: it counts only if it was the same before and after.
            bool read = _images.TryRead(file, slot, page);
            lock (_lock)
            {
                if (!read || _copies[slot].Stamp != copy.Stamp || !_byTag.TryGetValue(tag, out (int Oldest, int Newest) now) || (newest ? now.Newest : now.Oldest) != slot)
                {
                    continue;
                }
            }

            if (!BufferPool.IsSound(page, tag.Block.Value))
            {
                throw new StorageException($"the copy of block {tag.Block.Value} of relation {tag.Rel} that was spilled to local disk is damaged (I12)");
            }

            return true;
        }
    }

    private bool LookForRoom()
    {
        lock (_lock)
        {
            return _hasRoom = _images.HasRoom;
        }
    }

    private ISpillFile? Release(int slot)
    {
        _copies[slot] = default;
        Count--;
        ISpillFile? empty = _images.Release(slot);
        _hasRoom = _images.HasRoom;
        return empty;
    }

    private struct Copy
    {
        /// <summary>Counts images: zero is an empty slot.</summary>
        public ulong Stamp;
        public BufferTag Tag;
        public Lsn Lsn;
        public Lsn RecLsn;
        public int Newer;
    }
}
