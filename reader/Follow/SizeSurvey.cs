using Microsoft.Extensions.Logging;
using SharedStorage.Control.Leases;
using SharedStorage.Format.Pages;
using SharedStorage.Hosting.Engine;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Follow;

/// <summary>
/// Learns the size of every relation once, while the lease holds (R12). A frozen reader learns none, since a live writer may have cut the file; so without this it could not answer, beside a dead
/// writer, what nobody had asked it before. Afterwards the log tells each change of size.
/// </summary>
public sealed class SizeSurvey : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    private readonly NodeEngine _engine;
    private readonly WriterLink _link;
    private readonly ILogger _log;
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;
    private int _disposed;

    public SizeSurvey(NodeEngine engine, WriterLink link, ILogger log)
    {
        _engine = engine;
        _link = link;
        _log = log;
        _thread = new Thread(Run) { IsBackground = true, Name = "sizes" };
        _thread.Start();
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _stop.Set();
            _thread.Join();
            _stop.Dispose();
        }
    }

    private void Run()
    {
        while (!_stop.Wait(Look))
        {
            if (_link.State != LeaseState.Active)
            {
                continue;
            }

            try
            {
                int relations = LearnAll();
                _log.LogInformation("the sizes of {Relations} relations are known", relations);
                return;
            }
            catch (Exception e) when (e is PgException or StorageException or IOException)
            {
                // The lease has lapsed, or storage has: begun again when it holds.
                _log.LogInformation("sizes are learned later: {Reason}", e.Message);
            }
        }
    }

    private int LearnAll()
    {
        int relations = 0;
        foreach (RelFileNode rel in _engine.Files.Relations())
        {
            if (_stop.IsSet)
            {
                break;
            }

            _engine.Pool.BlockCount(rel, ForkNumber.Main);
            relations++;
        }

        return relations;
    }
}
