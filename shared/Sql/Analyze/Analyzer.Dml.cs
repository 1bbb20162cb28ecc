using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>INSERT, UPDATE, DELETE (analyze.c).</summary>
public sealed partial class Analyzer
{
    private Relation OpenTarget(Pg.RangeVar range, string verb, out PgClass row)
    {
        row = ResolveRelation(range, true);
        if (row.RelKind is 'v')
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, $"cannot {verb} view \"{row.RelName}\"")
            {
                Detail = "Views that are changed through are not supported yet.",
            };
        }

        if (row.RelKind is 'S')
        {
            throw _context.Error(SqlStates.WrongObjectType, $"cannot change sequence \"{row.RelName}\"", -1);
        }

        if (row.RelKind is 'm')
        {
            throw _context.Error(SqlStates.WrongObjectType, $"cannot change materialized view \"{row.RelName}\"", -1);
        }

        if (row.RelHasRules)
        {
            throw PgException.NotSupported($"a rule on table \"{row.RelName}\"");
        }

        return OpenTable(row, range.Location, LockMode.RowExclusive);
    }

    private NamespaceItem AddTarget(Scope scope, Relation table, PgClass row, Pg.RangeVar range)
    {
        NamespaceItem item = AddRelation(scope, table, row, range.Alias?.Aliasname ?? range.Relname, false, range.Alias?.Colnames);
        RangeEntry entry = scope.Query.Entry(item.Entry);
        entry.Lock = LockMode.RowExclusive;
        scope.Query.ResultEntry = item.Entry;
        return range.Alias is null ? item : WithoutSchema(item);
    }

    private Query AnalyzeInsert(Pg.InsertStmt s, Scope? parent)
    {
        if (s.OnConflictClause is not null)
        {
            throw PgException.NotSupported("ON CONFLICT");
        }

        var query = new Query { Kind = QueryKind.Insert };
        var scope = new Scope(query, parent);
        AddWith(scope, s.WithClause);
        Relation table = OpenTarget(s.Relation, "insert into", out PgClass row);
        List<short> columns = InsertColumns(table, s);
        NamespaceItem target = AddTarget(scope, table, row, s.Relation);
        query.NewValues = new Expr?[table.Desc.Count];
        if (s.SelectStmt is null)
        {
            columns.Clear();
        }
        else
        {
            bool single = s.SelectStmt.SelectStmt is { ValuesLists.Count: > 0, SortClause.Count: 0, LimitCount: null, LimitOffset: null, WithClause: null };
            if (single)
            {
                InsertValues(scope, s.SelectStmt.SelectStmt, table, columns, s);
            }
            else
            {
                InsertSelect(scope, s.SelectStmt, table, columns, s);
            }
        }

        FillDefaults(query, table, s.Override);
        scope.Items = [target];
        query.Returning = AnalyzeReturning(scope, s.ReturningList);
        return query;
    }

    private List<short> InsertColumns(Relation table, Pg.InsertStmt s)
    {
        var result = new List<short>();
        if (s.Cols.Count == 0)
        {
            for (short i = 1; i <= table.Desc.Count; i++)
            {
                if (!table.Desc[i - 1].IsDropped)
                {
                    result.Add(i);
                }
            }

            return result;
        }

        foreach (Pg.Node node in s.Cols)
        {
            Pg.ResTarget r = node.ResTarget;
            short number = FindTargetColumn(table, r);
            result.Add(result.Contains(number)
                ? throw _context.Error(SqlStates.DuplicateColumn, $"column \"{r.Name}\" specified more than once", r.Location)
                : number);
        }

        return result;
    }

    private short FindTargetColumn(Relation table, Pg.ResTarget r)
    {
        if (r.Indirection.Count > 0)
        {
            throw PgException.NotSupported("assignment to an array element or field");
        }

        int index = table.Desc.IndexOf(r.Name);
        if (index >= 0)
        {
            return (short)(index + 1);
        }

        throw SystemColumns.Any(c => c.Name == r.Name)
            ? _context.Error(SqlStates.FeatureNotSupported, $"cannot assign to system column \"{r.Name}\"", r.Location)
            : _context.Error(SqlStates.UndefinedColumn, $"column \"{r.Name}\" of relation \"{table.Name}\" does not exist", r.Location);
    }

    private void CheckInsertWidth(int values, List<short> columns, Pg.InsertStmt s, int location)
    {
        if (values > columns.Count)
        {
            throw _context.Error(SqlStates.SyntaxError, "INSERT has more expressions than target columns", location);
        }

        if (values < columns.Count && s.Cols.Count > 0)
        {
            throw _context.Error(SqlStates.SyntaxError, "INSERT has more target columns than expressions", s.Cols[values].ResTarget.Location);
        }
    }

    private void InsertValues(Scope scope, Pg.SelectStmt values, Relation table, List<short> columns, Pg.InsertStmt s)
    {
        scope.Clause = values.ValuesLists.Count == 1 ? ClauseKind.InsertTarget : ClauseKind.Values;
        List<Expr[]> rows = ValuesRows(scope, values, true);
        CheckInsertWidth(rows[0].Length, columns, s, rows[0].Length > columns.Count ? NodeLocation(values.ValuesLists[0].List.Items[columns.Count]) : -1);
        for (int r = 0; r < rows.Count; r++)
        {
            for (int i = 0; i < rows[r].Length; i++)
            {
                TupleAttribute a = table.Desc[columns[i] - 1];
                CheckGenerated(a, rows[r][i] is DefaultExpr, s.Override, rows[r][i].Location);
                rows[r][i] = rows[r][i] is DefaultExpr
                    ? DefaultOf(table, columns[i])
                    : CoerceForAssignment(rows[r][i], a.TypeId, a.TypeModifier, a.Name, NodeLocation(values.ValuesLists[r].List.Items[i]));
            }
        }

        if (rows.Count == 1)
        {
            for (int i = 0; i < rows[0].Length; i++)
            {
                scope.Query.NewValues[columns[i] - 1] = rows[0][i];
            }

            return;
        }

        var entry = new RangeEntry { Kind = EntryKind.Values, Alias = "*VALUES*" };
        for (int i = 0; i < rows[0].Length; i++)
        {
            TupleAttribute a = table.Desc[columns[i] - 1];
            entry.Columns.Add(new EntryColumn($"column{i + 1}", a.TypeId, a.TypeModifier, a.Collation));
        }

        entry.Values.AddRange(rows);
        TakeFrom(scope, AddEntry(scope, entry, false), columns);
    }

    private static void TakeFrom(Scope scope, NamespaceItem source, List<short> columns)
    {
        scope.Query.From.Add(new FromEntry(source.Entry));
        for (int i = 0; i < source.Columns.Count; i++)
        {
            scope.Query.NewValues[columns[i] - 1] = source.Columns[i].Expr;
        }
    }

    private void InsertSelect(Scope scope, Pg.Node select, Relation table, List<short> columns, Pg.InsertStmt s)
    {
        List<NamespaceItem> saved = scope.Items;
        scope.Items = [];
        Query source = AnalyzeStatement(select, scope);
        scope.Items = saved;
        List<Target> targets = source.Targets.FindAll(t => !t.Junk);
        CheckInsertWidth(targets.Count, columns, s, targets.Count > columns.Count ? ExprLocation(targets[columns.Count].Expr) : -1);
        NamespaceItem item = AddSubquery(scope, source, "*SELECT*", null, false);
        scope.Query.From.Add(new FromEntry(item.Entry));
        for (int i = 0; i < targets.Count; i++)
        {
            TupleAttribute a = table.Desc[columns[i] - 1];
            CheckGenerated(a, false, s.Override, -1);
            Expr value = item.Columns[i].Expr;
            // A bare literal takes the column's type directly.
            if (targets[i].Expr is ConstExpr { Type.Value: PgTypes.Text } literal && a.TypeId.Value != PgTypes.Text && IsLiteralTarget(select, i))
            {
                value = new ConstExpr(literal.Value, new Oid(PgTypes.Unknown)) { Location = literal.Location };
            }

            scope.Query.NewValues[columns[i] - 1] = CoerceForAssignment(value, a.TypeId, a.TypeModifier, a.Name, ExprLocation(targets[i].Expr));
        }
    }

    private static bool IsLiteralTarget(Pg.Node select, int index)
    {
        Pg.SelectStmt s = select.SelectStmt;
        return s.TargetList.Count > index && s.DistinctClause.Count == 0 && s.TargetList[index].ResTarget.Val is { NodeCase: Pg.Node.NodeOneofCase.AConst };
    }

    private void CheckGenerated(TupleAttribute a, bool isDefault, Pg.OverridingKind overriding, int location)
    {
        if (isDefault)
        {
            return;
        }

        if (a.Identity == 'a' && overriding != Pg.OverridingKind.OverridingSystemValue)
        {
            throw _context.Error("428C9", $"cannot insert a non-DEFAULT value into column \"{a.Name}\"", location, "Use OVERRIDING SYSTEM VALUE to override.",
                $"Column \"{a.Name}\" is an identity column defined as GENERATED ALWAYS.");
        }

        if (a.Generated != '\0')
        {
            throw _context.Error("428C9", $"cannot insert a non-DEFAULT value into column \"{a.Name}\"", location, detail: $"Column \"{a.Name}\" is a generated column.");
        }
    }

    private void FillDefaults(Query query, Relation table, Pg.OverridingKind overriding)
    {
        for (int i = 0; i < query.NewValues.Length; i++)
        {
            TupleAttribute a = table.Desc[i];
            if (a.Generated != '\0')
            {
                throw PgException.NotSupported($"generated column \"{a.Name}\"");
            }

            if (query.NewValues[i] is null || (a.Identity == 'd' && overriding == Pg.OverridingKind.OverridingUserValue))
            {
                query.NewValues[i] = a.IsDropped ? NullConst(new Oid(PgTypes.Int4)) : DefaultOf(table, (short)(i + 1));
            }
        }
    }

    /// <summary>What a column holds when nothing is said: its default, or null.</summary>
    public Expr ColumnDefault(Relation table, short column) => DefaultOf(table, column);

    /// <summary>The default expression of a column; null when it has none (rewriteHandler.c build_column_default).</summary>
    private Expr DefaultOf(Relation table, short column)
    {
        TupleAttribute a = table.Desc[column - 1];
        if (a.Identity != '\0')
        {
            throw PgException.NotSupported($"identity column \"{a.Name}\"");
        }

        string? tree = a.HasDefault ? Catalog.DefaultTree(table.Id, column) : null;
        if (tree is not null)
        {
            Expr value = NodeTreeReader.ReadExpr(Catalog, tree);
            return CoerceTo(value, a.TypeId, a.TypeModifier, CoercionContext.Assignment, CallForm.ImplicitCast, -1)
                ?? throw new PgException(SqlStates.DatatypeMismatch, $"column \"{a.Name}\" is of type {FormatType(a.TypeId)} but default expression is of type {FormatType(value.Type)}");
        }

        Expr none = NullConst(a.TypeId, a.TypeModifier);
        none.Collation = a.Collation;
        return Catalog.Type(a.TypeId) is { TypType: 'd' } ? new DomainExpr(none, a.TypeId, a.TypeModifier) : none;
    }

    private Query AnalyzeUpdate(Pg.UpdateStmt s, Scope? parent)
    {
        var query = new Query { Kind = QueryKind.Update };
        var scope = new Scope(query, parent);
        AddWith(scope, s.WithClause);
        Relation table = OpenTarget(s.Relation, "update", out PgClass row);
        NamespaceItem target = AddTarget(scope, table, row, s.Relation);
        TransformTargetFrom(scope, target, s.FromClause);
        query.Where = TransformWhere(scope, s.WhereClause, ClauseKind.Where, "WHERE");
        query.NewValues = new Expr?[table.Desc.Count];
        scope.Clause = ClauseKind.UpdateTarget;
        scope.AllowDefault = true;
        Pg.Node? rowSource = null;
        Expr[] rowValues = [];
        foreach (Pg.Node node in s.TargetList)
        {
            Pg.ResTarget r = node.ResTarget;
            short number = FindTargetColumn(table, r);
            TupleAttribute a = table.Desc[number - 1];
            if (query.NewValues[number - 1] is not null)
            {
                throw _context.Error(SqlStates.SyntaxError, $"multiple assignments to same column \"{r.Name}\"", r.Location);
            }

            Expr value;
            if (r.Val.NodeCase == Pg.Node.NodeOneofCase.MultiAssignRef)
            {
                Pg.MultiAssignRef m = r.Val.MultiAssignRef;
                if (m.Colno == 1)
                {
                    (rowSource, rowValues) = (m.Source, MultiAssignment(scope, m));
                }

                _ = rowSource;
                value = rowValues[m.Colno - 1];
            }
            else
            {
                value = TransformExpr(scope, r.Val);
            }

            if (a.Generated != '\0' || (a.Identity == 'a' && value is not DefaultExpr))
            {
                throw _context.Error("428C9", $"column \"{a.Name}\" can only be updated to DEFAULT", r.Location,
                    detail: a.Generated != '\0' ? $"Column \"{a.Name}\" is a generated column." : $"Column \"{a.Name}\" is an identity column defined as GENERATED ALWAYS.");
            }

            query.NewValues[number - 1] = value is DefaultExpr ? DefaultOf(table, number) : CoerceForAssignment(value, a.TypeId, a.TypeModifier, a.Name, NodeLocation(r.Val));
        }

        scope.AllowDefault = false;
        query.Returning = AnalyzeReturning(scope, s.ReturningList);
        return query;
    }

    private Expr[] MultiAssignment(Scope scope, Pg.MultiAssignRef m)
    {
        if (m.Source.NodeCase == Pg.Node.NodeOneofCase.RowExpr)
        {
            return m.Source.RowExpr.Args.Count == m.Ncolumns
                ? [.. m.Source.RowExpr.Args.Select(a => TransformExpr(scope, a))]
                : throw _context.Error(SqlStates.SyntaxError, "number of columns does not match number of values", m.Source.RowExpr.Location);
        }

        throw PgException.NotSupported("assignment of a subquery's row to several columns");
    }

    private void TransformTargetFrom(Scope scope, NamespaceItem target, IEnumerable<Pg.Node> from)
    {
        scope.Items = [target];
        target.LateralOnly = false;
        // The target is the first of the FROM list; it is not visible within the others without LATERAL.
        TransformFrom(scope, from);
        scope.Query.From.Insert(0, new FromEntry(target.Entry));
    }

    private Query AnalyzeDelete(Pg.DeleteStmt s, Scope? parent)
    {
        var query = new Query { Kind = QueryKind.Delete };
        var scope = new Scope(query, parent);
        AddWith(scope, s.WithClause);
        Relation table = OpenTarget(s.Relation, "delete from", out PgClass row);
        NamespaceItem target = AddTarget(scope, table, row, s.Relation);
        TransformTargetFrom(scope, target, s.UsingClause);
        query.Where = TransformWhere(scope, s.WhereClause, ClauseKind.Where, "WHERE");
        query.Returning = AnalyzeReturning(scope, s.ReturningList);
        return query;
    }

    private List<Target>? AnalyzeReturning(Scope scope, IReadOnlyList<Pg.Node> list)
    {
        if (list.Count == 0)
        {
            return null;
        }

        scope.Clause = ClauseKind.Returning;
        List<Target> targets = TransformTargets(scope, list);
        foreach (Target t in targets)
        {
            t.Expr = ResolveUnknown(t.Expr);
        }

        return targets;
    }
}
