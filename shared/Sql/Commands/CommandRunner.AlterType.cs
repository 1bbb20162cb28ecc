using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Dml;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Nodes;
using SharedStorage.Sql.Parse;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>ALTER COLUMN TYPE and the rewrite of rows (ATExecAlterColumnType, ATRewriteTable of tablecmds.c).</summary>
internal sealed partial class CommandRunner
{
    /// <summary>An index or constraint that goes while its column changes and is made again from its definition.</summary>
    private sealed record Rebuilt(Oid Table, string Sql, string Name, bool IsIndex, bool IsForeignKey, bool IsClustered, string? Comment);

    private void AlterColumnType(CatalogWriter writer, Alteration work, SessionCatalog catalog, Relation relation, Pg.AlterTableCmd command)
    {
        short number = ColumnNumber(relation, command.Name);
        TupleAttribute column = relation.Desc[number - 1];
        if (work.NewValues.Any(v => v.Column == number))
        {
            throw new PgException(SqlStates.FeatureNotSupported, $"cannot alter type of column \"{column.Name}\" twice");
        }

        if (column.Generated is not '\0' || column.Identity is not '\0')
        {
            throw PgException.NotSupported("ALTER COLUMN TYPE of a generated or identity column");
        }

        Pg.ColumnDef definition = command.Def.ColumnDef;
        Analyzer analyzer = Session.NewAnalyzer(catalog, Source);
        (Oid type, int typmod) = analyzer.ResolveType(definition.TypeName);
        PgType row = catalog.Type(type)!;
        if (row.TypType == 'p')
        {
            throw Error(SqlStates.InvalidTableDefinition, $"column \"{column.Name}\" has pseudo-type {analyzer.FormatType(type)}", -1);
        }

        Oid collation = definition.CollClause is { } clause ? analyzer.ResolveCollation([.. clause.Collname.Select(Text)], clause.Location) : row.TypCollation;
        Expr value = analyzer.AnalyzeConversion(definition.RawDefault, work.Before, number, type, typmod);
        work.NewValues.Add((number, value));

        // A value that rows do not hold yet (attmissingval) is of the old type: rows get it now.
        work.Rewrites |= column.Missing is not null || RequiresRewrite(catalog, value, number);

        NodeValue? initial = null;
        if (catalog.DefaultTree(relation.Id, number) is { } tree)
        {
            initial = new NodeTreeWriter(catalog).Write(analyzer.ConvertDefault(NodeTreeReader.ReadExpr(catalog, tree), type, typmod, column.Name));
        }

        TakeDependents(writer, work, catalog, relation, number);
        if (initial is not null)
        {
            writer.SetDefault(relation.Id, number, null);
        }

        writer.SetColumnType(relation.Id, number, type, typmod, collation, (short)definition.TypeName.ArrayBounds.Count);
        if (initial is not null)
        {
            writer.SetDefault(relation.Id, number, initial);
        }
    }

    /// <summary>The new value's bytes differ from the old one's (ATColumnChangeRequiresRewrite), or may.</summary>
    private static bool RequiresRewrite(SessionCatalog catalog, Expr e, short column) => e switch
    {
        VarExpr v => v.Column != column,
        RelabelExpr r => RequiresRewrite(catalog, r.Arg, column),
        // A longer limit, or none, changes no value (varchar_support, numeric_support).
        FuncExpr { Proc.ProSrc: "varchar", Args: [{ } arg, ConstExpr { Value: var limit }, ..] } =>
            !(limit.Int32 < 0 || (arg.Typmod >= 0 && arg.Typmod <= limit.Int32)) || RequiresRewrite(catalog, arg, column),
        FuncExpr { Proc.ProSrc: "numeric", Args: [{ } arg, ConstExpr { Value: var limit }] } =>
            !(limit.Int32 < 0 || (arg.Typmod >= 0 && ((arg.Typmod - 4) & 0x7FF) == ((limit.Int32 - 4) & 0x7FF) && arg.Typmod <= limit.Int32))
                || RequiresRewrite(catalog, arg, column),
        _ => true,
    };

