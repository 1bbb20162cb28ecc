namespace SharedStorage.Primitives;

/// <summary>
/// Whether the work of this thread is still wanted: a session's thread says how to ask, and whoever makes it wait far below asks now and then (PostgreSQL's
/// CHECK_FOR_INTERRUPTS). Threads that serve no session are never interrupted.
/// </summary>
public static class Interrupts
{
    [ThreadStatic] private static Action? _check;

    /// <summary>From here on this thread serves a session; null: none any more.</summary>
    /// <param name="check">Throws when the session's statement, or the session, is to end.</param>
    public static void Serve(Action? check) => _check = check;

    /// <exception cref="PgException">The statement was cancelled, its time is over, or the session is to end.</exception>
    public static void Check() => _check?.Invoke();
}
