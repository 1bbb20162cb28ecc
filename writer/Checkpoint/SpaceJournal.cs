using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using SharedStorage.Primitives;

namespace SharedStorage.Writer.Checkpoint;

/// <summary>Work in the background that a full disk keeps from its end and that is tried again and again: told once when that begins and once when it is over.</summary>
public sealed class SpaceJournal(ILogger log)
{
    private readonly ConcurrentDictionary<string, bool> _missing = new(StringComparer.Ordinal);

    public void Missing(string work, StorageException reason)
    {
        if (_missing.TryAdd(work, true))
        {
            log.LogError("{Work} waits for room on the disk: {Reason}", work, reason.Message);
        }
    }

    public void Done(string work)
    {
        if (!_missing.IsEmpty && _missing.TryRemove(work, out _))
        {
            log.LogInformation("{Work} no longer waits for room on the disk", work);
        }
    }
}
