using SharedStorage.Hosting.Cluster;
using SharedStorage.Io;

namespace SharedStorage.Writer.Fencing;

/// <summary>
/// The readers that may hold a lease, on shared storage (<c>cluster/readers</c>): durable before a reader counts, so that a new writer honours leases it did not grant (I8).
/// </summary>
public sealed class ReaderRegistry
{
    private readonly string _path;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    public ReaderRegistry(string dataDirectory)
    {
        _path = Path.Combine(dataDirectory, "cluster", "readers");
        if (DurableFile.TryRead(_path) is { } bytes && ClusterRecord.TryParse(bytes) is { } record)
        {
            _names.UnionWith(record.All("reader"));
        }
    }

    public IReadOnlyCollection<string> Names => _names;

    /// <summary>Returns when the name is durable.</summary>
    public void Add(string name)
    {
        if (!_names.Add(name))
        {
            return;
        }

        try
        {
            Save();
        }
        catch
        {
            // Not durable, so it does not count: the next try must write it.
            _names.Remove(name);
            throw;
        }
    }

    public void Remove(string name)
    {
        if (_names.Remove(name))
        {
            Save();
        }
    }

    /// <summary>Nobody holds a lease: stock PostgreSQL has changed the directory since.</summary>
    public void Clear()
    {
        if (_names.Count > 0)
        {
            _names.Clear();
            Save();
        }
    }

    private void Save()
    {
        var record = new ClusterRecord();
        foreach (string name in _names.Order(StringComparer.Ordinal))
        {
            record.Add("reader", name);
        }

        DurableFile.Write(_path, record.ToBytes());
    }
}
