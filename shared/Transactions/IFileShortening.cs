using SharedStorage.Primitives;

namespace SharedStorage.Transactions;

/// <summary>A fork that is to be cut to so many blocks.</summary>
public readonly record struct ForkCut(ForkNumber Fork, uint Blocks);

/// <summary>
/// Cuts the files of a relation under its exclusive lock. The writer's implementation keeps rule R1: it holds redo and consistent before the record, and cuts
/// once every leased reader has applied it.
/// </summary>
public interface IFileShortening
{
    /// <summary>Inserts the record with <paramref name="log"/> (which gives its end), flushes it, forgets the pages, cuts and syncs the files.</summary>
    void Shorten(RelFileNode node, IReadOnlyList<ForkCut> cuts, Func<Lsn> log);
}

/// <summary>Cuts at once: right when no reader is leased.</summary>
public sealed class ImmediateShortening(StorageEngine engine) : IFileShortening
{
    public void Shorten(RelFileNode node, IReadOnlyList<ForkCut> cuts, Func<Lsn> log)
    {
        engine.WritableWal.Flush(log());
        foreach (ForkCut cut in cuts)
        {
            engine.Buffers.Discard(node, cut.Fork, cut.Blocks);
            engine.Files.Truncate(node, cut.Fork, cut.Blocks);
            engine.Files.Sync(node, cut.Fork);
        }
    }
}
