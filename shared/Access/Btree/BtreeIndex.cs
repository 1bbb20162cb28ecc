using SharedStorage.Format.Index;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Btree;

public enum UniqueCheck
{
    No,

    /// <summary>A duplicate is an error (23505); waits for a transaction that may still make it one.</summary>
    Yes,

    /// <summary>Only reports a possible duplicate (deferrable constraints, ON CONFLICT).</summary>
    Partial,
}

/// <summary>btree strategy numbers of PostgreSQL.</summary>
public enum BtreeStrategy
{
    Less = 1, LessOrEqual = 2, Equal = 3, GreaterOrEqual = 4, Greater = 5, IsNull = 100, IsNotNull = 101,
}

/// <summary>"column strategy value" for the key column with this index from 0. A cross-type comparison of the family may be given.</summary>
public readonly record struct BtreeScanKey(int Column, BtreeStrategy Strategy, Datum Value)
{
    /// <summary>Compares an index value (left) with <see cref="Value"/> when their types differ; null uses the column's own.</summary>
    public Comparison<Datum>? Compare { get; init; }
}

/// <summary>A btree on disk (PostgreSQL's nbtree): search, insert, split, deduplication, deletion, vacuum, build.</summary>
public sealed class BtreeIndex
{
    private readonly BtreeCore _core;
    private BtreeVacuumStats? _bulkDeleted;

    public BtreeIndex(StorageEngine engine, IndexInfo index)
    {
        Engine = engine;
        Index = index;
        _core = BtreeCore.Of(engine, index);
    }

    private BtreeSchema Schema => _core.Schema;
    private BtreeDescent Descent => _core.Descent;
    private BtreeWriter Writer => _core.Writer;
    private BtreeInserter Inserter => _core.Inserter;

    public StorageEngine Engine { get; }
    public IndexInfo Index { get; }

    /// <summary>Gives "(columns)=(values)" for the detail of a unique violation; null gives no detail.</summary>
    public Func<IndexInfo, Datum[], string?>? DescribeKey { get; set; }

    /// <summary>
    /// Adds an entry. For a unique check the heap is asked for the state of rows with an equal key. Gives false when <see cref="UniqueCheck.Partial"/> found one.
    /// </summary>
    /// <exception cref="PgException">23505: another live row has the key. 54000: the entry is too large. And what ends a wait for another transaction.</exception>
    public bool Insert(Transaction tx, ReadOnlySpan<Datum> values, Tid tid, UniqueCheck check, Heap.HeapTable table)
    {
        IRowProbe? probe = check == UniqueCheck.No ? null : new HeapProbe(table, tx);
        while (true)
        {
            switch (Inserter.Insert(values, tid, tx.XidOrInvalid, check, probe, out Xid wait))
            {
                case UniqueVerdict.Unique:
                    return true;
                case UniqueVerdict.Wait:
                    Engine.Locks.WaitForTransaction(tx, wait);
                    break;
                default:
                    return check == UniqueCheck.Partial ? false : throw Duplicate(values, table.Relation);
            }
        }
    }

    /// <summary>A scan of the entries that satisfy all keys, in index order or backward.</summary>
    public BtreeScan Scan(IReadOnlyList<BtreeScanKey> keys, bool backward = false) => new(Descent, Schema, keys, backward);

    /// <summary>Builds the index from rows of (values, place) given in any order: sorts, writes pages bottom-up, logs them.</summary>
    /// <exception cref="PgException">23505: two rows have one key.</exception>
    public void Build(Transaction tx, IEnumerable<(Datum[] Values, Tid Tid)> rows, bool unique, string constraintName) =>
        BuildRows(tx, rows.Select(r => new BtreeBuildRow(r.Values, r.Tid)), unique, constraintName);

    /// <summary>The same with rows of which some are there for old snapshots only. The index's file is there and empty.</summary>
    public void BuildRows(Transaction tx, IEnumerable<BtreeBuildRow> rows, bool unique, string constraintName)
    {
        Descent.ForgetRoot();
        if (Descent.Pages.BlockCount != 0)
        {
            throw new StorageException($"index \"{Index.Relation.Name}\" already contains data") { SqlState = SqlStates.InternalError };
        }

        BtreeSorter sorter = Sorted(rows, out bool anyDead);
        if (unique)
        {
            CheckUnique(sorter, constraintName);
        }

        new BtreeBuilder(Writer, Inserter.Tuples, tx.XidOrInvalid).Build(sorter, deduplicate: !unique && !anyDead);
    }

    /// <summary>The init fork of an unlogged index (R16): its file is there and empty.</summary>
    public void BuildInitFork(Transaction tx) =>
        BtreeInitFork.Write(Engine, tx, Index.Relation.Node, Schema.KeyCount == Schema.ColumnCount && Index.Columns.All(c => c.EqualImage));

