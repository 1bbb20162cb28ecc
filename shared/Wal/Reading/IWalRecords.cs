using SharedStorage.Primitives;

namespace SharedStorage.Wal.Reading;

/// <summary>Records by position: from the ring of recent log in memory, else from pg_wal. Thread-safe; what lazy redo reads through.</summary>
public interface IWalRecords
{
    /// <exception cref="StorageException">The record is not there or damaged; the message has its LSN.</exception>
    void Read(Lsn start, WalRecord into);
}

/// <summary>Gives readers for many records in the order of the log.</summary>
public interface IWalScans
{
    IWalScan OpenScan();
}

/// <summary>Records at positions that only grow: the log between them is read by large reads, ahead of what is asked for. Belongs to one thread.</summary>
public interface IWalScan : IDisposable
{
    /// <exception cref="StorageException">The record is not there or damaged; the message has its LSN.</exception>
    void Read(Lsn start, WalRecord into);

    /// <summary>The next position may be any.</summary>
    void Restart();
}
