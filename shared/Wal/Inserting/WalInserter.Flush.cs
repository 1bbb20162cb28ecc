using System.Diagnostics;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Inserting;

/// <summary>
/// Writing and syncing. One thread at a time leads: it writes all that has no gap and syncs once; threads that come meanwhile wait for it, and those
/// that it did not cover are led by the first of them (group commit).
/// </summary>
public sealed unsafe partial class WalInserter
{
    /// <summary>Up to this size a write goes through a buffer of its own, so that the page that is still filling is not changed under the disk's hands.</summary>
    private const int StagingSize = 512 << 10;

    private const int LargestWrite = 4 << 20;

    [ThreadStatic] private static FlushWaiter? _waiter;

    private readonly Lock _flushLock = new();
    private readonly List<FlushWaiter> _waiting = [];
    private readonly AlignedBuffer _staging;
    private readonly WalSegmentFiles _segments;

    // Under the flush lock.
    private bool _leading;
    private StorageException? _failure;

    // Only the leading thread changes these.
    private ulong _written;
    private ulong _flushed;
    private IBlockFile? _file;
    private ulong _fileSegment;
    private bool _unsynced;

    private sealed class FlushWaiter
    {
        public readonly SemaphoreSlim Signal = new(0);
        public ulong UpTo;
        public bool Leads;
    }

    /// <summary>Flushes led so far; with commits counted elsewhere it shows how well commits are grouped.</summary>
    public long FlushCount { get; private set; }

    /// <summary>Returns when the log is durable to <paramref name="upTo"/> at least; joins a flush that runs (group commit).</summary>
    /// <exception cref="StorageException">The write or the sync failed: the node must stop (I11).</exception>
    public void Flush(Lsn upTo)
    {
        if (upTo.Value <= Volatile.Read(ref _flushed))
        {
            return;
        }

        if (upTo > Reserved)
        {
            throw new StorageException($"a flush of the log to {upTo} was asked for, but it ends at {Reserved}: a page has an LSN from the future");
        }

        FlushWaiter waiter = _waiter ??= new FlushWaiter();
        bool leads;
        lock (_flushLock)
        {
            ThrowIfFailed();
            if (upTo.Value <= _flushed)
            {
                return;
            }

            leads = !_leading;
            waiter.Leads = leads;
            waiter.UpTo = upTo.Value;
            _leading = true;
            if (!leads)
            {
                _waiting.Add(waiter);
            }
        }

        // What was decided under the lock counts: who is made the leader before it waits must still take its signal, or its next wait would end at once.
        if (!leads)
        {
            waiter.Signal.Wait();
            leads = waiter.Leads;
        }

        if (leads)
        {
            Lead(upTo.Value);
        }

        ThrowIfFailed();
    }

    private void Lead(ulong upTo)
    {
        StorageException? failure = null;
        try
        {
            DelayForSiblings();
            ulong target = Advance();
            while (target < upTo)
            {
                // An insertion before the place is not finished. It may be waiting for room in the ring, so what can be written is.
                if (WalLayout.PageStart(new Lsn(target)).Value > _written)
                {
                    WriteOut(target);
                }

                Thread.Yield();
                ThrowIfFailed();
                target = Advance();
            }

            WriteOut(target);
            SyncFile();
            Volatile.Write(ref _flushed, _written);
            FlushCount++;
        }
        catch (StorageException e)
        {
            failure = e;
        }
        catch (Exception e)
        {
            // Whatever it was: the state of the file is unknown, and the others must not wait for ever.
            failure = new StorageException($"writing the log failed: {e.Message}", e) { SqlState = SqlStates.IoError };
        }

        EndLead(failure);
        if (failure is null)
        {
            _options.OnFlushed(Flushed);
        }
        else
        {
            _options.OnFailure(failure);
        }
    }

    private void EndLead(StorageException? failure)
    {
        lock (_flushLock)
        {
            _failure ??= failure;
            _leading = false;
            FlushWaiter? next = null;
            int kept = 0;
            for (int i = 0; i < _waiting.Count; i++)
            {
                FlushWaiter waiter = _waiting[i];
                if (_failure is null && waiter.UpTo > _flushed)
                {
                    if (next is null)
                    {
                        next = waiter;
                        _leading = true;
                        waiter.Leads = true;
                        waiter.Signal.Release();
                    }
                    else
                    {
                        _waiting[kept++] = waiter;
                    }
                }
                else
                {
                    waiter.Signal.Release();
                }
            }

            _waiting.RemoveRange(kept, _waiting.Count - kept);
        }
    }

