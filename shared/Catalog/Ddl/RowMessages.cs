using System.Collections.Frozen;
using SharedStorage.Catalog.Invalidation;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Which messages a stored, replaced or deleted row of a catalog makes (CacheInvalidateHeapTuple of inval.c): a pure function of the row.</summary>
internal static class RowMessages
{
    // The catalogs that PostgreSQL keeps no cache for: a change makes snapshots stale (RelationInvalidatesSnapshotsOnly).
    private static readonly FrozenSet<Oid> SnapshotOnly = new[]
    {
        SystemCatalogs.DbRoleSetting.Id, SystemCatalogs.Depend.Id, SystemCatalogs.ShDepend.Id, SystemCatalogs.Description.Id, SystemCatalogs.ShDescription.Id,
    }.ToFrozenSet();

    /// <param name="database">The session's database; messages on shared catalogs name 0.</param>
    public static void Add(List<InvalidationMessage> messages, CatalogTable table, ReadOnlySpan<Datum> values, Oid database)
    {
        Oid owner = table.IsShared ? Oid.Invalid : database;
        if (SnapshotOnly.Contains(table.Id))
        {
            messages.Add(new InvalidationMessage(InvalidationKind.Snapshot, 0, owner, table.Id.Value));
            return;
        }

        for (int i = 0; i < SysCache.All.Count; i++)
        {
            if (SysCache.All[i].Catalog == table.Id)
            {
                messages.Add(new InvalidationMessage(InvalidationKind.CatalogCache, i, owner, CatCacheHash.Compute(SysCache.All[i], table.Desc, values)));
            }
        }

        if (table.Id == SystemCatalogs.Class.Id)
        {
            messages.Add(Relation(SystemCatalogs.Class.Read(values).RelIsShared ? Oid.Invalid : database, values[0].Oid));
        }
        else if (table.Id == SystemCatalogs.Attribute.Id || table.Id == SystemCatalogs.Index.Id)
        {
            messages.Add(Relation(database, values[0].Oid));
        }
        else if (table.Id == SystemCatalogs.Constraint.Id)
        {
            PgConstraint constraint = SystemCatalogs.Constraint.Read(values);
            if (constraint.ConType == 'f' && constraint.ConRelId.IsValid)
            {
                messages.Add(Relation(database, constraint.ConRelId));
            }
        }
    }

    private static InvalidationMessage Relation(Oid database, Oid relation) => new(InvalidationKind.Relation, 0, database, relation.Value);
}
