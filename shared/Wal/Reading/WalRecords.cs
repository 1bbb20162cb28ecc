using System.Collections.Concurrent;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Reading;

/// <summary>
/// Records by position, for lazy redo: from the ring of recent log, else from files. Thread-safe: each call borrows a reader with its
/// own buffer. The callers ask only for records that the tail has verified, so one that is not there has been lost since.
/// </summary>
public sealed class WalRecords(WalDirectory directory, TimelineHistory history, RecentWal recent) : IWalRecords, IWalStretches, IDisposable
{
    private readonly ConcurrentBag<WalReader> _idle = [];
    private volatile bool _disposed;

    public void Read(Lsn start, WalRecord into)
    {
        WalReader reader = _idle.TryTake(out WalReader? idle) ? idle : NewReader();
        reader.Seek(start);
        WalRead result = reader.Read(into);
        if (result != WalRead.Record)
        {
            // The buffer may be from before the page was filled, or the file may have been renamed under an open handle: look afresh once.
            reader.Refresh();
            reader.Seek(start);
            result = reader.Read(into);
        }

        WalEnd? end = reader.End;
        if (_disposed)
        {
            reader.Dispose();
        }
        else
        {
            _idle.Add(reader);
        }

        if (result != WalRead.Record || into.Start != start)
        {
            throw new StorageException($"the log record at {start} cannot be read: {end?.Message ?? "no record begins there"}") { LogIsGone = true };
        }
    }

    public IWalScan OpenScan(int readers) => new WalStretches(directory, history, this, readers);

    public void Dispose()
    {
        _disposed = true;
        while (_idle.TryTake(out WalReader? reader))
        {
            reader.Dispose();
        }
    }

    private WalReader NewReader() => new(
        directory, history, new RecentWalSource(recent, new WalFileSource(directory, history, WalFileSource.PositionalChunk)));
}
