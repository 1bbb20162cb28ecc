using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace SharedStorage.Primitives;

/// <summary>
/// Checks that stay on in Release, one condition each. Within a critical section (pages changed, log record not yet inserted) a
/// failure cannot be undone in memory, so it ends the process: recovery puts things right.
/// </summary>
public static class Invariant
{
    [ThreadStatic] private static int _criticalDepth;

    /// <summary>Whether this thread is between the first change of a page and the log record that covers it.</summary>
    public static bool InCriticalSection => _criticalDepth > 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check([DoesNotReturnIf(false)] bool holds, string rule, string message)
    {
        if (!holds)
        {
            Fail(rule, message);
        }
    }

    [DoesNotReturn]
    public static void Fail(string rule, string message)
    {
        var failure = new InvariantException(rule, message);
        if (InCriticalSection)
        {
            Environment.FailFast(failure.Message, failure);
        }

        throw failure;
    }

    /// <summary>
    /// Begins a critical section. On an exception inside, call <see cref="Abandon"/>; <see cref="CriticalSection.Dispose"/> alone means success.
    /// </summary>
    public static CriticalSection EnterCritical()
    {
        _criticalDepth++;
        return default;
    }

    /// <summary>Ends the process: a page is changed in memory and no log record says so.</summary>
    [DoesNotReturn]
    public static void Abandon(Exception cause) =>
        Environment.FailFast($"failure inside a critical section: {cause.Message}", cause);

    public ref struct CriticalSection
    {
        public readonly void Dispose() => _criticalDepth--;
    }
}
