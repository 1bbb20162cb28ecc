using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Parse;
using SharedStorage.Sql.Session;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>DDL, COPY, VACUUM and the like; one per statement.</summary>
internal sealed partial class CommandRunner(SqlSession session, SourceText source, IResultSink sink)
{
    private SqlSession Session { get; } = session;
    private SourceText Source { get; } = source;
    private IResultSink Sink { get; } = sink;

    /// <summary>Runs the command and gives its tag.</summary>
    public string Run(Pg.Node tree)
    {
        string tag = CommandTags.Of(tree);
        bool writes = tree.NodeCase is not Pg.Node.NodeOneofCase.CopyStmt || tree.CopyStmt.IsFrom;
        if (writes && CommandTags.IsRefusedByRecovery(tree))
        {
            Session.CheckWriter(tag);
        }

        if (writes && tree.NodeCase is not (Pg.Node.NodeOneofCase.CopyStmt or Pg.Node.NodeOneofCase.DoStmt or Pg.Node.NodeOneofCase.CallStmt or Pg.Node.NodeOneofCase.LoadStmt))
        {
            Session.CheckWritable(tag);
        }

        return tree.NodeCase switch
        {
            Pg.Node.NodeOneofCase.CreateStmt => CreateTable(tree.CreateStmt),
            Pg.Node.NodeOneofCase.CreateSeqStmt => CreateSequence(tree.CreateSeqStmt),
            Pg.Node.NodeOneofCase.IndexStmt => CreateIndex(tree.IndexStmt),
            Pg.Node.NodeOneofCase.CreateSchemaStmt => CreateSchema(tree.CreateSchemaStmt),
            Pg.Node.NodeOneofCase.AlterTableStmt => AlterTable(tree.AlterTableStmt),
            Pg.Node.NodeOneofCase.RenameStmt => Rename(tree.RenameStmt),
            Pg.Node.NodeOneofCase.DropStmt => Drop(tree.DropStmt),
            Pg.Node.NodeOneofCase.TruncateStmt => Truncate(tree.TruncateStmt),
            Pg.Node.NodeOneofCase.CommentStmt => Comment(tree.CommentStmt),
            Pg.Node.NodeOneofCase.CopyStmt => Copy(tree.CopyStmt),
            Pg.Node.NodeOneofCase.VacuumStmt => Vacuum(tree.VacuumStmt),
            Pg.Node.NodeOneofCase.ReindexStmt => Reindex(tree.ReindexStmt),
            Pg.Node.NodeOneofCase.ClusterStmt => Cluster(tree.ClusterStmt),
            Pg.Node.NodeOneofCase.CreatedbStmt => CreateDatabase(tree.CreatedbStmt),
            Pg.Node.NodeOneofCase.DropdbStmt => DropDatabase(tree.DropdbStmt),
            _ => throw PgException.NotSupported(tag),
        };
    }

    private PgException Error(string state, string message, int location, string? detail = null, string? hint = null) =>
        new(state, message) { Position = Source.Position(location), Detail = detail, Hint = hint };

    private static string Text(Pg.Node node) => node.NodeCase == Pg.Node.NodeOneofCase.String ? node.String.Sval : "";

    /// <summary>The schema that a new object goes into.</summary>
    private PgNamespace CreationSchema(SessionCatalog catalog, string? name)
    {
        if (!string.IsNullOrEmpty(name))
        {
            return catalog.SchemaByName(name) ?? throw new PgException(SqlStates.InvalidSchemaName, $"schema \"{name}\" does not exist");
        }

        foreach (string part in Session.SearchPathNames)
        {
            if (catalog.SchemaByName(part == "$user" ? Session.User.RolName : part) is { } schema)
            {
                return schema;
            }
        }

        throw new PgException(SqlStates.InvalidSchemaName, "no schema has been selected to create in");
    }

