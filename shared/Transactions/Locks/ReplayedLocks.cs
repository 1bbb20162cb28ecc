using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Locks;

/// <summary>
/// The access exclusive locks that the log tells of (PostgreSQL's standby.c): who holds them where this node is. Queries here do not wait for them, since they read catalogs and files as of
/// their snapshot; they are shown, and tell whose DDL runs.
/// </summary>
public sealed class ReplayedLocks
{
    private readonly Dictionary<Xid, HashSet<(Oid Database, Oid Relation)>> _byXid = [];
    private readonly Lock _lock = new();

    /// <summary>By transaction, then relation.</summary>
    public IReadOnlyList<(Xid Xid, Oid Database, Oid Relation)> List()
    {
        lock (_lock)
        {
            return [.. _byXid.SelectMany(t => t.Value.Select(l => (t.Key, l.Database, l.Relation)))
                .OrderBy(l => l.Key.Value).ThenBy(l => l.Database.Value).ThenBy(l => l.Relation.Value)];
        }
    }

    internal void Add(Xid xid, Oid database, Oid relation)
    {
        lock (_lock)
        {
            if (!_byXid.TryGetValue(xid, out HashSet<(Oid, Oid)>? held))
            {
                _byXid[xid] = held = [];
            }

            held.Add((database, relation));
        }
    }

    internal void Release(Xid xid, ReadOnlySpan<Xid> children)
    {
        lock (_lock)
        {
            _byXid.Remove(xid);
            foreach (Xid child in children)
            {
                _byXid.Remove(child);
            }
        }
    }

    /// <summary>Transactions before this have ended, some without a record (StandbyReleaseOldLocks); not those that are prepared.</summary>
    internal void ReleaseBefore(Xid oldestRunning, Func<Xid, bool> isPrepared)
    {
        lock (_lock)
        {
            foreach (Xid xid in _byXid.Keys.ToArray())
            {
                if (xid.Precedes(oldestRunning) && !isPrepared(xid))
                {
                    _byXid.Remove(xid);
                }
            }
        }
    }
}
