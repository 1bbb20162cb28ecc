using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Buffers;

/// <summary>What the pool of a writer needs of the log. <see cref="InserterLog"/> gives it; tests put their own in its place.</summary>
public interface IBufferLog
{
    /// <inheritdoc cref="WalInserter.Inserted"/>
    Lsn Inserted { get; }

    /// <inheritdoc cref="WalInserter.Reserved"/>
    Lsn Reserved { get; }

    /// <inheritdoc cref="WalInserter.Flushed"/>
    Lsn Flushed { get; }

    /// <inheritdoc cref="WalInserter.RedoPointer"/>
    Lsn RedoPointer { get; }

    /// <inheritdoc cref="WalInserter.Flush"/>
    void Flush(Lsn upTo);

    /// <summary>Inserts a full-page image for a hint (XLOG_FPI_FOR_HINT) of a private copy of the page; gives the record's end.</summary>
    unsafe Lsn InsertHintImage(in BufferTag tag, byte* copy, bool standardLayout);
}

/// <summary>The pool's view of the writer's log.</summary>
public sealed class InserterLog(WalInserter wal) : IBufferLog
{
    /// <summary>XLOG_FPI_FOR_HINT of pg_control.h.</summary>
    private const byte HintImage = 0xA0;

    public Lsn Inserted => wal.Inserted;
    public Lsn Reserved => wal.Reserved;
    public Lsn Flushed => wal.Flushed;
    public Lsn RedoPointer => wal.RedoPointer;

    public void Flush(Lsn upTo) => wal.Flush(upTo);

    public unsafe Lsn InsertHintImage(in BufferTag tag, byte* copy, bool standardLayout)
    {
        WalRecordBuilder record = wal.Begin(Xid.Invalid);
        record.AddBlock(0, tag, copy, WalBlockFlags.ForceImage | (standardLayout ? WalBlockFlags.Standard : WalBlockFlags.None));
        return wal.Insert(record, Rmgr.Xlog, HintImage);
    }
}
