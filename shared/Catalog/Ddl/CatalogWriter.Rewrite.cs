using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Gives the expressions and predicate of an index that is filled; null for one that has none.</summary>
public delegate IIndexExpressions? IndexExpressionSource(IndexInfo index);

/// <summary>
/// REINDEX, CLUSTER, VACUUM FULL and what ALTER TABLE rewrites (PostgreSQL's cluster.c, reindex_index): new files beside the old ones, which go at commit, when
/// every snapshot that reads them has ended (I5). Nobody's scan is waited for.
/// </summary>
public sealed partial class CatalogWriter
{
    /// <summary>Fills an index anew in a new file. The caller holds a SHARE lock on its table and ACCESS EXCLUSIVE on the index.</summary>
    /// <exception cref="PgException">23505: rows are not unique.</exception>
    public void Reindex(Oid index, IndexExpressionSource expressions)
    {
        SetNewFile(index);
        NextCommand();
        IndexInfo info = View.GetIndex(index);
        if (info.AccessMethod.Value != PgOids.BtreeAm)
        {
            throw PgException.NotSupported($"building index \"{info.Relation.Name}\", which is no btree,");
        }

        BuildNewIndex(index, expressions(info));
        (PgIndex row, Tid tid) = View.Search(SystemCatalogs.Index, SystemCatalogs.Index.IndexOn("indexrelid"), Datum.FromOid(index))[0];
        PgIndex valid = row with { IndIsValid = true, IndIsReady = true, IndIsLive = true, IndCheckXmin = false };
        if (valid != row && (!row.IndIsValid || !row.IndIsReady || !row.IndIsLive || row.IndCheckXmin))
        {
            Update(SystemCatalogs.Index, tid, row, valid);
            NextCommand();
        }
    }

    /// <summary>The numbers of a table's indexes, those that are not valid too.</summary>
    public IReadOnlyList<Oid> IndexesOf(Oid table) =>
        [.. View.Search(SystemCatalogs.Index, SystemCatalogs.Index.IndexOn("indrelid"), Datum.FromOid(table)).Where(i => i.Row.IndIsLive).Select(i => i.Row.IndexRelId).Order()];

    /// <summary>CLUSTER (by an index) and VACUUM FULL: copies the rows that some snapshot may see into new files. The caller holds ACCESS EXCLUSIVE.</summary>
    public HeapRewriteResult Compact(Oid table, Oid byIndex, IndexExpressionSource expressions)
    {
        PgClass row = View.ClassById(table)!;
        Oid transient = MakeNewHeap(table);
        Relation old = View.GetRelation(table);
        var rewrite = new HeapRewrite(_engine, _tx, old, View.GetRelation(transient), row.RelFrozenXid, new MultiXactId(row.RelMinMxid.Value));
        if (byIndex.IsValid)
        {
            IndexInfo index = View.GetIndex(byIndex);
            CopyOrdered(rewrite, old, index, expressions(index));
        }
        else
        {
            using var scan = new HeapVersionScan(_engine, old, _tx, rewrite.Horizon);
            while (scan.MoveNext())
            {
                rewrite.Copy(scan.Row, scan.Tid, scan.IsAlive);
            }
        }

        HeapRewriteResult result = rewrite.Finish(0);
        (PgClass made, Tid tid) = Get(SystemCatalogs.Class, transient);
        Update(SystemCatalogs.Class, tid, made, made with { RelPages = (int)result.Pages, RelTuples = (float)result.Rows });
        NextCommand();
        FinishRewrite(table, transient, result.FrozenXid, result.MinMulti, expressions);
        return result;
    }

    /// <summary>An empty table like this one, with a TOAST table if it has one; seen after return (make_new_heap).</summary>
    public Oid MakeNewHeap(Oid table)
    {
        PgClass row = View.ClassById(table)!;
        string name = string.Create(CultureInfo.InvariantCulture, $"pg_temp_{table.Value}");
        PgAttribute[] columns = [.. View.GetAttributes(table).Select(a => a with { AttHasDef = false, AttHasMissing = false, AttMissingVal = null, AttStatTarget = -1, AttAcl = null, AttOptions = null })];
        Oid transient = CreateRelation(name, row.RelNamespace, row.RelTablespace, 'r', columns, row.RelOptions, withType: true, row.RelOwner, row.RelPersistence);
        NextCommand();
        if (row.RelToastRelId.IsValid)
        {
            CreateToastTable(transient, View.ClassById(row.RelToastRelId)!.RelOptions);
        }

        return transient;
    }

