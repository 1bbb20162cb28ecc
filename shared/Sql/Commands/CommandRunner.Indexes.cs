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

/// <summary>CREATE INDEX and foreign keys (indexcmds.c, tablecmds.c).</summary>
internal sealed partial class CommandRunner
{
    private void BuildIndex(CatalogWriter writer, SessionCatalog catalog, Relation relation, Pg.IndexStmt s)
    {
        Analyzer analyzer = Session.NewAnalyzer(catalog, Source);
        var columns = new List<NewIndexColumn>();
        var expressions = new List<Expr>();
        var names = new List<string>();
        foreach (Pg.IndexElem e in s.IndexParams.Select(p => p.IndexElem))
        {
            NewIndexColumn column = IndexElement(catalog, analyzer, relation, e, expressions);
            names.Add(UniqueName(names, column.Column > 0 ? relation.Desc[column.Column - 1].Name : column.Name!));
            columns.Add(column with { Name = column.Column > 0 ? null : names[^1] });
        }

        Expr? predicate = s.WhereClause is null ? null : analyzer.AnalyzeCondition(s.WhereClause, relation, "WHERE");
        short[] included = [.. s.IndexIncludingParams.Select(i => IncludedColumn(relation, i))];
        string label = string.Join('_', names.Concat(included.Select(i => relation.Desc[i - 1].Name)));
        string name = s.Idxname.Length > 0 ? s.Idxname : writer.ChooseRelationName(relation.Name, label, "idx", relation.Namespace);
        var trees = new NodeTreeWriter(catalog);
        var index = new NewIndex
        {
            Name = name,
            Table = relation.Id,
            Columns = columns,
            Included = included,
            Unique = s.Unique,
            NullsNotDistinct = s.NullsNotDistinct,
            Predicate = predicate is null ? null : trees.Write(predicate),
            Options = RelationOptions(s.Options, true),
            Tablespace = Tablespace(writer.View, s.TableSpace),
        };
        if (predicate is null && expressions.Count == 0)
        {
            writer.CreateIndex(index);
            return;
        }

        (ExecContext _, ExprCompiler compiler, Snapshot snapshot) = Session.NewExecution();
        using (snapshot)
        {
            writer.CreateIndex(index, new IndexExpressions(compiler, relation, expressions, predicate));
        }
    }

