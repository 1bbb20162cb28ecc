using SharedStorage.Primitives;

namespace SharedStorage.Wal.Inserting;

[Flags]
public enum WalBlockFlags : byte
{
    None = 0,
    ForceImage = 1,
    NoImage = 2,

    /// <summary>The page is made anew by redo: no image, the record says all (REGBUF_WILL_INIT).</summary>
    WillInit = 4 | NoImage,

    /// <summary>The page has the standard layout, so the hole between lower and upper is left out of an image.</summary>
    Standard = 8,

    /// <summary>Keep the block's data even when an image is taken.</summary>
    KeepData = 16,
}

/// <summary>
/// The writer's end of the log: reserve position and previous pointer under one short lock, copy outside it, publish.
/// A session takes the builder of its thread with <see cref="Begin"/>, adds data and blocks, and inserts.
/// </summary>
public sealed class WalInserter
{
    /// <summary>All records that end at or before this are wholly in the buffers (no gap below).</summary>
    public Lsn Inserted => throw new NotImplementedException();

    /// <summary>Where the next record will be reserved at the earliest.</summary>
    public Lsn Reserved => throw new NotImplementedException();

    /// <summary>All records that end at or before this are durable.</summary>
    public Lsn Flushed => throw new NotImplementedException();

    /// <summary>Pages whose LSN is at or before this get a full-page image with their next record.</summary>
    public Lsn RedoPointer => throw new NotImplementedException();

    public TimelineId Timeline => throw new NotImplementedException();

    /// <summary>The thread's record builder, empty. A builder is used up by one <see cref="Insert"/>.</summary>
    public WalRecordBuilder Begin(Xid xid) => throw new NotImplementedException();

    /// <summary>Inserts the record; gives its end, the LSN for the pages it covers.</summary>
    public Lsn Insert(WalRecordBuilder record, Rmgr rmgr, byte info) => throw new NotImplementedException();

    /// <summary>Returns when the log is durable to <paramref name="upTo"/> at least; joins a flush that runs (group commit).</summary>
    /// <exception cref="StorageException">The write or the sync failed: the node must stop (I11).</exception>
    public void Flush(Lsn upTo) => throw new NotImplementedException();
}

/// <summary>A record under construction: main data, blocks and their data (PostgreSQL's XLogBeginInsert and XLogRegister*). One per thread, reused.</summary>
public sealed class WalRecordBuilder
{
    public WalRecordBuilder AddData(ReadOnlySpan<byte> data) => throw new NotImplementedException();

    /// <summary>Registers a block. <paramref name="page"/> points at its 8 KiB and stays latched exclusively until after the insertion.</summary>
    public unsafe WalRecordBuilder AddBlock(int id, in BufferTag tag, byte* page, WalBlockFlags flags) => throw new NotImplementedException();

    public WalRecordBuilder AddBlockData(int id, ReadOnlySpan<byte> data) => throw new NotImplementedException();

    /// <summary>XLOG_MARK_UNIMPORTANT 0x02, XLOG_INCLUDE_ORIGIN 0x01.</summary>
    public byte RecordFlags { get; set; }
}
