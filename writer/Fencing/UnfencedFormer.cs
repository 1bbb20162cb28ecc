using Microsoft.Extensions.Logging;
using SharedStorage.Buffers;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Hosting.Engine;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Writer.Checkpoint;

namespace SharedStorage.Writer.Fencing;

/// <summary>
/// A former writer that is neither fenced nor proven dead (R13). Its lease is over, so it begins no write any more; but one that it began before may still land, over a newer page or the
/// control file. Until somebody says that it is fenced, or its process is seen to be gone on this host: written blocks are remembered, <c>consistent</c> and the checkpoint stay where they
/// are, so that readers and the next recovery have the log for every page, and the control file is looked at and written again. <c>cluster/unfenced</c> keeps that over a restart.
/// </summary>
public sealed class UnfencedFormer : IDisposable
{
    public const string FileName = "cluster/unfenced";

    private static readonly TimeSpan FlushAgain = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Remind = TimeSpan.FromMinutes(1);

    private readonly NodeEngine _engine;
    private readonly IFlushGate _gate;
    private readonly Checkpointer _checkpointer;
    private readonly ProcessIdentity? _process;
    private readonly string _node;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Action<Exception> _failed;
    private readonly ManualResetEventSlim _stop = new();
    private readonly Lock _ending = new();
    private readonly Thread _watch;
    private volatile bool _open = true;

    private UnfencedFormer(
        NodeEngine engine, IFlushGate gate, Checkpointer checkpointer, string node, ProcessIdentity? process, TimeProvider time, ILogger log, Action<Exception> failed)
    {
        _engine = engine;
        _gate = gate;
        _checkpointer = checkpointer;
        _node = node;
        _process = process;
        _time = time;
        _log = log;
        _failed = failed;

        // Before the first write: what readers have now is what every page is brought forward from.
        HeldAt = engine.Pool.OldestChangeNotDurable();
        _watch = new Thread(Watch) { IsBackground = true, Name = "unfenced former writer" };
    }

    /// <summary>Consistent goes no further while this is open.</summary>
    public Lsn HeldAt { get; }

    public bool IsOpen => _open;

    /// <summary>
    /// Begins the watch if there is something to watch: a former writer whose end is not known, now or since an earlier start. Before the node's first write of a page.
    /// </summary>
    /// <param name="former">What the lease file said before this writer's own.</param>
    /// <param name="mayWrite">It is neither fenced nor proven dead.</param>
    public static UnfencedFormer? Begin(
        NodeEngine engine, IFlushGate gate, Checkpointer checkpointer, WriterLeaseRecord? former, bool mayWrite, TimeProvider time, ILogger log, Action<Exception> failed)
    {
        string path = Path.Combine(engine.Files.DataDirectory, FileName);
        ProcessIdentity? process = former?.Process;
        string node = former?.Node ?? "an unknown node";
        if (mayWrite)
        {
            DurableFile.Write(path, ToBytes(node, process));
        }
        else if (DurableFile.TryRead(path) is { } bytes)
        {
            (node, process) = Parse(bytes);
        }
        else
        {
            return null;
        }

        var watched = new UnfencedFormer(engine, gate, checkpointer, node, process, time, log, failed);
        engine.Pool.BeginWatchingWrites(engine.Tail.Position);
        watched._watch.Start();
        return watched;
    }

    /// <summary>It can write no more: what it may have written over is put right, and everything goes on as usual. Idempotent.</summary>
    /// <exception cref="StorageException">A block was overwritten and cannot be made anew, or a write failed: the node must stop.</exception>
    public void End(string because)
    {
        lock (_ending)
        {
            if (!_open)
            {
                return;
            }

            int blocks = PutRight();
            bool control = _checkpointer.RestoreControl();
            DurableFile.Remove(Path.Combine(_engine.Files.DataDirectory, FileName));
            _open = false;
            _log.LogInformation("the former writer {Node} is fenced ({Because}): {Blocks} blocks{Control} were written again", _node, because, blocks, control ? " and the control file" : "");
        }
    }

    /// <summary>Before the shutdown checkpoint: what that takes for durable is. The file stays, the next start goes on watching.</summary>
    public void Suspend()
    {
        _stop.Set();
        _watch.Join();
        lock (_ending)
        {
            if (_open)
            {
                PutRight();
                _open = false;
            }
        }
    }

    public void Dispose()
    {
        _stop.Set();
        _watch.Join();
        _stop.Dispose();
    }

    private int PutRight()
    {
        // Pages of SLRUs have nothing to be told by, and are few: all of them once more.
        Lsn marked = _engine.Transactions.MarkAreasChangedAgain();
        while (!_engine.Transactions.FlushAreas(_gate, marked))
        {
            // A page ahead of a reader: the wait ends with its lease.
            Thread.Sleep(FlushAgain);
        }

        return _engine.Pool.EndWatchingWrites(CancellationToken.None);
    }

    private void Watch()
    {
        long reminded = 0;
        try
        {
            while (_open && !_stop.IsSet)
            {
                if (reminded == 0 || _time.GetElapsedTime(reminded) >= Remind)
                {
                    reminded = _time.GetTimestamp();
                    _log.LogWarning(
                        "the former writer {Node} is not known to be fenced (R13): checkpoints and the readers' index wait. When it cannot reach this storage any more, say so: "
                        + "sharedstorage fenced --control HOST:PORT",
                        _node);
                }

                if (_process?.IsDead() == true)
                {
                    End("its process is gone");
                    return;
                }

                if (_checkpointer.RestoreControl())
                {
                    _log.LogWarning("the control file was overwritten by a former writer, and is written again (R13)");
                }

                _stop.Wait(Look);
            }
        }
        catch (Exception e)
        {
            _failed(e);
        }
    }

    private static byte[] ToBytes(string node, ProcessIdentity? process)
    {
        ClusterRecord record = new ClusterRecord().Add("node", node);
        if (process is not null)
        {
            record.Add("boot_id", process.BootId).Add("pid", (ulong)process.ProcessId).Add("start_time", process.StartTime);
        }

        return record.ToBytes();
    }

    private static (string Node, ProcessIdentity? Process) Parse(byte[] bytes)
    {
        ClusterRecord record = ClusterRecord.TryParse(bytes) ?? throw new StorageException($"\"{FileName}\" is damaged: whether a former writer is fenced is not known");
        return (record["node"], record.All("pid").Any() ? new ProcessIdentity(record["boot_id"], (int)record.Number("pid"), record.Number("start_time")) : null);
    }
}
