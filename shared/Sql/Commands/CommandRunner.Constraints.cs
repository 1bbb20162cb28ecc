using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Dml;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Nodes;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>Constraints (tablecmds.c).</summary>
internal sealed partial class CommandRunner
{
    private void DropConstraint(CatalogWriter writer, SessionCatalog catalog, PgClass table, Pg.AlterTableCmd command)
    {
        PgConstraint? c = catalog.Constraints(table.Oid).FirstOrDefault(x => x.ConName == command.Name);
        if (c is null)
        {
            string message = $"constraint \"{command.Name}\" of relation \"{table.RelName}\" does not exist";
            if (!command.MissingOk)
            {
                throw new PgException(SqlStates.UndefinedObject, message);
            }

            Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, message + ", skipping");
            return;
        }

        DropNotice? notice = writer.Drop([ObjectAddress.Constraint(c.Oid)], command.Behavior == Pg.DropBehavior.DropCascade);
        if (notice is not null)
        {
            Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, notice.Message, notice.Detail);
        }
    }

    private static short ColumnNumber(Relation relation, string name)
    {
        int index = relation.Desc.IndexOf(name);
        return index >= 0 ? (short)(index + 1) : throw new PgException(SqlStates.UndefinedColumn, $"column \"{name}\" of relation \"{relation.Name}\" does not exist");
    }

    /// <summary>PostgreSQL's order: checks, then indexes (the primary key first), then foreign keys.</summary>
    private void AddConstraints(CatalogWriter writer, Oid table, List<(Pg.Constraint Constraint, string? Column)> constraints)
    {
        foreach ((Pg.Constraint c, string? _) in constraints.Where(c => c.Constraint.Deferrable || c.Constraint.Initdeferred))
        {
            throw PgException.NotSupported($"a deferrable constraint ({c.Contype})");
        }

        foreach ((Pg.Constraint c, string? column) in constraints.Where(c => c.Constraint.Contype == Pg.ConstrType.ConstrCheck))
        {
            AddCheck(writer, table, c, column);
        }

        if (constraints.Count(c => c.Constraint.Contype == Pg.ConstrType.ConstrPrimary) > 1)
        {
            throw Error(SqlStates.InvalidTableDefinition, $"multiple primary keys for table \"{writer.View.ClassById(table)!.RelName}\" are not allowed", -1);
        }

        foreach ((Pg.Constraint c, string? column) in constraints.Where(c => c.Constraint.Contype is Pg.ConstrType.ConstrPrimary or Pg.ConstrType.ConstrUnique)
            .OrderBy(c => c.Constraint.Contype == Pg.ConstrType.ConstrPrimary ? 0 : 1))
        {
            AddUnique(writer, table, c, column);
        }

        foreach ((Pg.Constraint c, string? column) in constraints.Where(c => c.Constraint.Contype == Pg.ConstrType.ConstrForeign))
        {
            AddForeignKey(writer, table, c, column);
        }

        if (constraints.Any(c => c.Constraint.Contype == Pg.ConstrType.ConstrExclusion))
        {
            throw PgException.NotSupported("EXCLUDE");
        }
    }

    private void AddCheck(CatalogWriter writer, Oid table, Pg.Constraint c, string? column)
    {
        SessionCatalog catalog = Session.Refresh(writer);
        Relation relation = catalog.Relation(table)!;
        Expr condition = Session.NewAnalyzer(catalog, Source).AnalyzeCondition(c.RawExpr, relation, "CHECK");
        if (c.Conname.Length == 0 && column is null)
        {
            // A condition on one column takes its name.
            var used = new HashSet<short>();
            condition.ForEach(e => _ = e is VarExpr { Column: > 0 } v && used.Add(v.Column));
            column = used.Count == 1 ? relation.Desc[used.First() - 1].Name : null;
        }

        string name = c.Conname.Length > 0 ? c.Conname : writer.ChooseConstraintName(relation.Name, column, "check", relation.Namespace);
        if (!c.SkipValidation)
        {
            CheckRows(relation, condition, name);
        }

        writer.AddCheck(table, name, new NodeTreeWriter(catalog).Write(condition), !c.SkipValidation, c.IsNoInherit);
    }

    private void CheckRows(Relation relation, Expr condition, string name)
    {
        if (Session.HasNewFiles(relation.Id) && Session.Node.Engine.Buffers.BlockCount(relation.Node, ForkNumber.Main) == 0)
        {
            return;
        }

        (ExecContext context, ExprCompiler compiler, Snapshot snapshot) = Session.NewExecution();
        using (snapshot)
        {
            // The rows of now, whatever the transaction's own snapshot is.
            using Snapshot now = Session.Tx.TakeSnapshot();
            var slot = new Slot { Values = new Datum[relation.Desc.Count] };
            Evaluator test = compiler.Compile(condition, TableWriter.RowEnv(relation, slot));
            using HeapScan scan = new HeapTable(context.Engine, relation).Scan(now);
            while (scan.Next(slot.Values))
            {
                context.Cancel.Check();
                Datum d = test.Eval();
                if (!d.IsNull && !d.Bool)
                {
                    throw new PgException(SqlStates.CheckViolation, $"check constraint \"{name}\" of relation \"{relation.Name}\" is violated by some row")
                    {
                        Table = relation.Name,
                        Constraint = name,
                    };
                }
            }
        }
    }

    private void CheckNoNulls(Relation relation, IReadOnlyList<short> columns)
    {
        (ExecContext context, ExprCompiler _, Snapshot snapshot) = Session.NewExecution();
        using (snapshot)
        {
            using Snapshot now = Session.Tx.TakeSnapshot();
            var row = new Datum[relation.Desc.Count];
            using HeapScan scan = new HeapTable(context.Engine, relation).Scan(now);
            while (scan.Next(row))
            {
                context.Cancel.Check();
                foreach (short c in columns)
                {
                    if (row[c - 1].IsNull)
                    {
                        throw new PgException(SqlStates.NotNullViolation, $"column \"{relation.Desc[c - 1].Name}\" of relation \"{relation.Name}\" contains null values")
                        {
                            Table = relation.Name,
                            Column = relation.Desc[c - 1].Name,
                        };
                    }
                }
            }
        }
    }

    private void AddUnique(CatalogWriter writer, Oid table, Pg.Constraint c, string? column)
    {
        if (c.Indexname.Length > 0)
        {
            throw PgException.NotSupported("a constraint USING INDEX");
        }

        SessionCatalog catalog = Session.Refresh(writer);
        Relation relation = catalog.Relation(table)!;
        bool primary = c.Contype == Pg.ConstrType.ConstrPrimary;
        if (primary && catalog.Indexes(table).Any(i => i.IsPrimary))
        {
            throw new PgException(SqlStates.InvalidTableDefinition, $"multiple primary keys for table \"{relation.Name}\" are not allowed");
        }

        string[] names = column is null ? [.. c.Keys.Select(Text)] : [column];
        short[] columns = KeyColumns(relation, names, c);
        short[] included = [.. c.Including.Select(i => IncludedColumn(relation, i))];
        if (primary)
        {
            short[] nullable = [.. columns.Where(k => !relation.Desc[k - 1].NotNull)];
            if (nullable.Length > 0)
            {
                CheckNoNulls(relation, nullable);
                foreach (short k in nullable)
                {
                    writer.SetNotNull(table, k);
                }
            }
        }

        string name = c.Conname.Length > 0 ? c.Conname
            : primary ? writer.ChooseRelationName(relation.Name, null, "pkey", relation.Namespace)
            : writer.ChooseRelationName(relation.Name, string.Join('_', names.Concat(included.Select(k => relation.Desc[k - 1].Name))), "key", relation.Namespace);
        writer.CreateIndex(new NewIndex
        {
            Name = name,
            Table = table,
            Columns = [.. columns.Select(k => IndexColumn(catalog, relation, k))],
            Included = included,
            Unique = true,
            Primary = primary,
            IsConstraint = true,
            NullsNotDistinct = c.NullsNotDistinct,
            Options = RelationOptions(c.Options, true),
            Tablespace = Tablespace(writer.View, c.Indexspace),
        });
    }

    private short[] KeyColumns(Relation relation, string[] names, Pg.Constraint c)
    {
        var result = new List<short>();
        foreach (string name in names)
        {
            int index = relation.Desc.IndexOf(name);
            if (index < 0)
            {
                throw Error(SqlStates.UndefinedColumn, $"column \"{name}\" named in key does not exist", c.Location);
            }

            if (result.Contains((short)(index + 1)))
            {
                throw Error(SqlStates.DuplicateColumn, $"column \"{name}\" appears twice in {(c.Contype == Pg.ConstrType.ConstrPrimary ? "primary key" : "unique")} constraint", c.Location);
            }

            result.Add((short)(index + 1));
        }

        return [.. result];
    }

    private static short IncludedColumn(Relation relation, Pg.Node node) => ColumnNumber(relation, node.NodeCase == Pg.Node.NodeOneofCase.IndexElem ? node.IndexElem.Name : Text(node));

    private NewIndexColumn IndexColumn(SessionCatalog catalog, Relation relation, short column)
    {
        TupleAttribute a = relation.Desc[column - 1];
        return new NewIndexColumn { Column = column, Collation = a.Collation, OperatorClass = DefaultClass(catalog, a.TypeId).Oid };
    }

    /// <summary>The default btree class of a type, its own or that of a type it is binary-coercible to (GetDefaultOpClass).</summary>
    private PgOpClass DefaultClass(SessionCatalog catalog, Oid type)
    {
        var btree = new Oid(PgOids.BtreeAm);
        Oid baseType = type;
        while (catalog.Type(baseType) is { TypType: 'd' } domain)
        {
            baseType = domain.TypBaseType;
        }

        if (catalog.DefaultOpClass(btree, baseType) is { } own)
        {
            return own;
        }

        PgType row = catalog.Type(baseType)!;
        PgOpClass? preferred = null, any = null;
        foreach (PgOpClass c in catalog.View.OpClassesOf(btree).Where(c => c.OpcDefault))
        {
            bool coercible = catalog.Cast(baseType, c.OpcInType) is { CastMethod: 'b', CastContext: 'i' }
                || (c.OpcInType.Value == PgTypes.AnyArray && row.TypCategory == 'A') || (c.OpcInType.Value == PgTypes.AnyEnum && row.TypType == 'e')
                || (c.OpcInType.Value == PgTypes.Record && row.TypType == 'c');
            if (coercible)
            {
                any ??= c;
                preferred = catalog.Type(c.OpcInType) is { TypIsPreferred: true } ? c : preferred;
            }
        }

        return preferred ?? any ?? throw new PgException(SqlStates.UndefinedObject,
            $"data type {TypeNames.Format(catalog, type, -1, Session.SearchPath(catalog.View))} has no default operator class for access method \"btree\"")
        {
            Hint = "You must specify an operator class for the index or define a default operator class for the data type.",
        };
    }

    private string CreateIndex(Pg.IndexStmt s)
    {
        if (s.Concurrent)
        {
            throw PgException.NotSupported("CREATE INDEX CONCURRENTLY");
        }

        if (s.AccessMethod.Length > 0 && s.AccessMethod != "btree")
        {
            throw PgException.NotSupported($"access method \"{s.AccessMethod}\"");
        }

        PgClass table = Session.Resolve(catalog =>
        {
            PgClass row = Session.NewAnalyzer(catalog, Source).ResolveRelation(s.Relation);
            if (row.RelKind != 'r')
            {
                throw row.RelKind is 'p' or 'm' ? PgException.NotSupported("an index on this kind of table")
                    : new PgException(SqlStates.WrongObjectType, $"cannot create index on relation \"{row.RelName}\"");
            }

            Session.LockRelation(catalog, row.Oid, LockMode.Share);
            return row;
        });
        Session.ChangeCatalogs(writer =>
        {
            var catalog = new SessionCatalog(writer.View);
            Relation relation = catalog.Relation(table.Oid)!;
            if (s.Idxname.Length > 0 && s.IfNotExists && catalog.ClassByName(s.Idxname, relation.Namespace) is not null)
            {
                Session.SendNotice("NOTICE", SqlStates.DuplicateTable, $"relation \"{s.Idxname}\" already exists, skipping");
                return true;
            }

            BuildIndex(writer, catalog, relation, s);
            return true;
        });
        return "CREATE INDEX";
    }
}