    /// <summary>Removes the indexes and constraints over the column, and notes how to make them again.</summary>
    private void TakeDependents(CatalogWriter writer, Alteration work, SessionCatalog catalog, Relation relation, short column)
    {
        var going = new List<ObjectAddress>();
        foreach (PgDepend d in writer.View.Search(SystemCatalogs.Depend, SystemCatalogs.Depend.IndexOn("refclassid", "refobjid", "refobjsubid"),
            Datum.FromOid(SystemCatalogs.Class.Id), Datum.FromOid(relation.Id), Datum.FromInt32(column)).Select(r => r.Row))
        {
            var dependent = new ObjectAddress(d.ClassId, d.ObjId, d.ObjSubId);
            if (going.Contains(dependent) || d.ClassId == SystemCatalogs.AttrDef.Id)
            {
                continue;
            }

            if (d.ClassId == SystemCatalogs.Class.Id && catalog.Class(d.ObjId) is { RelKind: 'i' or 'S' } other)
            {
                if (other.RelKind == 'i')
                {
                    going.Add(dependent);
                    work.Rebuilt.Add(NoteIndex(catalog, relation, other));
                }
            }
            else if (d.ClassId == SystemCatalogs.Constraint.Id && catalog.View.ConstraintById(d.ObjId) is { } constraint)
            {
                going.Add(dependent);
                Session.LockRelation(catalog, constraint.ConRelId, LockMode.AccessExclusive);
                work.Rebuilt.Add(NoteConstraint(catalog, constraint));
            }
            else
            {
                string what = d.ClassId == SystemCatalogs.Rewrite.Id ? "view or rule" : d.ClassId == SystemCatalogs.Trigger.Id ? "trigger definition" : "";
                throw what.Length == 0 ? PgException.NotSupported($"ALTER COLUMN TYPE with {writer.Describe(dependent)}")
                    : new PgException(SqlStates.FeatureNotSupported, $"cannot alter type of a column used by a {what}")
                    {
                        Detail = $"{writer.Describe(dependent)} depends on column \"{relation.Desc[column - 1].Name}\"",
                    };
            }
        }

        if (going.Count > 0)
        {
            writer.Drop(going, cascade: false);
        }
    }

    private Rebuilt NoteIndex(SessionCatalog catalog, Relation relation, PgClass index)
    {
        string sql = Session.EvalContext.Catalogs.IndexDefinition(index.Oid, 0, pretty: false)!;
        return new Rebuilt(relation.Id, sql, index.RelName, true, false, catalog.IndexRow(index.Oid)!.IndIsClustered, catalog.View.CommentOn(SystemCatalogs.Class.Id, index.Oid, 0));
    }

    private Rebuilt NoteConstraint(SessionCatalog catalog, PgConstraint c)
    {
        PgClass table = catalog.Class(c.ConRelId)!;
        bool isIndex = c.ConType is 'p' or 'u';
        if (isIndex && catalog.Class(c.ConIndId)!.RelOptions is not null)
        {
            throw PgException.NotSupported("ALTER COLUMN TYPE under a constraint whose index has storage parameters");
        }

        string name = $"{TypeNames.Quote(catalog.Schema(table.RelNamespace)!.NspName)}.{TypeNames.Quote(table.RelName)}";
        string sql = $"ALTER TABLE {name} ADD CONSTRAINT {TypeNames.Quote(c.ConName)} {Session.EvalContext.Catalogs.ConstraintDefinition(c.Oid, pretty: false)}";
        return new Rebuilt(c.ConRelId, sql, c.ConName, false, c.ConType == 'f', isIndex && catalog.IndexRow(c.ConIndId)!.IndIsClustered,
            catalog.View.CommentOn(SystemCatalogs.Constraint.Id, c.Oid, 0));
    }

    /// <summary>Makes rows anew or looks at them, then makes again what had to go meanwhile. Does nothing the second time.</summary>
    private void FinishRows(CatalogWriter writer, Alteration work)
    {
        writer.NextCommand();
        if (work.NewValues.Count > 0)
        {
            CheckRowTypeUnused(writer, work.Table);
        }

        if (work.Rewrites)
        {
            RewriteRows(writer, work);
        }
        else if (work.CheckNotNull.Count > 0)
        {
            CheckNoNulls(Session.Refresh(writer).Relation(work.Table.Oid)!, work.CheckNotNull);
        }

        work.Rewrites = false;
        work.NewValues.Clear();
        work.CheckNotNull.Clear();
        foreach (Rebuilt r in work.Rebuilt.OrderBy(r => r.IsForeignKey))
        {
            MakeAgain(writer, r);
        }

        work.Rebuilt.Clear();
    }

