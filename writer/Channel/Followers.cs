namespace SharedStorage.Writer.Channel;

/// <summary>The streams that are open, one for each reader: the newest, if a reader has come again before its former stream has ended. Woken without a lock, at each flush of the log.</summary>
internal sealed class Followers
{
    private readonly Dictionary<string, Follower> _byName = new(StringComparer.Ordinal);
    private Follower[] _all = [];

    public void Add(string name, Follower follower)
    {
        lock (_byName)
        {
            _byName[name] = follower;
            Volatile.Write(ref _all, [.. _byName.Values]);
        }
    }

    public void Remove(string name, Follower follower)
    {
        lock (_byName)
        {
            if (_byName.TryGetValue(name, out Follower? current) && ReferenceEquals(current, follower))
            {
                _byName.Remove(name);
                Volatile.Write(ref _all, [.. _byName.Values]);
            }
        }
    }

    /// <summary>There is something to tell.</summary>
    public void Wake()
    {
        foreach (Follower follower in Volatile.Read(ref _all))
        {
            follower.Wake();
        }
    }

    /// <summary>There is something to tell that somebody waits for.</summary>
    public void WakeNow()
    {
        foreach (Follower follower in Volatile.Read(ref _all))
        {
            follower.WakeNow();
        }
    }
}
