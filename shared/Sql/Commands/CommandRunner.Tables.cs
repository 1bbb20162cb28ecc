using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>CREATE TABLE, TRUNCATE, DROP (parse_utilcmd.c, tablecmds.c).</summary>
internal sealed partial class CommandRunner
{
    private string CreateTable(Pg.CreateStmt s)
    {
        RefuseUnsupported(s);
        Session.ChangeCatalogs(writer =>
        {
            var catalog = new SessionCatalog(writer.View);
            Analyzer analyzer = Session.NewAnalyzer(catalog, Source);
            PgNamespace schema = CreationSchema(catalog, s.Relation.Schemaname);
            string name = s.Relation.Relname;
            if (s.IfNotExists && catalog.ClassByName(name, schema.Oid) is not null)
            {
                Session.SendNotice("NOTICE", SqlStates.DuplicateTable, $"relation \"{name}\" already exists, skipping");
                return true;
            }

            // A plan of the statement may run again: what is written into it is written into a copy.
            s = s.Clone();
            List<(Oid Sequence, string Column)> serials = MakeSerials(writer, schema, s.Relation, s.TableElts.Where(e => e.NodeCase == Pg.Node.NodeOneofCase.ColumnDef).Select(e => e.ColumnDef));
            if (serials.Count > 0)
            {
                catalog = Session.Refresh(writer);
                analyzer = Session.NewAnalyzer(catalog, Source);
            }

            var constraints = new List<(Pg.Constraint Constraint, string? Column)>();
            var columns = new List<NewColumn>();
            foreach (Pg.Node element in s.TableElts)
            {
                switch (element.NodeCase)
                {
                    case Pg.Node.NodeOneofCase.ColumnDef:
                        columns.Add(Column(catalog, analyzer, element.ColumnDef, constraints));
                        break;
                    case Pg.Node.NodeOneofCase.Constraint:
                        constraints.Add((element.Constraint, null));
                        break;
                    default:
                        throw PgException.NotSupported("LIKE in CREATE TABLE");
                }
            }

            constraints.AddRange(s.Constraints.Select(c => (c.Constraint, (string?)null)));
            MarkPrimaryKeyColumns(columns, constraints);
            Oid table = writer.CreateTable(new NewTable
            {
                Name = name,
                Namespace = schema.Oid,
                Persistence = Persistence(s.Relation),
                Columns = columns,
                Tablespace = Tablespace(writer.View, s.Tablespacename),
                Options = RelationOptions(s.Options, false),
            });
            Session.NoteNewFiles(table);
            AddConstraints(writer, table, constraints);
            foreach ((Oid sequence, string column) in serials)
            {
                writer.SetSequenceOwner(sequence, table, (short)(columns.FindIndex(c => c.Name == column) + 1));
            }

            return true;
        });
        return "CREATE TABLE";
    }

    private static void RefuseUnsupported(Pg.CreateStmt s)
    {
        if (s.Partspec is not null || s.Partbound is not null)
        {
            throw PgException.NotSupported("a partitioned table (PARTITION BY, PARTITION OF)");
        }

        string? what = s.InhRelations.Count > 0 ? "INHERITS" : s.OfTypename is not null ? "CREATE TABLE OF"
            : s.Relation.Relpersistence == "t" ? "a temporary table"
            : s.AccessMethod.Length > 0 && s.AccessMethod != "heap" ? $"access method \"{s.AccessMethod}\"" : null;
        if (what is not null)
        {
            throw PgException.NotSupported(what);
        }
    }

    private static Oid Tablespace(CatalogView view, string name)
    {
        if (name.Length == 0 || name == "pg_default")
        {
            return Oid.Invalid;
        }

        return (view.TablespaceByName(name) ?? throw new PgException(SqlStates.UndefinedObject, $"tablespace \"{name}\" does not exist")).Oid;
    }

