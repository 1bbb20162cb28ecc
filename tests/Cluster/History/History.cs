using System.Collections.Concurrent;

namespace SharedStorage.Cluster.History;

/// <summary>What a read was promised.</summary>
internal enum ReadPromise
{
    /// <summary>Never older than what the same session has read before.</summary>
    Eventual,

    /// <summary>At or after the session's own last commit on the writer.</summary>
    Session,

    /// <summary>At or after every commit that was acknowledged before the read began.</summary>
    Global,
}

/// <summary>A read of all counters in one snapshot. Times are ticks of one monotonic clock.</summary>
/// <param name="Session">The connection: its reads follow each other.</param>
/// <param name="Node">The node that answered.</param>
/// <param name="Counters">The value of each counter.</param>
/// <param name="OwnCommits">For <see cref="ReadPromise.Session"/>: the counters as this session's own commits left them at the least.</param>
internal sealed record ReadEvent(int Session, string Node, ReadPromise Promise, long Began, long Ended, int[] Counters, int[]? OwnCommits = null);

/// <summary>An acknowledged transaction that raised some counters by one each and noted an id beside each.</summary>
/// <param name="Id">Unique in the history.</param>
/// <param name="Writes">Which counter it left at which value.</param>
/// <param name="Base">For repeatable read: the counters that it had read before it wrote; else null.</param>
/// <param name="EverywhereWhenAcknowledged">Committed with synchronous_commit = remote_apply.</param>
internal sealed record CommitEvent(long Id, long Began, long Acknowledged, (int Counter, int Value)[] Writes, int[]? Base, bool EverywhereWhenAcknowledged);

/// <summary>What a run observed, in no order.</summary>
internal sealed class RunHistory(int counters)
{
    public int Counters { get; } = counters;
    public ConcurrentBag<ReadEvent> Reads { get; } = [];
    public ConcurrentBag<CommitEvent> Commits { get; } = [];

    /// <summary>Transactions whose end is not known (the connection broke during COMMIT): they may have happened.</summary>
    public ConcurrentBag<long> InDoubt { get; } = [];

    /// <summary>At the end: each row that is there, as counter, value, id.</summary>
    public IReadOnlyList<(int Counter, int Value, long Id)> Rows { get; set; } = [];
}
