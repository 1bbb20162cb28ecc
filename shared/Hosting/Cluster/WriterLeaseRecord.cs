using System.Globalization;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Hosting.Cluster;

/// <summary>
/// The writer's lease on shared storage (<c>cluster/lease</c>): who writes, since when, how far its log is durable. Renewed by its writer, read by whoever wants to become one.
/// </summary>
public sealed record WriterLeaseRecord
{
    public const string FileName = "cluster/lease";

    public required ulong Epoch { get; init; }
    public required string Node { get; init; }
    public required ProcessIdentity Process { get; init; }

    /// <summary>Counts up by one a renewal: a reader of the file sees a live writer by it, without comparing clocks.</summary>
    public required ulong Renewal { get; init; }

    public required TimelineId Timeline { get; init; }

    /// <summary>A durable mark for I12: a log that ends before it has lost acknowledged data.</summary>
    public required Lsn Flushed { get; init; }

    public required string ControlAddress { get; init; }

    /// <summary>The writer stopped cleanly and let the lease go.</summary>
    public bool Released { get; init; }

    /// <summary>The writer has opened for writes: on its own timeline, with all that it had to wait for behind it (R13).</summary>
    public bool Opened { get; init; }

    public required ulong SystemIdentifier { get; init; }

    public byte[] ToBytes() => new ClusterRecord()
        .Add("system_identifier", SystemIdentifier)
        .Add("epoch", Epoch)
        .Add("node", Node)
        .Add("boot_id", Process.BootId)
        .Add("pid", Process.ProcessId.ToString(CultureInfo.InvariantCulture))
        .Add("start_time", Process.StartTime)
        .Add("renewal", Renewal)
        .Add("timeline", Timeline.Value)
        .Add("flushed", Flushed)
        .Add("control", ControlAddress)
        .Add("released", Released ? 1UL : 0)
        .Add("opened", Opened ? 1UL : 0)
        .ToBytes();

    /// <summary>Looks at a file that is met half way: it is overwritten in place, and a write of one block takes far less than the pauses.</summary>
    private const int Looks = 5;

    /// <summary>Null when there is no lease file, or it is damaged.</summary>
    public static WriterLeaseRecord? TryRead(string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, FileName);
        for (int look = 1; look <= Looks; look++)
        {
            byte[]? bytes = DurableFile.TryRead(path);
            if (bytes is null)
            {
                return null;
            }

            if (ClusterRecord.TryParse(bytes) is { } record)
            {
                return Parse(record);
            }

            Thread.Sleep(1 << look);
        }

        return null;
    }

    private static WriterLeaseRecord Parse(ClusterRecord r) =>
        new()
        {
            SystemIdentifier = r.Number("system_identifier"),
            Epoch = r.Number("epoch"),
            Node = r["node"],
            Process = new ProcessIdentity(r["boot_id"], (int)r.Number("pid"), r.Number("start_time")),
            Renewal = r.Number("renewal"),
            Timeline = new TimelineId((uint)r.Number("timeline")),
            Flushed = r.Lsn("flushed"),
            ControlAddress = r["control"],
            Released = r.Number("released") == 1,
            Opened = !r.All("opened").Contains("0"),
        };
}
