using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Records in pg_depend and pg_shdepend (PostgreSQL's pg_depend.c, pg_shdepend.c, and the expression walk of dependency.c).</summary>
public sealed partial class CatalogWriter
{
    /// <summary>Notes that <paramref name="dependent"/> needs each of the others; pinned ones are left out.</summary>
    internal void AddDependencies(ObjectAddress dependent, IEnumerable<ObjectAddress> referenced, char kind)
    {
        foreach (ObjectAddress r in referenced.Distinct())
        {
            if (!r.IsPinned)
            {
                Insert(SystemCatalogs.Depend, new PgDepend
                {
                    ClassId = dependent.Catalog,
                    ObjId = dependent.Id,
                    ObjSubId = dependent.Part,
                    RefClassId = r.Catalog,
                    RefObjId = r.Id,
                    RefObjSubId = r.Part,
                    DepType = kind,
                });
            }
        }
    }

    internal void AddDependency(ObjectAddress dependent, ObjectAddress referenced, char kind) => AddDependencies(dependent, [referenced], kind);

    /// <summary>The owner in pg_shdepend; the bootstrap superuser is pinned.</summary>
    internal void AddOwner(ObjectAddress owned, Oid owner)
    {
        if (owner.Value >= 12000)
        {
            Insert(SystemCatalogs.ShDepend, new PgShDepend
            {
                DbId = _database.Id,
                ClassId = owned.Catalog,
                ObjId = owned.Id,
                RefClassId = SystemCatalogs.AuthId.Id,
                RefObjId = owner,
                DepType = DependencyKind.SharedOwner,
            });
        }
    }

    /// <summary>
    /// What an expression over the columns of one relation needs: the columns themselves with <paramref name="ownKind"/>, everything else as a normal
    /// dependency (recordDependencyOnSingleRelExpr).
    /// </summary>
    internal void AddExpressionDependencies(ObjectAddress dependent, NodeValue expression, Oid relation, char ownKind)
    {
        var found = new HashSet<ObjectAddress>();
        new ExpressionReferences(View, relation, found).Visit(expression);
        var own = found.Where(a => a.Catalog == SystemCatalogs.Class.Id && a.Id == relation && relation.IsValid).ToHashSet();
        AddDependencies(dependent, found.Where(a => !own.Contains(a)).OrderBy(a => a.Catalog).ThenBy(a => a.Id), DependencyKind.Normal);
        AddDependencies(dependent, own.OrderBy(a => a.Part), ownKind);
    }

    /// <summary>Removes what the object (with all its columns, unless one is named) depends on.</summary>
    internal void RemoveDependenciesOf(ObjectAddress dependent)
    {
        Datum[] keys = dependent.Part == 0
            ? [Datum.FromOid(dependent.Catalog), Datum.FromOid(dependent.Id)]
            : [Datum.FromOid(dependent.Catalog), Datum.FromOid(dependent.Id), Datum.FromInt32(dependent.Part)];
        foreach ((PgDepend row, Tid tid) in View.Search(SystemCatalogs.Depend, SystemCatalogs.Depend.IndexOn("classid", "objid", "objsubid"), keys))
        {
            Delete(SystemCatalogs.Depend, tid, row);
        }
    }

    internal void RemoveSharedDependenciesOf(ObjectAddress dependent, Oid database)
    {
        foreach ((PgShDepend row, Tid tid) in View.Search(
            SystemCatalogs.ShDepend,
            SystemCatalogs.ShDepend.IndexOn("dbid", "classid", "objid", "objsubid"),
            Datum.FromOid(database),
            Datum.FromOid(dependent.Catalog),
            Datum.FromOid(dependent.Id)))
        {
            if (dependent.Part == 0 || row.ObjSubId == dependent.Part)
            {
                Delete(SystemCatalogs.ShDepend, tid, row);
            }
        }
    }
}
