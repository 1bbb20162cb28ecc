using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>A fault point of a node as a door that stands open until the test closes it: then whoever comes waits there, and the test is told.</summary>
internal sealed class FaultDoor
{
    private readonly string _path;

    public FaultDoor(ClusterFixture cluster, string point)
    {
        _path = Path.Combine(cluster.Root, "door-" + point);
        Item = $"{point}=wait:{_path}";
        Open();
    }

    /// <summary>What the node's setting says of this door.</summary>
    public string Item { get; }

    /// <summary>Whether someone stands before it.</summary>
    public bool IsReached => File.Exists(_path + ".reached");

    public static string[] Arguments(params FaultDoor[] doors) => ["--sharedstorage.fault_points", string.Join(',', doors.Select(d => d.Item))];

    public void Open() => File.WriteAllText(_path, "");

    public void Close()
    {
        // In this order: what an earlier visitor left is gone before the next one can come.
        File.Delete(_path + ".reached");
        File.Delete(_path);
    }

    public void AwaitReached() => ClusterNode.Await($"a visitor at {Path.GetFileName(_path)}", () => IsReached);
}