    private void MakeAgain(CatalogWriter writer, Rebuilt r)
    {
        RawStatement raw = SqlParser.Parse(r.Sql)[0];
        var runner = new CommandRunner(Session, raw.Source, Sink);
        SessionCatalog catalog = Session.Refresh(writer);
        if (r.IsIndex)
        {
            runner.BuildIndex(writer, catalog, catalog.Relation(r.Table)!, raw.Tree.IndexStmt);
        }
        else
        {
            runner.AddConstraints(writer, r.Table, [(raw.Tree.AlterTableStmt.Cmds[0].AlterTableCmd.Def.Constraint, null)]);
        }

        writer.NextCommand();
        if (r.IsClustered)
        {
            writer.MarkClustered(r.Table, writer.View.ClassByName(r.Name, writer.View.ClassById(r.Table)!.RelNamespace)!.Oid);
        }

        if (r.Comment is { } text)
        {
            ObjectAddress address = r.IsIndex ? ObjectAddress.Relation(writer.View.ClassByName(r.Name, writer.View.ClassById(r.Table)!.RelNamespace)!.Oid)
                : ObjectAddress.Constraint(writer.View.GetConstraints(r.Table).First(c => c.ConName == r.Name).Oid);
            writer.Comment(address, text);
        }
    }

    /// <summary>Values of the table's row type may be stored elsewhere, and would not change with it (find_composite_type_dependencies).</summary>
    private static void CheckRowTypeUnused(CatalogWriter writer, PgClass table)
    {
        PgType type = writer.View.TypeById(table.RelType)!;
        foreach (Oid used in new[] { type.Oid, type.TypArray }.Where(t => t.IsValid))
        {
            foreach (PgDepend d in writer.View.Search(SystemCatalogs.Depend, SystemCatalogs.Depend.IndexOn("refclassid", "refobjid", "refobjsubid"),
                Datum.FromOid(SystemCatalogs.Type.Id), Datum.FromOid(used)).Select(r => r.Row))
            {
                if (d.ClassId == SystemCatalogs.Class.Id && d.ObjSubId > 0)
                {
                    string column = writer.View.GetAttributes(d.ObjId)[d.ObjSubId - 1].AttName;
                    throw new PgException(SqlStates.FeatureNotSupported,
                        $"cannot alter table \"{table.RelName}\" because column \"{writer.View.ClassById(d.ObjId)!.RelName}.{column}\" uses its row type");
                }
            }
        }
    }

    private void RewriteRows(CatalogWriter writer, Alteration work)
    {
        Oid table = work.Table.Oid;
        Oid transient = writer.MakeNewHeap(table);
        SessionCatalog catalog = Session.Refresh(writer);
        Relation target = catalog.Relation(transient)!, after = catalog.Relation(table)!;
        (ExecContext context, ExprCompiler compiler, Snapshot snapshot) = Session.NewExecution();
        using (snapshot)
        {
            // The rows of now, whatever the transaction's own snapshot is; an older one sees none of them afterwards, as on PostgreSQL.
            using Snapshot now = Session.Tx.TakeSnapshot();
            var slot = new Slot { Values = new Datum[work.Before.Desc.Count] };
            Env env = TableWriter.RowEnv(work.Before, slot);
            (int Index, Evaluator Value)[] values = [.. work.NewValues.Select(v => (v.Column - 1, compiler.Compile(v.Value, env)))];
            var row = new Datum[after.Desc.Count];
            var heap = new HeapTable(context.Engine, target);
            using HeapScan scan = new HeapTable(context.Engine, work.Before).Scan(now);
            while (scan.Next(slot.Values))
            {
                context.Cancel.Check();
                FillRow(row, slot.Values, after.Desc);
                foreach ((int index, Evaluator value) in values)
                {
                    row[index] = value.Eval();
                }

                CheckNotNull(after, row);
                heap.Insert(Session.Tx, row, HeapInsertOptions.SkipFsm);
            }
        }

        using var expressions = new IndexExpressionCompiler(this, writer);
        writer.FinishRewrite(table, transient, expressions.For);
        Session.NoteNewFiles(table);
    }

    /// <summary>The old row's values; a new column has its missing value.</summary>
    private static void FillRow(Datum[] row, Datum[] old, TupleDesc desc)
    {
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = desc[i].IsDropped ? Datum.Null : i < old.Length ? old[i] : desc[i].Missing ?? Datum.Null;
        }
    }

    private static void CheckNotNull(Relation table, Datum[] row)
    {
        for (int i = 0; i < row.Length; i++)
        {
            if (row[i].IsNull && table.Desc[i].NotNull && !table.Desc[i].IsDropped)
            {
                throw new PgException(SqlStates.NotNullViolation, $"column \"{table.Desc[i].Name}\" of relation \"{table.Name}\" contains null values")
                {
                    Table = table.Name,
                    Column = table.Desc[i].Name,
                };
            }
        }
    }
}