    // PostgreSQL numbers columns of the same name: "lower", "lower1".
    private static string UniqueName(List<string> taken, string name)
    {
        string candidate = name;
        for (int i = 1; taken.Contains(candidate); i++)
        {
            candidate = name + i.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        return candidate;
    }

    private NewIndexColumn IndexElement(SessionCatalog catalog, Analyzer analyzer, Relation relation, Pg.IndexElem e, List<Expr> expressions)
    {
        bool descending = e.Ordering == Pg.SortByDir.SortbyDesc;
        bool nullsFirst = e.NullsOrdering switch { Pg.SortByNulls.First => true, Pg.SortByNulls.Last => false, _ => descending };
        Oid type, collation;
        short column = 0;
        Expr? expression = null;
        if (e.Name.Length > 0)
        {
            int index = relation.Desc.IndexOf(e.Name);
            if (index < 0)
            {
                throw new PgException(SqlStates.UndefinedColumn, $"column \"{e.Name}\" does not exist");
            }

            column = (short)(index + 1);
            (type, collation) = (relation.Desc[index].TypeId, relation.Desc[index].Collation);
        }
        else
        {
            expression = analyzer.AnalyzeOver(e.Expr, relation);
            if (expression.Any(x => x is FuncExpr { Proc.ProVolatile: not 'i' } or OpExpr { Proc.ProVolatile: not 'i' } or SqlValueExpr))
            {
                throw new PgException(SqlStates.InvalidObjectDefinition, "functions in index expression must be marked IMMUTABLE");
            }

            expressions.Add(expression);
            (type, collation) = (expression.Type, expression.Collation);
        }

        if (e.Collation.Count > 0)
        {
            collation = analyzer.ResolveCollation([.. e.Collation.Select(Text)], -1);
        }

        Oid operatorClass = e.Opclass.Count > 0 ? NamedClass(catalog, [.. e.Opclass.Select(Text)]).Oid : DefaultClass(catalog, type).Oid;
        return new NewIndexColumn
        {
            Column = column,
            Expression = expression is null ? null : new NodeTreeWriter(catalog).Write(expression),
            ExpressionType = type,
            ExpressionTypeModifier = expression?.Typmod ?? -1,
            Name = expression is null ? null : e.Expr.NodeCase == Pg.Node.NodeOneofCase.FuncCall ? ColumnNames.Of(e.Expr) : "expr",
            Collation = collation,
            OperatorClass = operatorClass,
            Descending = descending,
            NullsFirst = nullsFirst,
        };
    }

    private PgOpClass NamedClass(SessionCatalog catalog, string[] name)
    {
        foreach (PgOpClass c in catalog.View.OpClassesOf(new Oid(PgOids.BtreeAm)))
        {
            bool schema = name.Length > 1 ? catalog.Schema(c.OpcNamespace)?.NspName == name[0] : Session.SearchPath(catalog.View).Contains(c.OpcNamespace);
            if (c.OpcName == name[^1] && schema)
            {
                return c;
            }
        }

        throw new PgException(SqlStates.UndefinedObject, $"operator class \"{string.Join('.', name)}\" does not exist for access method \"btree\"");
    }

    /// <summary>Evaluates expressions and predicate while the index is built.</summary>
    private sealed class IndexExpressions : IIndexExpressions
    {
        private readonly Slot _slot;
        private readonly Evaluator[] _expressions;
        private readonly Evaluator? _predicate;

        public IndexExpressions(ExprCompiler compiler, Relation relation, IReadOnlyList<Expr> expressions, Expr? predicate)
        {
            _slot = new Slot { Values = new Datum[relation.Desc.Count] };
            Env env = TableWriter.RowEnv(relation, _slot);
            _expressions = compiler.CompileAll(expressions, env);
            _predicate = predicate is null ? null : compiler.Compile(predicate, env);
        }

        public bool Accepts(ReadOnlySpan<Datum> row)
        {
            row.CopyTo(_slot.Values);
            return _predicate is null || _predicate.IsTrue();
        }

        public void Evaluate(ReadOnlySpan<Datum> row, Span<Datum> expressions)
        {
            row.CopyTo(_slot.Values);
            for (int i = 0; i < _expressions.Length; i++)
            {
                expressions[i] = _expressions[i].Eval();
            }
        }
    }

    private void AddForeignKey(CatalogWriter writer, Oid table, Pg.Constraint c, string? column)
    {
        SessionCatalog catalog = Session.Refresh(writer);
        Relation child = catalog.Relation(table)!;
        PgClass parentRow = Session.NewAnalyzer(catalog, Source).ResolveRelation(c.Pktable);
        if (parentRow.RelKind != 'r')
        {
            throw new PgException(SqlStates.WrongObjectType, $"referenced relation \"{parentRow.RelName}\" is not a table");
        }

        Session.LockRelation(catalog, parentRow.Oid, LockMode.ShareRowExclusive);
        Relation parent = catalog.Relation(parentRow.Oid)!;
        string[] names = column is null ? [.. c.FkAttrs.Select(Text)] : [column];
        short[] columns = [.. names.Select(n => KeyColumn(child, n))];
        (short[] referenced, IndexInfo index) = FindReferenced(catalog, parent, [.. c.PkAttrs.Select(Text)]);
        if (columns.Length != referenced.Length)
        {
            throw new PgException(SqlStates.InvalidForeignKey, "number of referencing and referenced columns for foreign key disagree");
        }

        string name = c.Conname.Length > 0 ? c.Conname : writer.ChooseConstraintName(child.Name, string.Join('_', names), "fkey", child.Namespace);
        var pf = new Oid[columns.Length];
        var pp = new Oid[columns.Length];
        var ff = new Oid[columns.Length];
        for (int i = 0; i < columns.Length; i++)
        {
            (pf[i], pp[i], ff[i]) = KeyOperators(catalog, index, parent, child, referenced[i], columns[i], name);
        }

        char match = c.FkMatchtype.Length > 0 ? c.FkMatchtype[0] : 's';
        if (!c.SkipValidation)
        {
            CheckForeignKey(child, parent, columns, referenced, name, match);
        }

        writer.AddForeignKey(new NewForeignKey
        {
            Name = name,
            Table = table,
            ReferencedTable = parent.Id,
            Columns = columns,
            ReferencedColumns = referenced,
            ReferencedIndex = index.Relation.Id,
            PfEqOperators = pf,
            PpEqOperators = pp,
            FfEqOperators = ff,
            OnUpdate = Action(c.FkUpdAction),
            OnDelete = Action(c.FkDelAction),
            DeleteSetColumns = c.FkDelSetCols.Count > 0 ? [.. c.FkDelSetCols.Select(n => KeyColumn(child, Text(n)))] : null,
            Match = match == 'p' ? throw PgException.NotSupported("MATCH PARTIAL") : match,
            Validated = !c.SkipValidation,
        });
    }

    private static char Action(string written) => written.Length == 0 ? 'a' : written[0] == 'd' ? throw PgException.NotSupported("SET DEFAULT as a foreign key's action") : written[0];

    private static short KeyColumn(Relation relation, string name)
    {
        int index = relation.Desc.IndexOf(name);
        return index >= 0 ? (short)(index + 1) : throw new PgException(SqlStates.UndefinedColumn, $"column \"{name}\" referenced in foreign key constraint does not exist");
    }

    private static (short[] Columns, IndexInfo Index) FindReferenced(SessionCatalog catalog, Relation parent, string[] names)
    {
        if (names.Length == 0)
        {
            IndexInfo primary = catalog.Indexes(parent.Id).FirstOrDefault(i => i.IsPrimary)
                ?? throw new PgException(SqlStates.UndefinedObject, $"there is no primary key for referenced table \"{parent.Name}\"");
            return ([.. primary.Columns.Take(primary.KeyCount).Select(c => c.HeapAttribute)], primary);
        }

        short[] columns = [.. names.Select(n => KeyColumn(parent, n))];
        foreach (IndexInfo index in catalog.Indexes(parent.Id))
        {
            if (index.IsUnique && index.IsValid && index.IsImmediate && !index.HasExpressions && !index.HasPredicate && index.KeyCount == columns.Length
                && columns.All(c => index.Columns.Take(index.KeyCount).Any(k => k.HeapAttribute == c)))
            {
                return (columns, index);
            }
        }

        throw new PgException(SqlStates.InvalidForeignKey, $"there is no unique constraint matching given keys for referenced table \"{parent.Name}\"");
    }

    private (Oid Pf, Oid Pp, Oid Ff) KeyOperators(SessionCatalog catalog, IndexInfo index, Relation parent, Relation child, short referenced, short column, string name)
    {
        IndexColumn key = index.Columns.First(k => k.HeapAttribute == referenced);
        Oid pkType = key.InputType, fkType = child.Desc[column - 1].TypeId;
        Oid Operator(Oid left, Oid right) => catalog.View.OperatorOfFamily(key.OperatorFamily, left, right, 3);
        Oid pp = Operator(pkType, pkType), pf = Operator(pkType, fkType), ff = Operator(fkType, fkType);
        if (!pf.IsValid || !ff.IsValid)
        {
            // A type that is implicitly the index's own (varchar for text).
            if (fkType != parent.Desc[referenced - 1].TypeId && catalog.Cast(fkType, pkType) is not { CastContext: 'i' })
            {
                string Type(Oid t) => TypeNames.Format(catalog, t, -1, Session.SearchPath(catalog.View));
                throw new PgException(SqlStates.DatatypeMismatch, $"foreign key constraint \"{name}\" cannot be implemented")
                {
                    Detail = $"Key columns \"{child.Desc[column - 1].Name}\" and \"{parent.Desc[referenced - 1].Name}\" are of incompatible types: {Type(fkType)} and {Type(parent.Desc[referenced - 1].TypeId)}.",
                };
            }

            pf = ff = pp;
        }

        return (pf, pp, ff);
    }

    /// <summary>Each key of the child must be among the parent's (RI_Initial_Check).</summary>
    private void CheckForeignKey(Relation child, Relation parent, short[] columns, short[] referenced, string name, char match)
    {
        (ExecContext context, ExprCompiler compiler, Snapshot snapshot) = Session.NewExecution();
        using (snapshot)
        {
            using Snapshot now = Session.Tx.TakeSnapshot();
            Types.PgType[] types = [.. referenced.Select(r => compiler.TypeOf(parent.Desc[r - 1].TypeId))];
            var keys = new HashSet<Datum[]>(new KeyComparer(types));
            var row = new Datum[parent.Desc.Count];
            using (HeapScan scan = new HeapTable(context.Engine, parent).Scan(now))
            {
                scan.Wanted = Wanted(parent, referenced);
                while (scan.Next(row))
                {
                    context.Cancel.Check();
                    keys.Add([.. referenced.Select(r => row[r - 1])]);
                }
            }

            row = new Datum[child.Desc.Count];
            var key = new Datum[columns.Length];
            using HeapScan rows = new HeapTable(context.Engine, child).Scan(now);
            rows.Wanted = Wanted(child, columns);
            while (rows.Next(row))
            {
                context.Cancel.Check();
                int nulls = 0;
                for (int i = 0; i < key.Length; i++)
                {
                    key[i] = row[columns[i] - 1];
                    nulls += key[i].IsNull ? 1 : 0;
                }

                bool bad = nulls == 0 ? !keys.Contains(key) : match == 'f' && nulls < key.Length;
                if (bad)
                {
                    string columnNames = string.Join(", ", columns.Select(c => child.Desc[c - 1].Name));
                    string values = string.Join(", ", key.Select((k, i) => k.IsNull ? "null" : compiler.TypeOf(child.Desc[columns[i] - 1].TypeId).OutputText(k, context.Eval)));
                    throw new PgException(SqlStates.ForeignKeyViolation, $"insert or update on table \"{child.Name}\" violates foreign key constraint \"{name}\"")
                    {
                        Detail = nulls > 0 ? "MATCH FULL does not allow mixing of null and nonnull key values." : $"Key ({columnNames})=({values}) is not present in table \"{parent.Name}\".",
                        Table = child.Name,
                        Constraint = name,
                    };
                }
            }
        }
    }

    private static bool[] Wanted(Relation relation, short[] columns)
    {
        var wanted = new bool[relation.Desc.Count];
        foreach (short c in columns)
        {
            wanted[c - 1] = true;
        }

        return wanted;
    }
}
