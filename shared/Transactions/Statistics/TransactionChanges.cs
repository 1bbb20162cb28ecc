using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Statistics;

/// <summary>Rows of one table that a (sub)transaction changed.</summary>
internal struct TableChange
{
    public Oid Database, Table;

    /// <summary>The depth of subtransactions that they belong to.</summary>
    public int Depth;
    public long Inserted, Updated, HotUpdated, Deleted;

    /// <summary>By subtransactions that aborted.</summary>
    public long UndoneInserted, UndoneUpdated, UndoneDeleted;
    public bool Truncated;
}

/// <summary>
/// The changes of a session's running transaction by table: kept with the session and used again, so that counting a row allocates nothing. Belongs to the session's thread.
/// </summary>
public sealed class TransactionChanges
{
    private readonly List<TableChange> _changes = [];
    private int _last;

    public void Insert(Oid database, Oid table, int depth, long rows) => Of(database, table, depth).Inserted += rows;

    public void Update(Oid database, Oid table, int depth, bool hot)
    {
        ref TableChange change = ref Of(database, table, depth);
        change.Updated++;
        change.HotUpdated += hot ? 1 : 0;
    }

    public void Delete(Oid database, Oid table, int depth) => Of(database, table, depth).Deleted++;

    /// <summary>The table is empty now, if this commits.</summary>
    public void Truncate(Oid database, Oid table, int depth)
    {
        ref TableChange change = ref Of(database, table, depth);
        change.Truncated = true;
        (change.Inserted, change.Updated, change.Deleted) = (0, 0, 0);
    }

    /// <summary>A subtransaction's changes become its parent's.</summary>
    internal void ReleaseSub(int depth)
    {
        foreach (ref TableChange change in CollectionsMarshal.AsSpan(_changes))
        {
            change.Depth = Math.Min(change.Depth, depth - 1);
        }
    }

    /// <summary>What a subtransaction inserted is dead, what it deleted lives.</summary>
    internal void AbortSub(int depth)
    {
        foreach (ref TableChange change in CollectionsMarshal.AsSpan(_changes))
        {
            if (change.Depth >= depth)
            {
                change.UndoneInserted += change.Inserted;
                change.UndoneUpdated += change.Updated;
                change.UndoneDeleted += change.Deleted;
                (change.Inserted, change.Updated, change.Deleted, change.Truncated, change.Depth) = (0, 0, 0, false, depth - 1);
            }
        }
    }

    internal void End(TableCounterSet counters, bool committed)
    {
        foreach (ref TableChange change in CollectionsMarshal.AsSpan(_changes))
        {
            counters.Of(change.Database, change.Table).Add(change, committed);
        }

        _changes.Clear();
    }

    private ref TableChange Of(Oid database, Oid table, int depth)
    {
        Span<TableChange> all = CollectionsMarshal.AsSpan(_changes);
        if (_last < all.Length && all[_last].Table == table && all[_last].Depth == depth && all[_last].Database == database)
        {
            return ref all[_last];
        }

        for (int i = 0; i < all.Length; i++)
        {
            if (all[i].Table == table && all[i].Depth == depth && all[i].Database == database)
            {
                _last = i;
                return ref all[i];
            }
        }

        _last = all.Length;
        _changes.Add(new TableChange { Database = database, Table = table, Depth = depth });
        return ref CollectionsMarshal.AsSpan(_changes)[_last];
    }
}
