using SharedStorage.Hosting.Cluster;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Writer.Fencing;

/// <summary>
/// Holds the writer's lease on shared storage: renews it, and tells every write of log, data and control file whether it may start (I8, I9). A writer that could not renew within the lease,
/// or meets a higher epoch, is fenced for ever: it starts no write and stops.
/// </summary>
/// <remarks>
/// The lease is measured from before the renewal was written, on this host's monotonic clock: whoever waits one lease length after the file
/// stopped changing waits longer.
/// </remarks>
public sealed class WriterLease : IDisposable
{
    private readonly string _dataDirectory;
    private readonly Epochs _epochs;
    private readonly TimeSpan _length;
    private readonly TimeProvider _time;
    private readonly Func<Lsn> _flushed;
    private readonly Action<string> _lost;
    private readonly Lock _renewing = new();
    private readonly ITimer _timer;
    private WriterLeaseRecord _record;
    private long _validUntil;
    private volatile string? _lostBecause;

    /// <param name="dataDirectory">The shared data directory.</param>
    /// <param name="record">What the lease says; its epoch has been claimed.</param>
    /// <param name="length">The lease's length.</param>
    /// <param name="renewal">How often it is renewed.</param>
    /// <param name="time">The clock.</param>
    /// <param name="flushed">How far the log is durable now.</param>
    /// <param name="lost">Called once with the reason when the lease is lost: the node stops.</param>
    public WriterLease(string dataDirectory, WriterLeaseRecord record, TimeSpan length, TimeSpan renewal, TimeProvider time, Func<Lsn> flushed, Action<string> lost)
    {
        _dataDirectory = dataDirectory;
        _epochs = new Epochs(dataDirectory);
        _record = record;
        _length = length;
        _time = time;
        _flushed = flushed;
        _lost = lost;
        Renew();
        _timer = time.CreateTimer(_ => TryRenew(), null, renewal, renewal);
    }

    public ulong Epoch => _record.Epoch;

    /// <summary>Whether a write may start now. Asked before every write; costs a clock reading.</summary>
    public bool IsHeld => _lostBecause is null && _time.GetTimestamp() < Volatile.Read(ref _validUntil);

    /// <summary>The same, and storage says that no other writer has begun: for what must be true of the whole cluster, not only of this node.</summary>
    public bool IsHeldOnStorage => _epochs.Highest() == _record.Epoch && IsHeld;

    /// <summary>I8: a writer that cannot prove its lease answers nothing, since another one may have committed already.</summary>
    /// <exception cref="PgException">57P03.</exception>
    public void CheckMayAnswer()
    {
        if (!IsHeld)
        {
            throw new PgException(SqlStates.CannotConnectNow, "this node is no longer the writer") { Detail = LostBecause, Fatal = true };
        }
    }

    public string LostBecause => _lostBecause ?? "the lease on shared storage could not be renewed in time";

    /// <summary>Changes the timeline told in the file (after a promotion) and renews.</summary>
    public void SetTimeline(TimelineId timeline)
    {
        lock (_renewing)
        {
            _record = _record with { Timeline = timeline };
        }

        Renew();
    }

    /// <summary>A clean stop: the next writer need not wait.</summary>
    public void Release()
    {
        _timer.Dispose();
        lock (_renewing)
        {
            if (IsHeld)
            {
                Write(_record with { Renewal = _record.Renewal + 1, Flushed = _flushed(), Released = true });
            }

            _lostBecause ??= "the lease was released";
        }
    }

    public void Dispose() => _timer.Dispose();

    private void TryRenew()
    {
        if (_lostBecause is not null)
        {
            return;
        }

        try
        {
            Renew();
        }
        catch (Exception e) when (e is StorageException or IOException or PgException)
        {
            if (!IsHeld)
            {
                Lose($"the lease on shared storage could not be renewed: {e.Message}");
            }
        }
    }

    private void Renew()
    {
        lock (_renewing)
        {
            long before = _time.GetTimestamp();
            if (_validUntil != 0 && before >= _validUntil)
            {
                Lose("the lease on shared storage ran out before it could be renewed");
                return;
            }

            if (_epochs.Highest() is var highest && highest > _record.Epoch)
            {
                Lose($"epoch {highest} has been claimed, this writer has epoch {_record.Epoch}");
                return;
            }

            _record = _record with { Renewal = _record.Renewal + 1, Flushed = _flushed() };
            Write(_record);
            Volatile.Write(ref _validUntil, before + (long)(_length.TotalSeconds * _time.TimestampFrequency));
        }
    }

    private void Write(WriterLeaseRecord record) =>
        DurableFile.Write(Path.Combine(_dataDirectory, WriterLeaseRecord.FileName), record.ToBytes());

    private void Lose(string reason)
    {
        if (_lostBecause is null)
        {
            _lostBecause = reason;
            _lost(reason);
        }
    }
}
