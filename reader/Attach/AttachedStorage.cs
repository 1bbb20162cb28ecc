using SharedStorage.Buffers;
using SharedStorage.Hosting.Engine;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Attach;

/// <summary>
/// What the pool asks where a stock writer is ahead of this reader: pages from the future are met by waiting, missing files and blocks by what the log says of
/// them ahead of the tail (WAL comes before data).
/// </summary>
internal sealed class AttachedStorage : IStorageAhead
{
    private TailWaits _waits = null!;
    private AttachedLog _log = null!;
    private LsnCell _applied = null!;

    /// <summary>The rest of the node stands; nothing is asked before that.</summary>
    public void Begin(NodeEngine engine, AttachedLog log, TailWaits waits)
    {
        _applied = engine.Applied;
        _log = log;
        _waits = waits;
    }

    public void AwaitApplied(in BufferTag tag, Lsn pageLsn)
    {
        if (!_waits.Wait(() => _applied.Value >= pageLsn))
        {
            throw NotCaughtUp($"{tag} has LSN {pageLsn}, this reader is at {_applied.Value}.");
        }
    }

    public bool IsGone(RelFileNode rel)
    {
        long pass = _log.RequestPass();
        if (!_waits.Wait(() => _log.HasPassed(pass, out _)))
        {
            throw NotCaughtUp($"The log is known up to {_log.Verified}.");
        }

        if (_log.Coming.CutOf(rel) is { IsValid: true } cut && !_waits.Wait(() => _applied.Value >= cut))
        {
            throw NotCaughtUp($"The relation {rel} was cut by a record that ends at {cut}, this reader is at {_applied.Value}.");
        }

        return _log.Coming.Drops(rel);
    }

    public bool AwaitCut(Func<bool> passed) => _waits.Wait(passed);

    public PgException Vanished(RelFileNode rel) => new(SqlStates.SerializationFailure, "canceling statement due to conflict with recovery")
    {
        Detail = $"User query needed the files of relation {rel}, which the server that owns the directory has removed or cut.",
    };

    private static PgException NotCaughtUp(string detail) =>
        new(SqlStates.ObjectNotInPrerequisiteState, "the files are newer than what this reader has applied")
        {
            Detail = detail,
            Hint = "Retry the statement; resume replay if it is paused.",
        };
}
