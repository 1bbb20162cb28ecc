using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// Images of pages that may not be written yet, since a leased reader has not applied their LSN (I2). A page may have several, from old to new; they are written in that
/// order, and whoever reads the page takes the newest (R3). Bounded. One short lock; writing happens outside it under the page's write token.
/// </summary>
internal sealed unsafe class FrozenCopies : IDisposable
{
    private readonly AlignedBuffer _memory;
    private readonly Copy[] _copies;
    private readonly Dictionary<BufferTag, (int Oldest, int Newest)> _byTag = [];
    private readonly Stack<int> _free = new();
    private readonly Lock _lock = new();

    public FrozenCopies(int capacity)
    {
        _memory = new AlignedBuffer((long)capacity * Page.Size);
        _copies = new Copy[capacity];
        for (int i = capacity - 1; i >= 0; i--)
        {
            _free.Push(i);
        }
    }

    public int Capacity => _copies.Length;

    public int Count { get; private set; }

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
                        if (copy.InUse)
                        {
                            oldest = Lsn.Min(oldest, copy.RecLsn);
                        }
                    }
                }

                return oldest;
            }
        }
    }

    /// <summary>Keeps an image; false when there is no room.</summary>
    public bool TryAdd(in BufferTag tag, byte* page, Lsn lsn, Lsn recLsn)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out int index))
            {
                return false;
            }

            new ReadOnlySpan<byte>(page, Page.Size).CopyTo(ImageOf(index));
            _copies[index] = new Copy { InUse = true, Tag = tag, Lsn = lsn, RecLsn = recLsn, Newer = -1 };
            if (_byTag.TryGetValue(tag, out (int Oldest, int Newest) chain))
            {
                _copies[chain.Newest].Newer = index;
                _byTag[tag] = (chain.Oldest, index);
            }
            else
            {
                _byTag[tag] = (index, index);
            }

            Count++;
            return true;
        }
    }

    public bool TryReadNewest(in BufferTag tag, Span<byte> page)
    {
        if (Count == 0)
        {
            return false;
        }

        lock (_lock)
        {
            if (!_byTag.TryGetValue(tag, out (int Oldest, int Newest) chain))
            {
                return false;
            }

            ImageOf(chain.Newest).CopyTo(page);
            return true;
        }
    }

    /// <summary>The oldest image of a page, into the caller's memory. It stays until <see cref="RemoveOldest"/>.</summary>
    public bool TryPeekOldest(in BufferTag tag, Span<byte> page, out Lsn lsn, out Lsn recLsn)
    {
        lock (_lock)
        {
            if (!_byTag.TryGetValue(tag, out (int Oldest, int Newest) chain))
            {
                (lsn, recLsn) = (Lsn.Invalid, Lsn.Invalid);
                return false;
            }

            ref Copy copy = ref _copies[chain.Oldest];
            (lsn, recLsn) = (copy.Lsn, copy.RecLsn);
            ImageOf(chain.Oldest).CopyTo(page);
            return true;
        }
    }

    public void RemoveOldest(in BufferTag tag)
    {
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

            Release(oldest);
        }
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

        lock (_lock)
        {
            if (_byTag.Remove(tag, out (int Oldest, int Newest) chain))
            {
                for (int i = chain.Oldest; i >= 0;)
                {
                    int next = _copies[i].Newer;
                    Release(i);
                    i = next;
                }
            }
        }
    }

    /// <summary>The pages whose oldest image has an LSN at or before the given one.</summary>
    public void CollectWritable(Lsn upTo, List<BufferTag> into)
    {
        lock (_lock)
        {
            foreach ((BufferTag tag, (int oldest, _)) in _byTag)
            {
                if (_copies[oldest].Lsn <= upTo)
                {
                    into.Add(tag);
                }
            }
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

    public void Dispose() => _memory.Dispose();

    private Span<byte> ImageOf(int index) => new(_memory.Pointer + ((long)index * Page.Size), Page.Size);

    private void Release(int index)
    {
        _copies[index] = default;
        _free.Push(index);
        Count--;
    }

    private struct Copy
    {
        public bool InUse;
        public BufferTag Tag;
        public Lsn Lsn;
        public Lsn RecLsn;
        public int Newer;
    }
}
