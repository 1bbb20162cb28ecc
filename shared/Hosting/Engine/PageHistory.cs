using Microsoft.Extensions.Logging;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Hosting.Engine;

/// <summary>
/// What the log has of one page since the last checkpoint's redo (I12, DESIGN 3): for a page that its writer tore for good, though the index of the log was cut past its image. The image is there,
/// since a page that changes after redo is logged whole first, and so is the log, since segments from redo on are kept. Reads the log through: slow, and only after a writer's death in the middle of a write.
/// </summary>
internal sealed class PageHistory(string dataDirectory, WalDirectory directory, Func<TimelineHistory> history, ILogger log)
{
    /// <summary>The records that touch the page and begin before a position, in order; true for one that makes the page whatever it was.</summary>
    public IReadOnlyList<(Lsn Start, bool Initializes)> Of(BufferTag tag, Lsn before)
    {
        // Storage's own word: what this node began at, or last heard of, may be an older checkpoint, whose log is gone.
        Lsn redo = new ControlFileStore(dataDirectory).Read().CheckPoint.Redo;
        using WalReader reader = WalReader.Open(directory, history(), redo);
        reader.Limit = before;
        var record = new WalRecord();
        var found = new List<(Lsn Start, bool Initializes)>();
        while (reader.Read(record) == WalRead.Record && record.Start < before)
        {
            for (int id = 0; id < record.BlockCount; id++)
            {
                if (record.HasBlock(id) && record.Block(id).Tag == tag)
                {
                    found.Add((record.Start, record.Block(id).ApplyImage || record.Block(id).WillInit));
                }
            }
        }

        log.LogWarning("{Page} is damaged in storage: the log from {Redo} to {End} has {Records} records of it", tag, redo, reader.Position, found.Count);
        return found;
    }
}
