using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;

namespace SharedStorage.Sql.Parse;

/// <summary>Threads with a large stack for long query strings; they are kept for reuse, since a thread's first parse sets up memory in the library.</summary>
internal sealed class ParserThread
{
    /// <summary>Bytes of address space; what is not touched takes no memory. 6,000 levels need about 60 MB.</summary>
    private const int StackSize = 256 << 20;

    private static readonly ConcurrentBag<ParserThread> Idle = [];

    private readonly SemaphoreSlim _work = new(0);
    private readonly SemaphoreSlim _done = new(0);
    private SourceText? _source;
    private RawStatement[]? _result;
    private ExceptionDispatchInfo? _failure;

    private ParserThread() =>
        new Thread(Loop, StackSize) { IsBackground = true, Name = "sql parser" }.Start();

    public static RawStatement[] Run(SourceText source)
    {
        if (!Idle.TryTake(out ParserThread? thread))
        {
            thread = new ParserThread();
        }

        thread._source = source;
        thread._work.Release();
        thread._done.Wait();
        (RawStatement[]? result, ExceptionDispatchInfo? failure) = (thread._result, thread._failure);
        (thread._source, thread._result, thread._failure) = (null, null, null);
        Idle.Add(thread);
        failure?.Throw();
        return result!;
    }

    private void Loop()
    {
        while (true)
        {
            _work.Wait();
            try
            {
                _result = SqlParser.ParseHere(_source!);
            }
#pragma warning disable CA1031 // Whatever goes wrong belongs to the session that waits.
            catch (Exception e)
#pragma warning restore CA1031
            {
                _failure = ExceptionDispatchInfo.Capture(e);
            }

            _done.Release();
        }
    }
}