    /// <summary>Gives the transient table's files to the table, fills all indexes anew, and drops the transient one with the old files (finish_heap_swap).</summary>
    public void FinishRewrite(Oid table, Oid transient, Xid frozenXid, MultiXactId minMulti, IndexExpressionSource expressions)
    {
        SwapFiles(table, transient, frozenXid, minMulti);
        NextCommand();
        foreach (Oid index in IndexesOf(table))
        {
            Reindex(index, expressions);
        }

        Drop([ObjectAddress.Relation(transient)], cascade: false);
        Oid toast = View.ClassById(table)!.RelToastRelId;
        if (toast.IsValid)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"pg_toast_{table.Value}");
            SetRelationName(toast, name);
            SetRelationName(IndexesOf(toast)[0], name + "_index");
            NextCommand();
        }

        ClearMissing(table);
        NextCommand();
    }

    /// <summary>For a rewrite whose rows are all of this transaction.</summary>
    public void FinishRewrite(Oid table, Oid transient, IndexExpressionSource expressions) =>
        FinishRewrite(table, transient, _engine.Transactions.XidHorizon, _engine.Transactions.MultiXacts.Next, expressions);

    /// <summary>Marks the index by which the table is clustered; 0 for none (mark_index_clustered).</summary>
    public void MarkClustered(Oid table, Oid index)
    {
        foreach ((PgIndex row, Tid tid) in View.Search(SystemCatalogs.Index, SystemCatalogs.Index.IndexOn("indrelid"), Datum.FromOid(table)))
        {
            if (row.IndIsClustered != (row.IndexRelId == index))
            {
                Update(SystemCatalogs.Index, tid, row, row with { IndIsClustered = row.IndexRelId == index });
            }
        }

        NextCommand();
    }

    private void CopyOrdered(HeapRewrite rewrite, Relation old, IndexInfo index, IIndexExpressions? expressions)
    {
        var places = new List<Tid>();
        using (var scan = new HeapVersionScan(_engine, old, _tx, rewrite.Horizon))
        {
            places.AddRange(new BtreeIndex(_engine, index).Order(Versions(scan)));
        }

        using var one = new HeapVersionScan(_engine, old, _tx, rewrite.Horizon);
        foreach (Tid tid in places)
        {
            if (one.MoveTo(tid))
            {
                rewrite.Copy(one.Row, one.Tid, one.IsAlive);
            }
        }

        IEnumerable<BtreeBuildRow> Versions(HeapVersionScan scan)
        {
            var row = new Datum[old.Desc.Count];
            while (scan.MoveNext())
            {
                scan.Read(row);
                yield return new BtreeBuildRow(IndexBuild.Values(old, index, expressions, row, isAlive: false), scan.Tid, scan.IsAlive);
            }
        }
    }

    private void SwapFiles(Oid table, Oid transient, Xid frozenXid, MultiXactId minMulti)
    {
        (PgClass kept, Tid keptTid) = Get(SystemCatalogs.Class, table);
        (PgClass other, Tid otherTid) = Get(SystemCatalogs.Class, transient);
        PgClass Take(PgClass row, PgClass from) => row with
        {
            RelFileNode = from.RelFileNode,
            RelTablespace = from.RelTablespace,
            RelToastRelId = from.RelToastRelId,
            RelPages = from.RelPages,
            RelTuples = from.RelTuples,
            RelAllVisible = from.RelAllVisible,
        };
        Update(SystemCatalogs.Class, keptTid, kept, Take(kept, other) with { RelFrozenXid = frozenXid, RelMinMxid = new Xid(minMulti.Value) });
        Update(SystemCatalogs.Class, otherTid, other, Take(other, kept));
        foreach (Oid toast in new[] { other.RelToastRelId, kept.RelToastRelId }.Where(t => t.IsValid))
        {
            RemoveDependenciesOf(ObjectAddress.Relation(toast));
        }

        if (other.RelToastRelId.IsValid)
        {
            AddDependency(ObjectAddress.Relation(other.RelToastRelId), ObjectAddress.Relation(table), DependencyKind.Internal);
        }

        if (kept.RelToastRelId.IsValid)
        {
            AddDependency(ObjectAddress.Relation(kept.RelToastRelId), ObjectAddress.Relation(transient), DependencyKind.Internal);
        }
    }

    /// <summary>Every row has all columns now (RelationClearMissing).</summary>
    private void ClearMissing(Oid table)
    {
        foreach (PgAttribute column in View.GetAttributes(table).Where(a => a.AttHasMissing))
        {
            (PgAttribute row, Tid tid) = GetAttribute(table, column.AttNum);
            Update(SystemCatalogs.Attribute, tid, row, row with { AttHasMissing = false, AttMissingVal = null });
        }
    }
}
