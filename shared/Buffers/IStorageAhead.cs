using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// What a pool asks where storage may be ahead of its node: beside a stock writer, which knows no gate (I2) and removes files as soon as the log says so. On a cluster of
/// ours there is none: then a page from the future and a missing block are failures. Called by sessions, never by the thread that tails.
/// </summary>
public interface IStorageAhead
{
    /// <summary>Returns once <c>applied</c> has reached the LSN of a page that was read.</summary>
    /// <exception cref="PgException">The wait is over, or replay waits for this session itself.</exception>
    void AwaitApplied(in BufferTag tag, Lsn pageLsn);

    /// <summary>
    /// Explains what storage showed of a relation before the call: a size, a missing block. WAL comes before files, so the log as it is now has every record that cut or
    /// removed them; the call returns once those that cut it are applied. True: one that is not applied yet drops the relation.
    /// </summary>
    /// <exception cref="PgException">As with <see cref="AwaitApplied"/>.</exception>
    bool IsGone(RelFileNode rel);

    /// <summary>The index may no longer have entries from a position on because their records are gone: returns once a cut has passed it. False: none came in time.</summary>
    bool AwaitCut(Func<bool> passed);

    /// <summary>The error of a query whose files are gone.</summary>
    PgException Vanished(RelFileNode rel);
}
