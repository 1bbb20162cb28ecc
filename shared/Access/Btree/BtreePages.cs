using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>
/// A pinned page of a btree. In production it is the buffer pool's pin; a reader of plain memory (checks of a file, redo under test) gives just a pointer,
/// and latching does nothing.
/// </summary>
internal readonly unsafe struct BtreeBuffer
{
    private readonly PinnedPage _pin;
    private readonly byte* _pointer;
    private readonly uint _block;
    private readonly bool _pinned;

    public BtreeBuffer(PinnedPage pin)
    {
        _pin = pin;
        _pointer = pin.Pointer;
        _block = pin.Block.Value;
        _pinned = true;
    }

    public BtreeBuffer(byte* pointer, uint block)
    {
        _pin = default;
        _pointer = pointer;
        _block = block;
        _pinned = false;
    }

    public bool IsValid => _pointer != null;
    public Page Page => new(new Span<byte>(_pointer, Page.Size));
    public ref BtreeOpaque Opaque => ref BtreePage.Opaque(Page);
    public byte* Pointer => _pointer;
    public uint Block => _block;
    public PinnedPage Pin => _pin;

    public void Latch(LatchMode mode)
    {
        if (_pinned)
        {
            _pin.Latch(mode);
        }
    }

    public void Unlatch()
    {
        if (_pinned)
        {
            _pin.Unlatch();
        }
    }

    public void Unpin()
    {
        if (_pinned)
        {
            _pin.Dispose();
        }
    }

    /// <summary>Unlatches and unpins a page that was taken with <see cref="BtreePages.Get"/>.</summary>
    public void Release()
    {
        HeldPages.Remove(this);
        Unlatch();
        Unpin();
    }
}

/// <summary>Where the pages of one btree come from.</summary>
internal abstract class BtreePages(string indexName)
{
    public string IndexName { get; } = indexName;

    /// <summary>False on a reader: pages do not change under a pin, latches do nothing, items are not killed (R5, R9).</summary>
    public abstract bool CanWrite { get; }

    public abstract uint BlockCount { get; }

    public abstract BtreeBuffer Pin(uint block);

    /// <summary>Pins and latches a page that is part of the tree, and checks that it is one (_bt_getbuf, _bt_checkpage).</summary>
    /// <exception cref="StorageException">The page is zero or of another kind.</exception>
    public BtreeBuffer Get(uint block, LatchMode mode)
    {
        BtreeBuffer buffer = Pin(block);
        buffer.Latch(mode);
        HeldPages.Add(buffer);
        if (Problem(buffer) is { } problem)
        {
            buffer.Release();
            throw Corrupted(problem);
        }

        return buffer;
    }

    /// <summary>Lets go of one page, then takes another: no reader holds two (_bt_relandgetbuf).</summary>
    public BtreeBuffer Exchange(BtreeBuffer old, uint block, LatchMode mode)
    {
        old.Release();
        return Get(block, mode);
    }

    public void Check(BtreeBuffer buffer)
    {
        if (Problem(buffer) is { } problem)
        {
            throw Corrupted(problem);
        }
    }

    private string? Problem(BtreeBuffer buffer)
    {
        Page page = buffer.Page;
        if (page.Header.Special == Page.Size - BtreeOpaque.Size)
        {
            return null;
        }

        return page.IsNew
            ? $"index \"{IndexName}\" contains unexpected zero page at block {buffer.Block}"
            : $"index \"{IndexName}\" contains corrupted page at block {buffer.Block}";
    }

    public static StorageException Corrupted(string message) => new(message) { SqlState = SqlStates.IndexCorrupted };
}

/// <summary>The pages of an index in the buffer pool.</summary>
internal sealed class PoolBtreePages(BufferPool pool, RelFileNode node, string indexName) : BtreePages(indexName)
{
    public override bool CanWrite => pool.CanWrite;
    public override uint BlockCount => pool.BlockCount(node, ForkNumber.Main);

    public override BtreeBuffer Pin(uint block) => new(pool.Pin(new BufferTag(node, ForkNumber.Main, new BlockNumber(block))));
}
