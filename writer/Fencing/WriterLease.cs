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
    private readonly WriterTerm _term;
    private readonly TimeProvider _time;
    private readonly long _origin;
    private readonly Func<Lsn> _flushed;
    private readonly Action<string> _lost;
    private readonly Lock _renewing = new();
    private readonly ITimer _timer;
    private WriterLeaseRecord _record;
    private bool _told;

    /// <param name="dataDirectory">The shared data directory.</param>
    /// <param name="record">What the lease says; its epoch has been claimed.</param>
    /// <param name="claimed">The clock's reading from before that claim.</param>
    /// <param name="length">The lease's length.</param>
    /// <param name="renewal">How often it is renewed.</param>
    /// <param name="time">The clock.</param>
    /// <param name="flushed">How far the log is durable now.</param>
    /// <param name="lost">Called once with the reason when the lease is lost: the node stops.</param>
    public WriterLease(string dataDirectory, WriterLeaseRecord record, long claimed, TimeSpan length, TimeSpan renewal, TimeProvider time, Func<Lsn> flushed, Action<string> lost)
    {
        _dataDirectory = dataDirectory;
        _epochs = new Epochs(dataDirectory);
        _record = record;
        _term = new WriterTerm(record.Epoch, length, TimeSpan.Zero);
        _time = time;
        _origin = claimed;
        _flushed = flushed;
        _lost = lost;
        Renew();
        _timer = time.CreateTimer(_ => TryRenew(), null, renewal, renewal);
    }

    public ulong Epoch => _term.Epoch;

    /// <summary>Whether a write may start now. Asked before every write; costs a clock reading.</summary>
    public bool IsHeld => _term.IsHeld(Now);

    /// <summary>The same, and storage says that no other writer has begun: for what must be true of the whole cluster, not only of this node.</summary>
    public bool IsHeldOnStorage => _epochs.Highest() == Epoch && IsHeld;

    /// <summary>I8: a writer that cannot prove its lease answers nothing, since another one may have committed already.</summary>
    /// <exception cref="PgException">57P03.</exception>
    public void CheckMayAnswer()
    {
        if (!IsHeld)
        {
            throw new PgException(SqlStates.CannotConnectNow, "this node is no longer the writer") { Detail = LostBecause, Fatal = true };
        }
    }

    /// <summary>What is left of the lease: no reader is granted more (I8).</summary>
    public TimeSpan Left => _term.Left(Now);

    private TimeSpan Now => _time.GetElapsedTime(_origin);

    public string LostBecause => _term.LostBecause ?? "the lease on shared storage could not be renewed in time";

    /// <summary>Changes the timeline told in the file (after a promotion) and renews.</summary>
    public void SetTimeline(TimelineId timeline)
    {
        lock (_renewing)
        {
            _record = _record with { Timeline = timeline };
        }

        Renew();
    }

    /// <summary>Says in the file that the writer has opened for writes, and renews.</summary>
    public void SetOpened()
    {
        lock (_renewing)
        {
            _record = _record with { Opened = true };
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

            _told = true;
            _term.Lose("the lease was released");
        }
    }

    public void Dispose() => _timer.Dispose();

    private void TryRenew()
    {
        if (_term.LostBecause is not null)
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
                _term.Lose($"the lease on shared storage could not be renewed: {e.Message}");
                TellLoss();
            }
        }
    }

    private void Renew()
    {
        lock (_renewing)
        {
            TimeSpan began = Now;
            if (!_term.MayRenew(began, _epochs.Highest()))
            {
                TellLoss();
                return;
            }

            FaultPoint.Hit("lease.before-renewal");
            _record = _record with { Renewal = _record.Renewal + 1, Flushed = _flushed() };
            Write(_record);
            if (!_term.Renewed(began, Now))
            {
                TellLoss();
            }
        }
    }

    // In place: a full filesystem must not end the lease.
    private void Write(WriterLeaseRecord record) =>
        DurableFile.Overwrite(Path.Combine(_dataDirectory, WriterLeaseRecord.FileName), record.ToBytes());

    private void TellLoss()
    {
        if (!_told)
        {
            _told = true;
            _lost(LostBecause);
        }
    }
}
