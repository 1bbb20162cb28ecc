namespace SharedStorage.Control;

/// <summary>A semaphore that keeps one signal at most: whoever takes it looks at everything anyway, so a second one would only wake it for nothing.</summary>
public static class OneSignal
{
    public static SemaphoreSlim New() => new(0, 1);

    public static void Give(SemaphoreSlim signal)
    {
        if (signal.CurrentCount == 0)
        {
            try
            {
                signal.Release();
            }
            catch (SemaphoreFullException)
            {
                // Another thread was quicker: the signal is there.
                return;
            }
        }
    }
}
