using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Rows of databases in the shared catalogs (PostgreSQL's dbcommands.c, pg_shdepend.c).</summary>
public sealed partial class CatalogWriter
{
    /// <summary>pg_database.datconnlimit of a database whose drop did not end: it can only be dropped again.</summary>
    public const int InvalidDatabase = -2;

    /// <summary>Stores a new database's row, its owner, and what objects in it that came from the template owe to roles.</summary>
    public void AddDatabase(PgDatabase row, Oid template)
    {
        Insert(SystemCatalogs.Database, row);
        if (row.DatDba.Value >= 12000)
        {
            Insert(SystemCatalogs.ShDepend, new PgShDepend
            {
                ClassId = SystemCatalogs.Database.Id,
                ObjId = row.Oid,
                RefClassId = SystemCatalogs.AuthId.Id,
                RefObjId = row.DatDba,
                DepType = DependencyKind.SharedOwner,
            });
        }

        foreach ((PgShDepend dependency, Tid _) in DependenciesIn(template))
        {
            Insert(SystemCatalogs.ShDepend, dependency with { DbId = row.Oid });
        }

        NextCommand();
    }

    /// <summary>A drop begins: whatever happens to it, nobody may use the database any more. In place, so it does not roll back.</summary>
    public void InvalidateDatabase(Oid database)
    {
        (PgDatabase row, Tid tid) = Get(SystemCatalogs.Database, database);
        UpdateInPlace(SystemCatalogs.Database, tid, row with { DatConnLimit = InvalidDatabase });
    }

    /// <summary>Removes a database's row with its comment, settings and dependencies.</summary>
    public void RemoveDatabase(Oid database)
    {
        foreach ((PgShDescription row, Tid tid) in View.Search(
            SystemCatalogs.ShDescription, SystemCatalogs.ShDescription.IndexOn("objoid", "classoid"), Datum.FromOid(database), Datum.FromOid(SystemCatalogs.Database.Id)))
        {
            Delete(SystemCatalogs.ShDescription, tid, row);
        }

        foreach ((PgDbRoleSetting row, Tid tid) in View.Search(SystemCatalogs.DbRoleSetting, SystemCatalogs.DbRoleSetting.IndexOn("setdatabase", "setrole"), Datum.FromOid(database)))
        {
            Delete(SystemCatalogs.DbRoleSetting, tid, row);
        }

        foreach ((PgShDepend row, Tid tid) in DependenciesIn(database))
        {
            Delete(SystemCatalogs.ShDepend, tid, row);
        }

        RemoveSharedDependenciesOf(new ObjectAddress(SystemCatalogs.Database.Id, database, 0), Oid.Invalid);
        (PgDatabase gone, Tid place) = Get(SystemCatalogs.Database, database);
        Delete(SystemCatalogs.Database, place, gone);
        NextCommand();
    }

    private IReadOnlyList<(PgShDepend Row, Tid Tid)> DependenciesIn(Oid database) =>
        View.Search(SystemCatalogs.ShDepend, SystemCatalogs.ShDepend.IndexOn("dbid", "classid", "objid", "objsubid"), Datum.FromOid(database));
}
