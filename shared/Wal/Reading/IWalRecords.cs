using SharedStorage.Primitives;

namespace SharedStorage.Wal.Reading;

/// <summary>Records by position: from the ring of recent log in memory, else from pg_wal. Thread-safe; what lazy redo reads through.</summary>
public interface IWalRecords
{
    /// <exception cref="StorageException">The record is not there or damaged; the message has its LSN.</exception>
    void Read(Lsn start, WalRecord into);
}

/// <summary>Gives the log in stretches, for threads that want many of its records.</summary>
public interface IWalStretches
{
    /// <param name="readers">As many threads read it side by side, each through a reader of its own.</param>
    IWalScan OpenScan(int readers);
}

/// <summary>Stretches of the log, whole in memory, each read once for all threads that want it at about the same time. Thread-safe.</summary>
public interface IWalScan : IDisposable
{
    /// <summary>Bytes of a stretch, a power of two; stretches begin at multiples of it.</summary>
    const int StretchSize = 16 << 20;

    IWalStretchReader NewReader();
}

/// <summary>One thread's look at a scan. Records of the stretch that was entered are read in any order.</summary>
public interface IWalStretchReader : IDisposable
{
    /// <summary>Leaves the stretch before, and waits for one of a higher number (position / <see cref="IWalScan.StretchSize"/>), or of any after <see cref="Leave"/>.</summary>
    /// <param name="next">The stretch that will be entered next: reading it begins. The same number: none.</param>
    void Enter(ulong stretch, ulong next);

    /// <summary>Holds back no other thread any more.</summary>
    void Leave();

    /// <summary>A record that begins in the stretch.</summary>
    /// <exception cref="StorageException">The record is not there or damaged; the message has its LSN.</exception>
    void Read(Lsn start, WalRecord into);

    /// <summary>The record at a position in the stretch will be read soon.</summary>
    void Fetch(Lsn start);
}
