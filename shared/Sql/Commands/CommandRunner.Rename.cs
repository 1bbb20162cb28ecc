using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>ALTER ... RENAME (alter.c, tablecmds.c).</summary>
internal sealed partial class CommandRunner
{
    private string Rename(Pg.RenameStmt s)
    {
        string tag = CommandTags.Of(new Pg.Node { RenameStmt = s });
        switch (s.RenameType)
        {
            case Pg.ObjectType.ObjectSchema:
                Session.ChangeCatalogs(writer =>
                {
                    PgNamespace schema = writer.View.GetNamespace(s.Subname);
                    writer.RenameSchema(schema.Oid, s.Newname);
                    return true;
                });
                return tag;
            case Pg.ObjectType.ObjectTable or Pg.ObjectType.ObjectIndex or Pg.ObjectType.ObjectView or Pg.ObjectType.ObjectSequence:
                if (FindToRename(s, LockMode.AccessExclusive) is { } relation)
                {
                    Session.ChangeCatalogs(writer =>
                    {
                        writer.RenameRelation(relation.Oid, s.Newname);
                        return true;
                    });
                }

                return tag;
            case Pg.ObjectType.ObjectColumn:
                RenameColumn(s);
                return tag;
            case Pg.ObjectType.ObjectTabconstraint:
                RenameConstraint(s);
                return tag;
            default:
                throw PgException.NotSupported($"{tag} ... RENAME");
        }
    }

    private PgClass? FindToRename(Pg.RenameStmt s, LockMode mode) => Session.Resolve(catalog =>
    {
        PgClass? row = Session.NewAnalyzer(catalog, Source).FindRelation(s.Relation);
        if (row is null)
        {
            Missing(s.MissingOk, SqlStates.UndefinedTable, $"relation \"{s.Relation.Relname}\" does not exist");
            return null;
        }

        // ALTER TABLE renames every kind of relation; the others want their own.
        (char kind, string noun) = s.RenameType switch
        {
            Pg.ObjectType.ObjectView => ('v', "a view"),
            Pg.ObjectType.ObjectSequence => ('S', "a sequence"),
            Pg.ObjectType.ObjectIndex => ('i', "an index"),
            _ => (row.RelKind, ""),
        };
        if (row.RelKind != kind && !(kind == 'i' && row.RelKind == 'r'))
        {
            throw new PgException(SqlStates.WrongObjectType, $"\"{row.RelName}\" is not {noun}");
        }

        if (row.RelKind is 'p' or 'I' or 'c' or 'f')
        {
            throw PgException.NotSupported("renaming this kind of relation");
        }

        CheckNoSystemCatalog(row);
        Session.LockRelation(catalog, row.Oid, mode);
        return row;
    });

    private void RenameColumn(Pg.RenameStmt s)
    {
        if (s.RelationType is not (Pg.ObjectType.ObjectTable or Pg.ObjectType.ObjectView))
        {
            throw PgException.NotSupported("renaming this kind of column");
        }

        if (FindToRename(s, LockMode.AccessExclusive) is not { } table)
        {
            return;
        }

        Session.ChangeCatalogs(writer =>
        {
            CheckNoFamily(writer.View, table);
            if (AttributeIsSystem(s.Subname))
            {
                throw new PgException(SqlStates.FeatureNotSupported, $"cannot rename system column \"{s.Subname}\"");
            }

            PgAttribute? column = writer.View.GetAttributes(table.Oid).FirstOrDefault(a => a.AttName == s.Subname && !a.AttIsDropped);
            if (column is null)
            {
                throw new PgException(SqlStates.UndefinedColumn, $"column \"{s.Subname}\" does not exist");
            }

            writer.RenameColumn(table.Oid, column.AttNum, s.Newname);
            return true;
        });
    }

    private void RenameConstraint(Pg.RenameStmt s)
    {
        if (FindToRename(s, LockMode.AccessExclusive) is not { } table)
        {
            return;
        }

        Session.ChangeCatalogs(writer =>
        {
            PgConstraint constraint = writer.View.GetConstraints(table.Oid).FirstOrDefault(c => c.ConName == s.Subname)
                ?? throw new PgException(SqlStates.UndefinedObject, $"constraint \"{s.Subname}\" for table \"{table.RelName}\" does not exist");
            CheckNoFamily(writer.View, table);
            writer.RenameConstraint(constraint, s.Newname);
            return true;
        });
    }
}