    private string CreateSchema(Pg.CreateSchemaStmt s)
    {
        string name = s.Schemaname.Length > 0 ? s.Schemaname : s.Authrole?.Rolename ?? Session.User.RolName;
        if (s.SchemaElts.Count > 0)
        {
            throw PgException.NotSupported("objects within CREATE SCHEMA");
        }

        Session.ChangeCatalogs(writer =>
        {
            if (s.IfNotExists && writer.View.NamespaceByName(name) is not null)
            {
                Session.SendNotice("NOTICE", SqlStates.DuplicateSchema, $"schema \"{name}\" already exists, skipping");
                return true;
            }

            Oid owner = s.Authrole is { Rolename.Length: > 0 } role
                ? (writer.View.RoleByName(role.Rolename) ?? throw new PgException(SqlStates.UndefinedObject, $"role \"{role.Rolename}\" does not exist")).Oid
                : Session.User.Oid;
            writer.CreateSchema(name, owner);
            return true;
        });
        return "CREATE SCHEMA";
    }

    /// <summary>A list of options as "name=value" for pg_class.reloptions; null when there are none.</summary>
    private static string[]? RelationOptions(IEnumerable<Pg.Node> options, bool index)
    {
        var result = new List<string>();
        foreach (Pg.DefElem option in options.Select(o => o.DefElem))
        {
            string name = option.Defname.ToLowerInvariant();
            if (option.Defnamespace.Length > 0)
            {
                throw PgException.NotSupported($"storage parameter {option.Defnamespace}.{name}");
            }

            string value = option.Arg is null ? "true" : SqlSession.SettingText(option.Arg);
            bool known = index ? name is "fillfactor" or "deduplicate_items"
                : name is "fillfactor" or "parallel_workers" or "toast_tuple_target" or "vacuum_truncate" || name.StartsWith("autovacuum_", StringComparison.Ordinal);
            if (!known)
            {
                throw new PgException(SqlStates.InvalidParameterValue, $"unrecognized parameter \"{name}\"");
            }

            if (name == "fillfactor" && (!int.TryParse(value, out int factor) || factor is < 10 or > 100))
            {
                throw new PgException(SqlStates.InvalidParameterValue, $"value {value} out of bounds for option \"fillfactor\"")
                {
                    Detail = "Valid values are between \"10\" and \"100\".",
                };
            }

            result.Add($"{name}={value}");
        }

        return result.Count == 0 ? null : [.. result];
    }

    private string Comment(Pg.CommentStmt s)
    {
        Session.ChangeCatalogs(writer =>
        {
            var catalog = new SessionCatalog(writer.View);
            string[] name = [.. s.Object.List?.Items.Select(Text) ?? [Text(s.Object)]];
            Catalog.Ddl.ObjectAddress address;
            switch (s.Objtype)
            {
                case Pg.ObjectType.ObjectTable or Pg.ObjectType.ObjectIndex or Pg.ObjectType.ObjectView or Pg.ObjectType.ObjectSequence:
                    address = Catalog.Ddl.ObjectAddress.Relation(FindRelation(catalog, name).Oid);
                    break;
                case Pg.ObjectType.ObjectColumn:
                    PgClass table = FindRelation(catalog, name[..^1]);
                    int column = catalog.Relation(table.Oid)!.Desc.IndexOf(name[^1]);
                    address = column >= 0 ? Catalog.Ddl.ObjectAddress.Relation(table.Oid, column + 1)
                        : throw new PgException(SqlStates.UndefinedColumn, $"column \"{name[^1]}\" of relation \"{table.RelName}\" does not exist");
                    break;
                case Pg.ObjectType.ObjectSchema:
                    address = Catalog.Ddl.ObjectAddress.Namespace(writer.View.GetNamespace(name[0]).Oid);
                    break;
                default:
                    throw PgException.NotSupported("COMMENT ON this kind of object");
            }

            writer.Comment(address, s.Comment.Length == 0 ? null : s.Comment);
            return true;
        });
        return "COMMENT";
    }

    private PgClass FindRelation(SessionCatalog catalog, string[] name) =>
        Session.NewAnalyzer(catalog, Source).ResolveRelation(new Pg.RangeVar { Schemaname = name.Length > 1 ? name[^2] : "", Relname = name[^1], Location = -1 });
}
