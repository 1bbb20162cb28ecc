using SharedStorage.Primitives;

namespace SharedStorage.Reader.Serve;

/// <summary>
/// Asks the writer what it has made visible. Whoever comes while a question is under way shares the next one: an answer counts only for those who came before it was asked, so
/// many sessions cost one question at a time.
/// </summary>
/// <param name="ask">One question to the writer that this reader follows.</param>
public sealed class WriterVisible(Func<Task<Lsn>> ask)
{
    private readonly Lock _lock = new();
    private TaskCompletionSource<Lsn>? _next;
    private bool _asking;

    /// <summary>A position at or after everything that the writer had committed when this was called.</summary>
    public Task<Lsn> AskAsync()
    {
        TaskCompletionSource<Lsn> mine;
        lock (_lock)
        {
            mine = _next ??= new TaskCompletionSource<Lsn>(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_asking)
            {
                return mine.Task;
            }

            _asking = true;
        }

        _ = Task.Run(AnswerAllAsync);
        return mine.Task;
    }

    private async Task AnswerAllAsync()
    {
        while (true)
        {
            TaskCompletionSource<Lsn> waiting;
            lock (_lock)
            {
                if (_next is null)
                {
                    _asking = false;
                    return;
                }

                waiting = _next;
                _next = null;
            }

            Task<Lsn> asked = ask();
            await ((Task)asked).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (asked.IsCompletedSuccessfully)
            {
                waiting.SetResult(await asked.ConfigureAwait(false));
            }
            else
            {
                waiting.SetException(asked.Exception?.InnerExceptions as IEnumerable<Exception> ?? [new OperationCanceledException()]);
            }
        }
    }
}