    /// <summary>The places of rows in the order that the index has (CLUSTER); the index itself is not looked at.</summary>
    public IEnumerable<Tid> Order(IEnumerable<BtreeBuildRow> rows)
    {
        BtreeSorter sorter = Sorted(rows, out _);
        for (int i = 0; i < sorter.Count; i++)
        {
            yield return sorter[i].RawTid;
        }
    }

    private BtreeSorter Sorted(IEnumerable<BtreeBuildRow> rows, out bool anyDead)
    {
        var sorter = new BtreeSorter(Schema, Inserter.Tuples);
        anyDead = false;
        var values = new Datum[Schema.ColumnCount];
        foreach (BtreeBuildRow row in rows)
        {
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = IndexValues.ForStorage(row.Values[i], Schema.Desc[i]);
            }

            sorter.Add(values, row.Tid, row.IsAlive);
            anyDead |= !row.IsAlive;
        }

        sorter.Sort();
        return sorter;
    }

    /// <summary>Removes the entries whose place is dead, and deletes pages that are empty then (btbulkdelete). May be called several times in a vacuum.</summary>
    public BtreeVacuumStats BulkDelete(Transaction tx, Func<Tid, bool> isDead)
    {
        BtreeVacuumStats stats = new BtreeVacuumScan(Writer, Inserter, isDead).Run();
        _bulkDeleted = stats;
        return stats;
    }

    /// <summary>
    /// Ends a vacuum of the index (btvacuumcleanup): without a <see cref="BulkDelete"/> before it looks at the index only if many deleted pages wait to be
    /// recycled. Then the number of tuples counts posting lists as one, and is an estimate.
    /// </summary>
    public BtreeVacuumStats VacuumCleanup(Transaction tx)
    {
        BtreeVacuumStats stats;
        if (_bulkDeleted is { } done)
        {
            stats = done;
            _bulkDeleted = null;
        }
        else
        {
            uint blocks = Descent.Pages.BlockCount;
            uint waiting = Descent.ReadMeta().LastCleanupDeletedPages;
            if (waiting == 0 || waiting <= blocks / 20)
            {
                return new BtreeVacuumStats(blocks, -1, 0, 0, 0);
            }

            stats = new BtreeVacuumScan(Writer, Inserter, isDead: null).Run();
        }

        BtreeVacuumScan.SetCleanupInfo(Writer, stats.PagesDeleted - Math.Min(stats.PagesFree, stats.PagesDeleted));
        return stats;
    }

    private void CheckUnique(BtreeSorter sorted, string constraintName)
    {
        int previous = -1;
        var values = new Datum[Schema.ColumnCount];
        for (int i = 0; i < sorted.Count; i++)
        {
            IndexTuple tuple = sorted[i];
            if (!sorted.IsAlive(i) || (!Index.NullsNotDistinct && HasNullKey(tuple)))
            {
                continue;
            }

            if (previous >= 0 && sorted.CompareKeys(sorted[previous], tuple) == 0)
            {
                IndexTupleCodec.Deform(Schema.Desc, tuple.Bytes, Schema.ColumnCount, values);
                string? key = DescribeKey?.Invoke(Index, values);
                throw new PgException(SqlStates.UniqueViolation, $"could not create unique index \"{Index.Relation.Name}\"")
                {
                    Detail = key is null ? "Duplicate keys exist." : $"Key {key} is duplicated.",
                    Constraint = constraintName,
                };
            }

            previous = i;
        }
    }

    private bool HasNullKey(IndexTuple tuple)
    {
        for (int i = 0; i < Schema.KeyCount; i++)
        {
            if (tuple.IsNull(i))
            {
                return true;
            }
        }

        return false;
    }

    private PgException Duplicate(ReadOnlySpan<Datum> values, Relation table)
    {
        string? key = DescribeKey?.Invoke(Index, values.ToArray());
        return new PgException(SqlStates.UniqueViolation, $"duplicate key value violates unique constraint \"{Index.Relation.Name}\"")
        {
            Detail = key is null ? null : $"Key {key} already exists.",
            Table = table.Name,
            Constraint = Index.Relation.Name,
        };
    }
}

/// <summary>A row of a table whose index is built. One that is not alive is there for old snapshots, and is no duplicate of another.</summary>
public readonly record struct BtreeBuildRow(Datum[] Values, Tid Tid, bool IsAlive = true);

/// <summary>What a vacuum found; <paramref name="Tuples"/> is -1 when the index was not looked at.</summary>
public readonly record struct BtreeVacuumStats(uint Pages, double Tuples, double Removed, uint PagesDeleted, uint PagesFree);
