using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Transactions;

/// <summary>What transactions need of the log; the writer's <see cref="WalInserter"/> in production, a model in tests.</summary>
public interface ITransactionLog
{
    /// <summary>At or before the start of every record inserted from now on.</summary>
    Lsn Reserved { get; }

    Lsn Flushed { get; }

    /// <summary>Inserts a record without blocks; gives its end.</summary>
    Lsn Insert(Xid xid, Rmgr rmgr, byte info, ReadOnlySpan<byte> data, byte recordFlags = 0);

    void Flush(Lsn upTo);
}

/// <summary>Flags of a log record's insertion (XLOG_INCLUDE_ORIGIN, XLOG_MARK_UNIMPORTANT).</summary>
public static class WalRecordFlags
{
    public const byte IncludeOrigin = 0x01;
    public const byte Unimportant = 0x02;
}

/// <summary>The writer's log as transactions use it.</summary>
public sealed class TransactionLog(WalInserter wal) : ITransactionLog
{
    public Lsn Reserved => wal.Reserved;
    public Lsn Flushed => wal.Flushed;

    public Lsn Insert(Xid xid, Rmgr rmgr, byte info, ReadOnlySpan<byte> data, byte recordFlags = 0)
    {
        WalRecordBuilder record = wal.Begin(xid).AddData(data);
        record.RecordFlags = recordFlags;
        return wal.Insert(record, rmgr, info);
    }

    public void Flush(Lsn upTo) => wal.Flush(upTo);
}
