using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;
using SharedStorage.Hosting.Engine;
using SharedStorage.Primitives;
using SharedStorage.Reader.Follow;
using SharedStorage.Sql.Session;

namespace SharedStorage.Reader.Serve;

/// <summary>
/// Session and global reads on a reader (sharedstorage.read_consistency): waits, before a statement takes its snapshot, until this node has applied what the statement must see.
/// Bounded, with a clear error.
/// </summary>
public sealed class ReadConsistency
{
    /// <summary>How often a waiting statement looks whether it was cancelled.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    private readonly NodeEngine _engine;
    private readonly WriterLink _link;
    private readonly TimeProvider _time;
    private readonly WriterVisible _writer;

    public ReadConsistency(NodeEngine engine, WriterLink link, TimeProvider time, TimeSpan callTimeout)
    {
        _engine = engine;
        _link = link;
        _time = time;
        _writer = new WriterVisible(() => AskAsync(callTimeout));
    }

    /// <exception cref="PgException">57014: the time is over, or the statement was cancelled. 57P03: the writer does not answer.</exception>
    public void Await(ReadDemand demand)
    {
        long began = _time.GetTimestamp();
        Lsn target = demand.Global ? Writer(demand, began) : demand.AtLeast;
        while (!_engine.Transactions.WaitForVisible(target, Least(Look, Left(demand, began))))
        {
            demand.CheckInterrupts();
            if (Left(demand, began) <= TimeSpan.Zero)
            {
                throw new PgException(SqlStates.QueryCanceled, $"this reader did not reach {target} in time")
                {
                    Detail = $"It has applied the log up to {_engine.Applied.Value}; sharedstorage.read_consistency_timeout is {demand.Limit.TotalMilliseconds} ms.",
                };
            }
        }
    }

    private Lsn Writer(in ReadDemand demand, long began)
    {
        Task<Lsn> answer = _writer.AskAsync();
        try
        {
            while (!answer.Wait(Least(Look, Left(demand, began))))
            {
                demand.CheckInterrupts();
                if (Left(demand, began) <= TimeSpan.Zero)
                {
                    throw Unreachable("it did not answer in time");
                }
            }

            return answer.Result;
        }
        catch (AggregateException e) when (e.InnerException is RpcException or OperationCanceledException or IOException or HttpRequestException or ObjectDisposedException)
        {
            throw Unreachable(e.InnerException.Message);
        }
    }

    private async Task<Lsn> AskAsync(TimeSpan timeout)
    {
        (ClusterClient? client, ulong epoch) = _link.Writer;
        if (client is null)
        {
            throw new RpcException(RpcStatus.Unavailable, "this reader follows no writer now");
        }

        WaitReply reply = await client.WaitAsync(new WaitRequest(), timeout, CancellationToken.None).ConfigureAwait(false);

        // I9: only the writer that this reader follows can say what was committed.
        return reply.Envelope is { } from && from.Epoch == epoch && from.SystemIdentifier == _engine.Control.SystemIdentifier
            ? new Lsn(reply.Visible)
            : throw new RpcException(RpcStatus.Aborted, "the node that answers is not the writer that this reader follows");
    }

    private TimeSpan Left(in ReadDemand demand, long began) => demand.Limit - _time.GetElapsedTime(began);

    private static TimeSpan Least(TimeSpan a, TimeSpan b) => a < b ? a : b < TimeSpan.Zero ? TimeSpan.Zero : b;

    private static PgException Unreachable(string reason) =>
        new(SqlStates.CannotConnectNow, "the writer could not be asked what it has committed")
        {
            Detail = $"Reads with sharedstorage.read_consistency = global need it: {reason}.",
        };
}
