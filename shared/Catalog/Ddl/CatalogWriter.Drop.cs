using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using Reason = SharedStorage.Catalog.Ddl.DependencyWalk.Reason;

namespace SharedStorage.Catalog.Ddl;

/// <summary>What a DROP ... CASCADE tells the client (NOTICE).</summary>
public sealed record DropNotice(string Message, string? Detail);

/// <summary>DROP of any object with what depends on it (PostgreSQL's dependency.c).</summary>
public sealed partial class CatalogWriter
{
    private const int MaxReported = 100;

    /// <summary>Schemas whose objects messages name without the schema.</summary>
    public IReadOnlyList<Oid> SearchPath { get; set; } = [new Oid(PgOids.CatalogNamespace), new Oid(PgOids.PublicNamespace)];

    /// <summary>Removes the objects and all that depends on them; locks dependent relations on the way.</summary>
    /// <param name="cascade">False (RESTRICT): other objects that depend on them are an error.</param>
    /// <returns>What went along with CASCADE; null when nothing to tell.</returns>
    /// <exception cref="PgException">2BP01; 0A000 for a kind of object that cannot be removed yet.</exception>
    public DropNotice? Drop(IReadOnlyList<ObjectAddress> objects, bool cascade)
    {
        var walk = new DependencyWalk(View, Describe, LockForRemoval);
        foreach (ObjectAddress o in objects)
        {
            walk.Add(o, objects);
        }

        DropNotice? notice = Report(walk.Targets, cascade, objects.Count == 1 ? objects[0] : null);
        foreach (DependencyWalk.Target target in walk.Targets)
        {
            Remove(target.Address);
            NextCommand();
        }

        return notice;
    }

    /// <summary>The object in words, "table t", as PostgreSQL's messages have it.</summary>
    public string Describe(ObjectAddress address) => ObjectDescriptions.Describe(View, address, SearchPath);

    private void LockForRemoval(ObjectAddress address)
    {
        if (address.Catalog == SystemCatalogs.Class.Id)
        {
            Lock(address.Id, LockMode.AccessExclusive);
        }
    }

    private DropNotice? Report(IReadOnlyList<DependencyWalk.Target> targets, bool cascade, ObjectAddress? original)
    {
        foreach (DependencyWalk.Target t in targets)
        {
            if ((t.Reason & Reason.IsPart) != 0 && (t.Reason & Reason.Partition) == 0)
            {
                string owner = Describe(t.Dependee!.Value);
                throw new PgException(SqlStates.DependentObjectsStillExist, $"cannot drop {Describe(t.Address)} because {owner} requires it")
                {
                    Hint = $"You can drop {owner} instead.",
                };
            }
        }

        const Reason silent = Reason.Original | Reason.SubObject | Reason.Auto | Reason.Internal | Reason.Partition | Reason.Extension;
        List<string> lines = [.. targets.Reverse().Where(t => (t.Reason & silent) == 0)
            .Select(t => cascade ? $"drop cascades to {Describe(t.Address)}" : $"{Describe(t.Address)} depends on {Describe(t.Dependee!.Value)}")];
        if (lines.Count == 0)
        {
            return null;
        }

        int count = lines.Count;
        string detail = string.Join('\n', lines.Take(MaxReported));
        if (count > MaxReported)
        {
            detail += $"\nand {count - MaxReported} other object{(count - MaxReported == 1 ? "" : "s")} (see server log for list)";
        }

        if (!cascade)
        {
            string what = original is { } o ? $"cannot drop {Describe(o)} because other objects depend on it"
                : "cannot drop desired object(s) because other objects depend on them";
            throw new PgException(SqlStates.DependentObjectsStillExist, what)
            {
                Detail = detail,
                Hint = "Use DROP ... CASCADE to drop the dependent objects too.",
            };
        }

        return count == 1 ? new DropNotice(detail, null) : new DropNotice($"drop cascades to {count} other objects", detail);
    }

    /// <summary>The object's own rows, then what is recorded about it (deleteOneObject).</summary>
    private void Remove(ObjectAddress address)
    {
        RemoveObject(address);
        RemoveDependenciesOf(address);
        RemoveSharedDependenciesOf(address, address.Catalog == SystemCatalogs.Database.Id ? Oid.Invalid : _database.Id);
        RemoveComments(address);
    }