    private NewColumn Column(SessionCatalog catalog, Analyzer analyzer, Pg.ColumnDef c, List<(Pg.Constraint, string?)> constraints)
    {
        (Oid type, int typmod) = analyzer.ResolveType(c.TypeName);
        PgType row = catalog.Type(type)!;
        if (row.TypType == 'p')
        {
            throw Error(SqlStates.InvalidTableDefinition, $"column \"{c.Colname}\" has pseudo-type {analyzer.FormatType(type)}", -1);
        }

        bool notNull = c.IsNotNull;
        bool isNull = false;
        NodeValue? initial = null;
        foreach (Pg.Constraint constraint in c.Constraints.Select(n => n.Constraint))
        {
            switch (constraint.Contype)
            {
                case Pg.ConstrType.ConstrNull:
                    isNull = true;
                    break;
                case Pg.ConstrType.ConstrNotnull:
                    notNull = true;
                    break;
                case Pg.ConstrType.ConstrDefault:
                    initial = initial is null ? Default(catalog, analyzer, constraint.RawExpr, type, typmod, c.Colname)
                        : throw Error(SqlStates.SyntaxError, $"multiple default values specified for column \"{c.Colname}\"", constraint.Location);
                    break;
                case Pg.ConstrType.ConstrIdentity:
                    throw PgException.NotSupported("GENERATED AS IDENTITY");
                case Pg.ConstrType.ConstrGenerated:
                    throw PgException.NotSupported("a generated column");
                case Pg.ConstrType.ConstrCheck or Pg.ConstrType.ConstrPrimary or Pg.ConstrType.ConstrUnique or Pg.ConstrType.ConstrForeign:
                    constraints.Add((constraint, c.Colname));
                    break;
                default:
                    throw PgException.NotSupported("a deferrable constraint of a column");
            }
        }

        if (notNull && isNull)
        {
            throw Error(SqlStates.SyntaxError, $"conflicting NULL/NOT NULL declarations for column \"{c.Colname}\"", c.Location);
        }

        Oid collation = c.CollClause is { } clause ? analyzer.ResolveCollation([.. clause.Collname.Select(Text)], clause.Location) : row.TypCollation;
        return new NewColumn
        {
            Name = c.Colname,
            TypeId = type,
            TypeModifier = typmod,
            Collation = collation,
            Dimensions = (short)c.TypeName.ArrayBounds.Count,
            NotNull = notNull,
            Default = initial,
        };
    }

    private static NodeValue? Default(SessionCatalog catalog, Analyzer analyzer, Pg.Node expression, Oid type, int typmod, string column)
    {
        Expr value = analyzer.AnalyzeStandalone(expression, type, typmod, column);
        return value is ConstExpr { Value.IsNull: true } ? null : new NodeTreeWriter(catalog).Write(value);
    }

    private static void MarkPrimaryKeyColumns(List<NewColumn> columns, List<(Pg.Constraint Constraint, string? Column)> constraints)
    {
        foreach ((Pg.Constraint c, string? column) in constraints.Where(c => c.Constraint.Contype == Pg.ConstrType.ConstrPrimary))
        {
            foreach (string key in column is null ? c.Keys.Select(Text) : [column])
            {
                int index = columns.FindIndex(x => x.Name == key);
                if (index >= 0)
                {
                    columns[index] = columns[index] with { NotNull = true };
                }
            }
        }
    }

    private string Truncate(Pg.TruncateStmt s)
    {
        if (s.RestartSeqs)
        {
            throw PgException.NotSupported("RESTART IDENTITY");
        }

        var tables = new List<Oid>();
        Session.Resolve(catalog =>
        {
            tables.Clear();
            Analyzer analyzer = Session.NewAnalyzer(catalog, Source);
            foreach (Pg.Node node in s.Relations)
            {
                PgClass row = analyzer.ResolveRelation(node.RangeVar);
                if (row.RelKind != 'r')
                {
                    throw row.RelKind == 'p' ? PgException.NotSupported("a partitioned table") : new PgException(SqlStates.WrongObjectType, $"\"{row.RelName}\" is not a table");
                }

                if (row.Oid.Value < Oid.FirstNormal.Value)
                {
                    throw new PgException(SqlStates.InsufficientPrivilege, $"permission denied: \"{row.RelName}\" is a system catalog");
                }

                if (!tables.Contains(row.Oid))
                {
                    Session.LockRelation(catalog, row.Oid, LockMode.AccessExclusive);
                    tables.Add(row.Oid);
                }
            }

            CheckReferences(catalog, tables, s.Behavior == Pg.DropBehavior.DropCascade);
            return true;
        });
        Session.ChangeCatalogs(writer =>
        {
            foreach (Oid table in tables)
            {
                writer.Truncate(table);
                Session.NoteNewFiles(table);
                Session.NoteTruncated(table);
            }

            return true;
        });
        return "TRUNCATE TABLE";
    }

