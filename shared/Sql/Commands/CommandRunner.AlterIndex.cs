using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>ALTER INDEX, and storage parameters of tables and indexes.</summary>
internal sealed partial class CommandRunner
{
    private void ChangeOptions(CatalogWriter writer, Oid relation, Pg.AlterTableCmd command, bool index)
    {
        var options = (writer.View.ClassById(relation)!.RelOptions ?? []).ToList();
        bool set = command.Subtype == Pg.AlterTableType.AtSetRelOptions;
        foreach (Pg.Node node in command.Def.List.Items)
        {
            string name = node.DefElem.Defname.ToLowerInvariant();
            options.RemoveAll(o => o.StartsWith(name + "=", StringComparison.Ordinal));
            if (set)
            {
                options.AddRange(RelationOptions([node], index) ?? []);
            }
        }

        writer.SetOptions(relation, options.Count == 0 ? null : [.. options]);
    }

    private string AlterIndex(Pg.AlterTableStmt s)
    {
        PgClass? index = FindIndex(s.Relation, s.MissingOk, LockMode.ShareUpdateExclusive);
        if (index is not null)
        {
            Session.ChangeCatalogs(writer =>
            {
                foreach (Pg.AlterTableCmd command in s.Cmds.Select(c => c.AlterTableCmd))
                {
                    if (command.Subtype is not (Pg.AlterTableType.AtSetRelOptions or Pg.AlterTableType.AtResetRelOptions))
                    {
                        throw PgException.NotSupported("this form of ALTER INDEX");
                    }

                    ChangeOptions(writer, index.Oid, command, index: true);
                }

                return true;
            });
        }

        return "ALTER INDEX";
    }

    private PgClass? FindIndex(Pg.RangeVar name, bool missingOk, LockMode mode) => Session.Resolve(catalog =>
    {
        PgClass? row = Session.NewAnalyzer(catalog, Source).FindRelation(name);
        if (row is null)
        {
            Missing(missingOk, SqlStates.UndefinedTable, $"relation \"{name.Relname}\" does not exist");
            return null;
        }

        if (row.RelKind != 'i')
        {
            throw row.RelKind == 'I' ? PgException.NotSupported("an index of a partitioned table") : new PgException(SqlStates.WrongObjectType, $"\"{row.RelName}\" is not an index");
        }

        CheckNoSystemCatalog(row);
        Session.LockRelation(catalog, row.Oid, mode);
        return row;
    });
}