    private void RemoveObject(ObjectAddress address)
    {
        if (address.Catalog == SystemCatalogs.Class.Id)
        {
            RemoveRelationObject(address);
        }
        else if (address.Catalog == SystemCatalogs.Constraint.Id)
        {
            RemoveConstraint(address.Id);
        }
        else if (address.Catalog == SystemCatalogs.AttrDef.Id)
        {
            RemoveDefault(address.Id);
        }
        else if (address.Catalog == SystemCatalogs.Trigger.Id)
        {
            (PgTrigger row, Tid tid) = Get(SystemCatalogs.Trigger, address.Id);
            Delete(SystemCatalogs.Trigger, tid, row);
            InvalidateRelation(row.TgRelId);
        }
        else if (address.Catalog == SystemCatalogs.Rewrite.Id)
        {
            (PgRewrite row, Tid tid) = Get(SystemCatalogs.Rewrite, address.Id);
            Delete(SystemCatalogs.Rewrite, tid, row);
            InvalidateRelation(row.EvClass);
        }
        else if (address.Catalog == SystemCatalogs.Type.Id)
        {
            RemoveType(address.Id);
        }
        else if (address.Catalog == SystemCatalogs.Namespace.Id)
        {
            (PgNamespace row, Tid tid) = Get(SystemCatalogs.Namespace, address.Id);
            Delete(SystemCatalogs.Namespace, tid, row);
        }
        else if (address.Catalog == SystemCatalogs.Proc.Id)
        {
            (PgProc row, Tid tid) = Get(SystemCatalogs.Proc, address.Id);
            Delete(SystemCatalogs.Proc, tid, row);
        }
        else
        {
            throw PgException.NotSupported($"DROP of {Describe(address)}");
        }
    }

    private void RemoveRelationObject(ObjectAddress address)
    {
        if (address.Part != 0)
        {
            RemoveColumn(address.Id, (short)address.Part);
            return;
        }

        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, address.Id);
        if (row.RelKind is 'p' or 'I' or 'f')
        {
            throw PgException.NotSupported($"DROP of {Describe(address)}");
        }

        if (row.RelKind is 'r' or 'i' or 't' or 'S' or 'm')
        {
            _tx.DropFilesAtCommit(RelationBuilder.NodeOf(View, row));
        }

        if (row.RelKind == 'i')
        {
            (PgIndex index, Tid indexTid) = View.Search(SystemCatalogs.Index, SystemCatalogs.Index.IndexOn("indexrelid"), Datum.FromOid(row.Oid))[0];
            Delete(SystemCatalogs.Index, indexTid, index);
            InvalidateRelation(index.IndRelId);
        }
        else if (row.RelKind == 'S')
        {
            DeleteAll(SystemCatalogs.Sequence, SystemCatalogs.Sequence.IndexOn("seqrelid"), Datum.FromOid(row.Oid));
        }

        DeleteAll(SystemCatalogs.Inherits, SystemCatalogs.Inherits.IndexOn("inhrelid", "inhseqno"), Datum.FromOid(row.Oid));
        DeleteAll(SystemCatalogs.Statistic, SystemCatalogs.Statistic.IndexOn("starelid", "staattnum", "stainherit"), Datum.FromOid(row.Oid));
        DeleteAll(SystemCatalogs.Attribute, SystemCatalogs.Attribute.IndexOn("attrelid", "attnum"), Datum.FromOid(row.Oid));
        Delete(SystemCatalogs.Class, tid, row);
    }

    private void RemoveConstraint(Oid id)
    {
        (PgConstraint row, Tid tid) = Get(SystemCatalogs.Constraint, id);
        if (row.ConRelId.IsValid && row.ConType == 'c')
        {
            (PgClass table, Tid tableTid) = Get(SystemCatalogs.Class, row.ConRelId);
            Update(SystemCatalogs.Class, tableTid, table, table with { RelChecks = (short)(table.RelChecks - 1) });
        }
        else if (row.ConRelId.IsValid)
        {
            InvalidateRelation(row.ConRelId);
        }

        Delete(SystemCatalogs.Constraint, tid, row);
    }

    private void RemoveDefault(Oid id)
    {
        (PgAttrDef row, Tid tid) = Get(SystemCatalogs.AttrDef, id);
        Delete(SystemCatalogs.AttrDef, tid, row);
        (PgAttribute column, Tid columnTid) = GetAttribute(row.AdRelId, row.AdNum);
        Update(SystemCatalogs.Attribute, columnTid, column, column with { AttHasDef = false });
    }

    private void RemoveType(Oid id)
    {
        (PgType row, Tid tid) = Get(SystemCatalogs.Type, id);
        if (row.TypType is 'e')
        {
            DeleteAll(SystemCatalogs.Enum, SystemCatalogs.Enum.IndexOn("enumtypid", "enumsortorder"), Datum.FromOid(id));
        }
        else if (row.TypType is 'r')
        {
            DeleteAll(SystemCatalogs.Range, SystemCatalogs.Range.IndexOn("rngtypid"), Datum.FromOid(id));
        }

        Delete(SystemCatalogs.Type, tid, row);
    }

    private void RemoveComments(ObjectAddress address)
    {
        Datum[] keys = address.Part == 0
            ? [Datum.FromOid(address.Id), Datum.FromOid(address.Catalog)]
            : [Datum.FromOid(address.Id), Datum.FromOid(address.Catalog), Datum.FromInt32(address.Part)];
        DeleteAll(SystemCatalogs.Description, SystemCatalogs.Description.IndexOn("objoid", "classoid", "objsubid"), keys);
    }

    private void DeleteAll<TRow>(CatalogTable<TRow> table, CatalogIndex index, params Datum[] keys)
        where TRow : class, ICatalogRow<TRow>
    {
        foreach ((TRow row, Tid tid) in View.Search(table, index, keys))
        {
            Delete(table, tid, row);
        }
    }
}
