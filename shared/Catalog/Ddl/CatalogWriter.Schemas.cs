using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>CREATE SCHEMA and COMMENT.</summary>
public sealed partial class CatalogWriter
{
    /// <exception cref="PgException">42P06; 42939 for a name that begins with "pg_".</exception>
    public Oid CreateSchema(string name, Oid owner)
    {
        if (name.StartsWith("pg_", StringComparison.Ordinal))
        {
            throw new PgException("42939", $"unacceptable schema name \"{name}\"") { Detail = "The prefix \"pg_\" is reserved for system schemas." };
        }

        if (View.NamespaceByName(name) is not null)
        {
            throw new PgException(SqlStates.DuplicateSchema, $"schema \"{name}\" already exists");
        }

        Oid id = NewOid(SystemCatalogs.Namespace);
        Insert(SystemCatalogs.Namespace, new PgNamespace { Oid = id, NspName = name, NspOwner = owner });
        AddOwner(ObjectAddress.Namespace(id), owner);
        NextCommand();
        return id;
    }

    /// <summary>COMMENT ON an object of this database; null or "" removes it.</summary>
    public void Comment(ObjectAddress address, string? text)
    {
        var rows = View.Search(
            SystemCatalogs.Description,
            SystemCatalogs.Description.IndexOn("objoid", "classoid", "objsubid"),
            Datum.FromOid(address.Id),
            Datum.FromOid(address.Catalog),
            Datum.FromInt32(address.Part));
        bool remove = string.IsNullOrEmpty(text);
        if (rows.Count != 0 && remove)
        {
            Delete(SystemCatalogs.Description, rows[0].Tid, rows[0].Row);
        }
        else if (rows.Count != 0)
        {
            Update(SystemCatalogs.Description, rows[0].Tid, rows[0].Row, rows[0].Row with { Description = text! });
        }
        else if (!remove)
        {
            Insert(SystemCatalogs.Description, new PgDescription { ObjOid = address.Id, ClassOid = address.Catalog, ObjSubId = address.Part, Description = text! });
        }

        NextCommand();
    }
}
