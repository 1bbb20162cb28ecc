using SharedStorage.Primitives;

namespace SharedStorage.Wal.Inserting;

/// <summary>
/// The background thread (PostgreSQL's walwriter): flushes what nobody flushes, a short time after it was inserted, so that asynchronous commits become
/// durable and readers see them; and has the next segment ready before it is needed. It sleeps for good while nothing is inserted.
/// </summary>
public sealed partial class WalInserter
{
    private readonly SemaphoreSlim _writerWake = new(0);
    private Thread? _writer;
    private volatile bool _writerStops;
    private int _writerArmed = 1;
    private TimeSpan _writerDelay;

    /// <param name="delay">wal_writer_delay: how long an insertion may stay unflushed. PostgreSQL's default is 200 ms.</param>
    public void StartWriter(TimeSpan delay)
    {
        _writerDelay = delay;
        _writer = new Thread(WriterLoop) { IsBackground = true, Name = "wal writer" };
        _writer.Start();
    }

    private void WakeWriter()
    {
        // One read per insertion; the semaphore is touched once per delay.
        if (Volatile.Read(ref _writerArmed) == 0 && Interlocked.Exchange(ref _writerArmed, 1) == 0)
        {
            _writerWake.Release();
        }
    }

    private void WriterLoop()
    {
        try
        {
            PrepareNextSegment();
            while (!_writerStops)
            {
                Volatile.Write(ref _writerArmed, 0);
                if (Reserved == Flushed)
                {
                    _writerWake.Wait();
                }
                else
                {
                    Volatile.Write(ref _writerArmed, 1);
                }

                if (!_writerStops && _writerDelay > TimeSpan.Zero)
                {
                    _stopSignal.Wait(_writerDelay);
                }

                // Only what is finished: waiting for an insertion under way is not worth it here.
                Flush(Inserted);
                PrepareNextSegment();
            }
        }
        catch (StorageException)
        {
            // The failure was reported by the thread that led the flush, or is told to whoever flushes next; the node stops.
        }
    }

    private readonly ManualResetEventSlim _stopSignal = new(false);

    /// <summary>Creates the segment after the current one when it is not there.</summary>
    private void PrepareNextSegment()
    {
        ulong current = (Reserved.Value == 0 ? 0 : Reserved.Value - 1) / (ulong)_segmentSize;
        if (_options.MayWrite())
        {
            try
            {
                _segments.Prepare(current + 1);
            }
            catch (StorageException e) when (e.IsNoSpace)
            {
                // No failure yet: the space may be there when the segment is needed.
            }
        }
    }

    private void StopWriter()
    {
        _writerStops = true;
        _stopSignal.Set();
        _writerWake.Release();
        _writer?.Join();
        _writer = null;
    }
}
