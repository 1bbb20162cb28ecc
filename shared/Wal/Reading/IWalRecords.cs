using SharedStorage.Primitives;

namespace SharedStorage.Wal.Reading;

/// <summary>Records by position: from the ring of recent log in memory, else from pg_wal. Thread-safe; what lazy redo reads through.</summary>
public interface IWalRecords
{
    /// <exception cref="StorageException">The record is not there or damaged; the message has its LSN.</exception>
    void Read(Lsn start, WalRecord into);
}
