using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Inserting;

/// <summary>
/// A full disk. Room is needed when a segment is made, before anything is written to it, so the lack of it is no failed write (I11): whoever leads the flush tries again until there is room.
/// Who has not inserted yet waits in <see cref="AwaitSpace"/> and can be cancelled there; a commit whose record is inserted waits with its answer. (PostgreSQL stops with a PANIC here.)
/// </summary>
public sealed partial class WalInserter
{
    /// <summary>No filesystem tells when there is room again.</summary>
    private static readonly TimeSpan SpaceLook = TimeSpan.FromMilliseconds(500);

    /// <summary>How often a waiting session looks whether it is to stop.</summary>
    private static readonly TimeSpan InterruptLook = TimeSpan.FromMilliseconds(50);

    private readonly object _space = new();
    private volatile bool _spaceMissing;
    private volatile bool _spaceGivenUp;

    /// <summary>A flush waits until the next segment can be made.</summary>
    public bool IsWaitingForSpace => _spaceMissing;

    /// <summary>
    /// Returns at once unless the log waits for room; then when it has some. For callers that hold no latch and have nothing inserted that others wait for.
    /// </summary>
    /// <param name="checkInterrupts">Throws when the statement is to stop; called now and then.</param>
    /// <exception cref="StorageException">The wait was given up, or the log cannot be written any more.</exception>
    public void AwaitSpace(Action? checkInterrupts)
    {
        while (_spaceMissing)
        {
            checkInterrupts?.Invoke();
            ThrowIfFailed();
            lock (_space)
            {
                if (_spaceMissing)
                {
                    Monitor.Wait(_space, InterruptLook);
                }
            }
        }
    }

    /// <summary>The node stops: from now on a lack of room is an error like every other.</summary>
    public void GiveUpSpace()
    {
        lock (_space)
        {
            _spaceGivenUp = true;
            Monitor.PulseAll(_space);
        }
    }

    /// <summary>The leading thread's next segment; waits while there is no room for it.</summary>
    private IBlockFile OpenOrCreateWaiting(ulong segment)
    {
        try
        {
            while (true)
            {
                RequirePermission();
                try
                {
                    return _segments.OpenOrCreate(segment);
                }
                catch (StorageException e) when (e.IsNoSpace && !_spaceGivenUp)
                {
                    if (!_spaceMissing)
                    {
                        _spaceMissing = true;
                        _options.OnSpaceMissing(e);
                    }

                    lock (_space)
                    {
                        if (!_spaceGivenUp)
                        {
                            Monitor.Wait(_space, SpaceLook);
                        }
                    }
                }
            }
        }
        finally
        {
            EndSpaceWait();
        }
    }

    private void EndSpaceWait()
    {
        if (_spaceMissing)
        {
            lock (_space)
            {
                _spaceMissing = false;
                Monitor.PulseAll(_space);
            }

            _options.OnSpaceBack();
        }
    }
}
