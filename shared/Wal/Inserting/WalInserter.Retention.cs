using SharedStorage.Primitives;

namespace SharedStorage.Wal.Inserting;

/// <summary>How much log is kept and how many old segments are used again (PostgreSQL's KeepLogSeg, XLOGfileslop, CheckPointDistanceEstimate).</summary>
public sealed partial class WalInserter
{
    private double _distanceEstimate;
    private double _previousDistance;

    /// <summary>Whether so much log has been written since <paramref name="redo"/> that a checkpoint is due (max_wal_size).</summary>
    public bool CheckpointNeeded(Lsn redo)
    {
        double segments = (double)_options.MaxWalSize / _segmentSize / (1.0 + _options.CheckpointCompletionTarget);
        ulong distance = WalLayout.SegmentOf(Reserved, _segmentSize) - WalLayout.SegmentOf(redo, _segmentSize);
        return distance >= (ulong)Math.Max(0, (int)segments - 1);
    }

    /// <summary>
    /// After a checkpoint: segments wholly before <paramref name="oldestNeeded"/> (and older than wal_keep_size) are recycled or removed.
    /// </summary>
    /// <param name="oldestNeeded">The lowest of: the checkpoint's redo, what readers, slots and backups still need.</param>
    /// <param name="redo">The checkpoint's redo.</param>
    /// <param name="previousRedo">The redo of the checkpoint before, for the estimate of a cycle's log.</param>
    public (int Removed, int Recycled) RemoveOldSegments(Lsn oldestNeeded, Lsn redo, Lsn previousRedo)
    {
        UpdateEstimate(redo.Value - Math.Min(previousRedo.Value, redo.Value));
        ulong current = WalLayout.SegmentBefore(Reserved, _segmentSize);
        ulong keepFrom = WalLayout.SegmentOf(oldestNeeded, _segmentSize);
        ulong keep = (ulong)(_options.KeepSize / _segmentSize);
        if (keep > 0)
        {
            keepFrom = Math.Min(keepFrom, current > keep ? current - keep : 0);
        }

        ulong redoSegment = WalLayout.SegmentOf(redo, _segmentSize);
        ulong lowest = redoSegment + (ulong)(_options.MinWalSize / _segmentSize) - 1;
        ulong highest = redoSegment + (ulong)(_options.MaxWalSize / _segmentSize) - 1;
        double distance = (1.0 + _options.CheckpointCompletionTarget) * _distanceEstimate * 1.10;
        ulong recycleUpTo = (ulong)Math.Ceiling((redo.Value + distance) / _segmentSize);
        recycleUpTo = Math.Min(Math.Max(recycleUpTo, lowest), highest);
        if (!_options.MayWrite())
        {
            return default;
        }

        return _segments.RemoveOld(keepFrom, current, recycleUpTo);
    }

    /// <summary>A moving average that rises at once and falls slowly.</summary>
    private void UpdateEstimate(ulong bytes)
    {
        _previousDistance = bytes;
        _distanceEstimate = _distanceEstimate < bytes ? bytes : (0.90 * _distanceEstimate) + (0.10 * _previousDistance);
    }
}
