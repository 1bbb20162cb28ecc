using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// Room for the images of frozen pages: slots in memory, then in one file of the node's local directory. Slots are taken and given back under the owner's lock; images are stored and
/// read outside it. The file has no name and goes when nothing is in it any more, so neither a crash nor a long-gone reader leaves anything on the disk.
/// </summary>
internal sealed unsafe class FrozenImages : IDisposable
{
    /// <summary>A full local disk is tried again after this: often enough beside a lease of 5 s, and too seldom to cost anything.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly AlignedBuffer _memory;
    private readonly TimeProvider _time;
    private readonly int _inMemory;
    private readonly int _mostSpilled;
    private readonly SpillDirectory? _directory;
    private readonly Stack<int> _freeInMemory = new();
    private readonly Stack<int> _freeSpilled = new();
    private ISpillFile? _file;
    private int _fileSlots;
    private long _fullSince;

    /// <param name="inMemory">Images kept in memory.</param>
    /// <param name="mostSpilled">Images kept on local disk at most.</param>
    /// <param name="directory">Null spills nothing.</param>
    /// <param name="time">When a full disk is tried again.</param>
    public FrozenImages(int inMemory, int mostSpilled, SpillDirectory? directory, TimeProvider time)
    {
        _inMemory = inMemory;
        _mostSpilled = directory is null ? 0 : mostSpilled;
        _time = time;
        _directory = directory;
        _memory = new AlignedBuffer((long)inMemory * Page.Size);
        for (int i = inMemory - 1; i >= 0; i--)
        {
            _freeInMemory.Push(i);
        }
    }

    public bool HasRoom => _freeInMemory.Count > 0 || (SpilledNow < _mostSpilled && !IsFull);

    /// <summary>Images on local disk now.</summary>
    public int SpilledNow => _fileSlots - _freeSpilled.Count;

    /// <summary>A slot for an image; -1 when there is no room.</summary>
    public int Take()
    {
        if (_freeInMemory.TryPop(out int slot))
        {
            return slot;
        }

        if (IsFull)
        {
            return -1;
        }

        return _freeSpilled.TryPop(out slot) ? slot : _fileSlots < _mostSpilled ? _inMemory + _fileSlots++ : -1;
    }

    /// <summary>Gives a slot back. What is returned is to be disposed of outside the lock: the file, when nothing is in it any more.</summary>
    public ISpillFile? Release(int slot)
    {
        if (slot < _inMemory)
        {
            _freeInMemory.Push(slot);
            return null;
        }

        _freeSpilled.Push(slot);
        if (SpilledNow > 0)
        {
            return null;
        }

        ISpillFile? empty = _file;
        _file = null;
        _freeSpilled.Clear();
        _fileSlots = 0;
        return empty;
    }

    /// <summary>Local disk did not take an image: nothing more is spilled for a while.</summary>
    public void NoteFull() => _fullSince = Math.Max(1, _time.GetTimestamp());

    /// <summary>The file, made when it is needed; null for a slot in memory.</summary>
    /// <exception cref="StorageException">It cannot be made.</exception>
    public ISpillFile? FileOf(int slot) => slot < _inMemory ? null : _file ??= _directory!.Create();

    public Span<byte> InMemory(int slot) => new(_memory.Pointer + ((long)slot * Page.Size), Page.Size);

    public void Write(ISpillFile file, int slot, ReadOnlySpan<byte> page) => file.Write(Offset(slot), page);

    /// <summary>False when the file has gone meanwhile.</summary>
    public bool TryRead(ISpillFile file, int slot, Span<byte> page)
    {
        try
        {
            file.Read(Offset(slot), page);
            return true;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    public void Dispose()
    {
        _memory.Dispose();
        _file?.Dispose();
    }

    private bool IsFull => _fullSince != 0 && _time.GetElapsedTime(_fullSince) < Retry;

    private long Offset(int slot) => (long)(slot - _inMemory) * Page.Size;
}