    private void CheckReferences(SessionCatalog catalog, List<Oid> tables, bool cascade)
    {
        for (int i = 0; i < tables.Count; i++)
        {
            foreach (PgConstraint key in catalog.ReferencingConstraints(tables[i]))
            {
                if (tables.Contains(key.ConRelId))
                {
                    continue;
                }

                string child = catalog.Class(key.ConRelId)!.RelName, parent = catalog.Class(tables[i])!.RelName;
                if (!cascade)
                {
                    throw new PgException(SqlStates.FeatureNotSupported, "cannot truncate a table referenced in a foreign key constraint")
                    {
                        Detail = $"Table \"{child}\" references \"{parent}\".",
                        Hint = $"Truncate table \"{child}\" at the same time, or use TRUNCATE ... CASCADE.",
                    };
                }

                Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, $"truncate cascades to table \"{child}\"");
                Session.LockRelation(catalog, key.ConRelId, LockMode.AccessExclusive);
                tables.Add(key.ConRelId);
            }
        }
    }

    private string Drop(Pg.DropStmt s)
    {
        if (s.Concurrent)
        {
            throw PgException.NotSupported("DROP INDEX CONCURRENTLY");
        }

        string tag = CommandTags.Of(new Pg.Node { DropStmt = s });
        (char kind, string noun) = s.RemoveType switch
        {
            Pg.ObjectType.ObjectTable => ('r', "table"),
            Pg.ObjectType.ObjectIndex => ('i', "index"),
            Pg.ObjectType.ObjectView => ('v', "view"),
            Pg.ObjectType.ObjectSequence => ('S', "sequence"),
            Pg.ObjectType.ObjectSchema => ('n', "schema"),
            _ => throw PgException.NotSupported(tag),
        };
        var objects = new List<ObjectAddress>();
        Session.Resolve(catalog =>
        {
            objects.Clear();
            foreach (Pg.Node node in s.Objects)
            {
                if (FindToDrop(catalog, node, kind, noun, s.MissingOk) is { } address)
                {
                    objects.Add(address);
                }
            }

            return true;
        });
        if (objects.Count > 0)
        {
            Session.ChangeCatalogs(writer =>
            {
                DropNotice? notice = writer.Drop(objects, s.Behavior == Pg.DropBehavior.DropCascade);
                if (notice is not null)
                {
                    Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, notice.Message, notice.Detail);
                }

                return true;
            });
        }

        return tag;
    }

    private ObjectAddress? FindToDrop(SessionCatalog catalog, Pg.Node node, char kind, string noun, bool missingOk)
    {
        if (kind == 'n')
        {
            string schema = Text(node);
            if (catalog.SchemaByName(schema) is { } found)
            {
                return ObjectAddress.Namespace(found.Oid);
            }

            return Missing(missingOk, SqlStates.InvalidSchemaName, $"schema \"{schema}\" does not exist");
        }

        string[] name = [.. node.List.Items.Select(Text)];
        if (name.Length > 1 && catalog.SchemaByName(name[^2]) is null)
        {
            return Missing(missingOk, SqlStates.InvalidSchemaName, $"schema \"{name[^2]}\" does not exist");
        }

        var range = new Pg.RangeVar { Schemaname = name.Length > 1 ? name[^2] : "", Relname = name[^1], Location = -1 };
        PgClass? row = Session.NewAnalyzer(catalog, Source).FindRelation(range);
        if (row is null)
        {
            return Missing(missingOk, kind == 'i' ? SqlStates.UndefinedObject : SqlStates.UndefinedTable, $"{noun} \"{string.Join('.', name)}\" does not exist");
        }

        if (row.RelKind != kind)
        {
            string article = kind == 'i' ? "an" : "a";
            string actual = row.RelKind switch { 'r' or 'p' => "TABLE", 'i' or 'I' => "INDEX", 'v' => "VIEW", 'S' => "SEQUENCE", 'm' => "MATERIALIZED VIEW", 'c' => "TYPE", _ => "FOREIGN TABLE" };
            throw new PgException(SqlStates.WrongObjectType, $"\"{row.RelName}\" is not {article} {noun}") { Hint = $"Use DROP {actual} to remove {(actual[0] is 'I' ? "an" : "a")} {actual.ToLowerInvariant()}." };
        }

        if (row.Oid.Value < Oid.FirstNormal.Value)
        {
            throw new PgException(SqlStates.InsufficientPrivilege, $"permission denied: \"{row.RelName}\" is a system catalog");
        }

        // An index's table is locked first.
        if (kind == 'i')
        {
            Session.LockRelation(catalog, catalog.IndexRow(row.Oid)!.IndRelId, LockMode.AccessExclusive);
        }

        Session.LockRelation(catalog, row.Oid, LockMode.AccessExclusive);
        return ObjectAddress.Relation(row.Oid);
    }

    private ObjectAddress? Missing(bool ok, string state, string message)
    {
        if (!ok)
        {
            throw new PgException(state, message);
        }

        Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, message + ", skipping");
        return null;
    }
}
