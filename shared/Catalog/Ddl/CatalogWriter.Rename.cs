using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>ALTER ... RENAME (PostgreSQL's tablecmds.c, RenameTypeInternal, RenameConstraintById).</summary>
public sealed partial class CatalogWriter
{
    /// <summary>Renames a relation, with its row type and the constraint that an index stands for.</summary>
    /// <exception cref="PgException">42P07, 42710.</exception>
    public void RenameRelation(Oid relation, string name)
    {
        PgClass row = View.ClassById(relation)!;
        CheckNewRelationName(name, row.RelNamespace);
        SetRelationName(relation, name);
        if (row.RelType.IsValid)
        {
            RenameType(row.RelType, name, row.RelNamespace);
        }

        if (row.RelKind == 'i' && ConstraintOfIndex(relation) is { } constraint)
        {
            SetConstraintName(constraint.Oid, name);
        }

        NextCommand();
    }

    /// <exception cref="PgException">42701.</exception>
    public void RenameColumn(Oid table, short column, string name)
    {
        CheckColumnName(table, name);
        (PgAttribute row, Tid tid) = GetAttribute(table, column);
        Update(SystemCatalogs.Attribute, tid, row, row with { AttName = name });
        NextCommand();
    }

    /// <summary>Renames a constraint of a table, and its index with it.</summary>
    /// <exception cref="PgException">42710, 42P07.</exception>
    public void RenameConstraint(PgConstraint constraint, string name)
    {
        if (constraint.ConIndId.IsValid && constraint.ConType is 'p' or 'u' or 'x')
        {
            RenameRelation(constraint.ConIndId, name);
            return;
        }

        SetConstraintName(constraint.Oid, name);
        NextCommand();
    }

    /// <exception cref="PgException">42P06, 42939.</exception>
    public void RenameSchema(Oid schema, string name)
    {
        if (View.NamespaceByName(name) is not null)
        {
            throw new PgException(SqlStates.DuplicateSchema, $"schema \"{name}\" already exists");
        }

        if (name.StartsWith("pg_", StringComparison.Ordinal))
        {
            throw new PgException("42939", $"unacceptable schema name \"{name}\"") { Detail = "The prefix \"pg_\" is reserved for system schemas." };
        }

        (PgNamespace row, Tid tid) = Get(SystemCatalogs.Namespace, schema);
        Update(SystemCatalogs.Namespace, tid, row, row with { NspName = name });
        NextCommand();
    }

    private PgConstraint? ConstraintOfIndex(Oid index) =>
        View.GetConstraints(View.IndexRow(index)!.IndRelId).FirstOrDefault(c => c.ConIndId == index && c.ConType is 'p' or 'u' or 'x');

    private void SetRelationName(Oid relation, string name)
    {
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, relation);
        Update(SystemCatalogs.Class, tid, row, row with { RelName = name });
    }

    private void SetConstraintName(Oid constraint, string name)
    {
        (PgConstraint row, Tid tid) = Get(SystemCatalogs.Constraint, constraint);
        if (row.ConRelId.IsValid && View.GetConstraints(row.ConRelId).Any(c => c.ConName == name && c.Oid != constraint))
        {
            throw new PgException(SqlStates.DuplicateObject, $"constraint \"{name}\" for relation \"{View.ClassById(row.ConRelId)!.RelName}\" already exists");
        }

        Update(SystemCatalogs.Constraint, tid, row, row with { ConName = name });
        if (row.ConRelId.IsValid)
        {
            InvalidateRelation(row.ConRelId);
        }
    }

    /// <summary>The type takes the name, its array type one that is made of it.</summary>
    private void RenameType(Oid type, string name, Oid schema)
    {
        MakeRoomForType(name, schema);
        (PgType row, Tid tid) = Get(SystemCatalogs.Type, type);
        Update(SystemCatalogs.Type, tid, row, row with { TypName = name });
        NextCommand();
        if (row.TypArray.IsValid)
        {
            (PgType array, Tid arrayTid) = Get(SystemCatalogs.Type, row.TypArray);
            string arrayName = ArrayTypeName(name, schema);
            Update(SystemCatalogs.Type, arrayTid, array, array with { TypName = arrayName });
        }
    }
}