    private void ThrowIfFailed()
    {
        if (_failure is { } cause)
        {
            throw new StorageException($"the log cannot be written any more: {cause.Message}", cause)
            {
                SqlState = cause.SqlState,
                Errno = cause.Errno,
            };
        }
    }

    private void DelayForSiblings()
    {
        if (_options.CommitDelay > 0 && _options.OpenTransactions is { } open && open() >= _options.CommitSiblings)
        {
            long until = Stopwatch.GetTimestamp() + (_options.CommitDelay * Stopwatch.Frequency / 1_000_000);
            while (Stopwatch.GetTimestamp() < until)
            {
                Thread.Yield();
            }
        }
    }

    /// <summary>Writes up to a place; a full segment is synced before the next is begun, which readers of the log rely on.</summary>
    private void WriteOut(ulong target)
    {
        ulong before = _written;
        while (_written < target)
        {
            ulong segment = _written / (ulong)_segmentSize;
            ulong segmentEnd = (segment + 1) * (ulong)_segmentSize;
            ulong upTo = Math.Min(target, segmentEnd);
            if (_file is null || _fileSegment != segment)
            {
                _file?.Dispose();
                _file = null;
                _file = OpenOrCreateWaiting(segment);
                _fileSegment = segment;
            }

            WriteRange(_written, upTo);
            _written = upTo;
            if (upTo == segmentEnd)
            {
                SyncFile();
                _options.OnSegmentFilled(segment);
            }
        }

        Recycle(before, _written);
    }

    private void WriteRange(ulong from, ulong to)
    {
        ulong start = from & ~(ulong)(AlignedBuffer.Alignment - 1);
        ulong end = (to + AlignedBuffer.Alignment - 1) & ~(ulong)(AlignedBuffer.Alignment - 1);
        ulong direct = end - start > StagingSize ? to & ~(ulong)(AlignedBuffer.Alignment - 1) : start;
        while (start < direct)
        {
            // Whole blocks go from the ring itself, in pieces that do not wrap.
            ulong left = (ulong)_ring.Length - (start % (ulong)_ring.Length);
            int length = (int)Math.Min(Math.Min(left, direct - start), LargestWrite);
            Write(start, new ReadOnlySpan<byte>(RingAt(start), length));
            start += (ulong)length;
        }

        if (start < end)
        {
            Span<byte> staging = _staging.Span[..(int)(end - start)];
            int filled = (int)(to - start);
            int first = (int)Math.Min((ulong)filled, (ulong)_ring.Length - (start % (ulong)_ring.Length));
            new ReadOnlySpan<byte>(RingAt(start), first).CopyTo(staging);
            new ReadOnlySpan<byte>(_ring.Pointer, filled - first).CopyTo(staging[first..]);
            staging[filled..].Clear();
            Write(start, staging);
        }
    }

    private void Write(ulong at, ReadOnlySpan<byte> bytes)
    {
        FaultPoint.Hit("wal.write");
        RequirePermission();
        _file!.Write((long)(at % (ulong)_segmentSize), bytes);
        _unsynced = true;
    }

    private void SyncFile()
    {
        if (_unsynced)
        {
            FaultPoint.Hit("wal.sync");
            _file!.DataSync();
            _unsynced = false;

            // I8: what became durable after the lease had run out may have come too late for the next writer, so nobody may be told that it is.
            RequirePermission();
        }
    }

    private void RequirePermission()
    {
        if (!_options.MayWrite())
        {
            throw new StorageException("this node may not write to the log any more: it cannot prove its lease (I8)") { SqlState = SqlStates.CannotConnectNow };
        }
    }

    private void OpenTail(WalStart start)
    {
        ulong at = start.InsertAt.Value;
        ulong segment = at / (ulong)_segmentSize;
        RequirePermission();
        _segments.DeleteFuture(segment, start.KeepFutureSegments);
        if (at % (ulong)_segmentSize == 0)
        {
            // A segment that begins here is not begun yet: what lies under its name is old.
            if (!start.KeepFutureSegments)
            {
                _segments.Delete(segment);
            }

            return;
        }

        _file = _segments.OpenExisting(segment);
        _fileSegment = segment;
        _segments.ClearAfter(_file, segment, start.InsertAt, _staging.Span);
        if (at % WalLayout.PageSize != 0)
        {
            ulong page = at & ~(ulong)(WalLayout.PageSize - 1);
            var slot = new Span<byte>(RingAt(page), WalLayout.PageSize);
            if (_file.Read((long)(page % (ulong)_segmentSize), slot) != WalLayout.PageSize)
            {
                throw new StorageException($"\"{_file.Path}\" ends before {start.InsertAt}, where the log should be continued");
            }

            slot[(int)(at % WalLayout.PageSize)..].Clear();
        }
    }
}
