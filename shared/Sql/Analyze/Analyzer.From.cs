using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>The FROM clause (parse_clause.c).</summary>
public sealed partial class Analyzer
{
    private void TransformFrom(Scope scope, IEnumerable<Pg.Node> from)
    {
        foreach (Pg.Node node in from)
        {
            List<NamespaceItem> before = [.. scope.Items];
            (FromItem item, List<NamespaceItem> added) = TransformFromItem(scope, node);
            foreach (NamespaceItem a in added)
            {
                CheckAliasConflict(before, a);
                a.LateralOnly = true;
                a.LateralOk = true;
            }

            scope.Items = [.. before, .. added];
            scope.Query.From.Add(item);
        }

        foreach (NamespaceItem item in scope.Items)
        {
            item.LateralOnly = false;
            item.LateralOk = true;
        }
    }

    private void CheckAliasConflict(List<NamespaceItem> before, NamespaceItem item)
    {
        foreach (NamespaceItem other in before)
        {
            if (item.AliasVisible && other.AliasVisible && item.Alias is not null && item.Alias == other.Alias
                && (item.Schema is null || other.Schema is null || item.Schema == other.Schema))
            {
                throw new PgException(SqlStates.DuplicateAlias, $"table name \"{item.Alias}\" specified more than once");
            }
        }
    }

    private (FromItem Item, List<NamespaceItem> Added) TransformFromItem(Scope scope, Pg.Node node)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        NamespaceItem item;
        switch (node.NodeCase)
        {
            case Pg.Node.NodeOneofCase.RangeVar:
                item = TransformRangeVar(scope, node.RangeVar);
                break;
            case Pg.Node.NodeOneofCase.RangeSubselect:
                item = TransformRangeSubselect(scope, node.RangeSubselect);
                break;
            case Pg.Node.NodeOneofCase.RangeFunction:
                item = TransformRangeFunction(scope, node.RangeFunction);
                break;
            case Pg.Node.NodeOneofCase.JoinExpr:
                return TransformJoin(scope, node.JoinExpr);
            default:
                throw PgException.NotSupported(node.NodeCase.ToString());
        }

        return (new FromEntry(item.Entry), [item]);
    }

    private NamespaceItem TransformRangeVar(Scope scope, Pg.RangeVar range)
    {
        if (range.Schemaname.Length == 0)
        {
            for (Scope? s = scope; s is not null; s = s.Parent)
            {
                if (s.CommonTables.TryGetValue(range.Relname, out CommonTable? table))
                {
                    return AddCommonTable(scope, table, range);
                }
            }
        }

        PgClass row = ResolveRelation(range, true);
        string alias = range.Alias?.Aliasname ?? range.Relname;
        IReadOnlyList<Pg.Node>? names = range.Alias?.Colnames;
        if (row.RelKind == 'v')
        {
            return AddView(scope, row, alias, names);
        }

        Relation relation = OpenTable(row, range.Location, LockMode.AccessShare);
        NamespaceItem item = AddRelation(scope, relation, row, alias, false, names);
        scope.Query.Entry(item.Entry).Lock = LockMode.AccessShare;
        return range.Alias is null ? item : WithoutSchema(item);
    }

    private static NamespaceItem WithoutSchema(NamespaceItem item) => new() { Alias = item.Alias, Columns = item.Columns, Entry = item.Entry };

    private Relation OpenTable(PgClass row, int location, LockMode mode)
    {
        switch (row.RelKind)
        {
            case 'r' or 'm' or 't' or 'S':
                break;
            case 'p':
                throw PgException.NotSupported($"partitioned table \"{row.RelName}\"");
            case 'f':
                throw PgException.NotSupported($"foreign table \"{row.RelName}\"");
            case 'i' or 'I':
                throw _context.Error(SqlStates.WrongObjectType, $"cannot open relation \"{row.RelName}\"", location, detail: "This operation is not supported for indexes.");
            case 'c':
                throw _context.Error(SqlStates.WrongObjectType, $"cannot open relation \"{row.RelName}\"", location, detail: "This operation is not supported for composite types.");
        }

        _context.LockTable?.Invoke(row.Oid, mode);
        return Catalog.Relation(row.Oid) ?? throw _context.Error(SqlStates.UndefinedTable, $"relation \"{row.RelName}\" does not exist", location);
    }

    /// <summary>A relation by its written name.</summary>
    /// <param name="range">The name.</param>
    /// <param name="position">The error tells where it stands, as in queries; commands do not.</param>
    /// <exception cref="PgException">42P01: none of that name.</exception>
    public PgClass ResolveRelation(Pg.RangeVar range, bool position = false) => FindRelation(range)
        ?? throw _context.Error(SqlStates.UndefinedTable,
            $"relation \"{(range.Schemaname.Length > 0 ? range.Schemaname + "." : "")}{range.Relname}\" does not exist", position ? range.Location : -1);

    public PgClass? FindRelation(Pg.RangeVar range)
    {
        if (range.Catalogname.Length > 0 && range.Catalogname != _context.DatabaseName)
        {
            throw _context.Error(SqlStates.FeatureNotSupported,
                $"cross-database references are not implemented: \"{range.Catalogname}.{range.Schemaname}.{range.Relname}\"", range.Location);
        }

        if (range.Schemaname.Length > 0)
        {
            return Catalog.SchemaByName(range.Schemaname) is { } schema ? Catalog.ClassByName(range.Relname, schema.Oid) : null;
        }

        foreach (Oid schema in _context.SearchPath)
        {
            if (Catalog.ClassByName(range.Relname, schema) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    private NamespaceItem AddView(Scope scope, PgClass row, string alias, IReadOnlyList<Pg.Node>? names)
    {
        string tree = Catalog.ViewTree(row.Oid) ?? throw PgException.NotSupported($"view \"{row.RelName}\"");
        Query query = NodeTreeReader.ReadQuery(Catalog, tree);
        var entry = new RangeEntry { Kind = EntryKind.Subquery, Alias = alias, Subquery = query };
        Relation shape = Catalog.Relation(row.Oid) ?? throw PgException.NotSupported($"view \"{row.RelName}\"");
        foreach (TupleAttribute a in shape.Desc.Attributes)
        {
            entry.Columns.Add(new EntryColumn(a.Name, a.TypeId, a.TypeModifier, a.Collation, a.IsDropped));
        }

        return AddEntry(scope, entry, false, names, Catalog.Schema(row.RelNamespace)?.NspName);
    }

    private NamespaceItem AddCommonTable(Scope scope, CommonTable table, Pg.RangeVar range)
    {
        table.References++;
        var entry = new RangeEntry { Kind = EntryKind.CommonTable, Alias = range.Alias?.Aliasname ?? range.Relname, CommonTable = table };
        List<Target> columns = table.Query.Returning ?? table.Query.Targets;
        int i = 0;
        foreach (Target t in columns.Where(t => !t.Junk))
        {
            string name = i < table.Columns.Count ? table.Columns[i] : t.Name;
            entry.Columns.Add(new EntryColumn(name, t.Expr.Type, t.Expr.Typmod, t.Expr.Collation));
            i++;
        }

        return AddEntry(scope, entry, false, range.Alias?.Colnames);
    }

    private NamespaceItem TransformRangeSubselect(Scope scope, Pg.RangeSubselect sub)
    {
        if (sub.Alias is null)
        {
            bool values = sub.Subquery.SelectStmt.ValuesLists.Count > 0;
            throw _context.Error(SqlStates.SyntaxError, values ? "VALUES in FROM must have an alias" : "subquery in FROM must have an alias", NodeLocation(sub.Subquery),
                values ? "For example, FROM (VALUES ...) [AS] foo." : "For example, FROM (SELECT ...) [AS] foo.");
        }

        (bool lateral, ClauseKind clause) = (scope.LateralActive, scope.Clause);
        scope.LateralActive = sub.Lateral;
        scope.Clause = ClauseKind.FromSubquery;
        // Without LATERAL the items to the left are not visible within.
        List<NamespaceItem> saved = scope.Items;
        if (!sub.Lateral)
        {
            scope.Items = [];
        }

        Query query = AnalyzeStatement(sub.Subquery, scope);
        (scope.LateralActive, scope.Clause, scope.Items) = (lateral, clause, saved);
        return AddSubquery(scope, query, sub.Alias.Aliasname, sub.Alias.Colnames, sub.Lateral);
    }

    private NamespaceItem AddSubquery(Scope scope, Query query, string alias, IReadOnlyList<Pg.Node>? names, bool lateral)
    {
        var entry = new RangeEntry { Kind = EntryKind.Subquery, Alias = alias, Subquery = query, Lateral = lateral };
        foreach (Target t in query.Targets)
        {
            if (!t.Junk)
            {
                entry.Columns.Add(new EntryColumn(t.Name, t.Expr.Type, t.Expr.Typmod, t.Expr.Collation));
            }
        }

        return AddEntry(scope, entry, false, names);
    }

    private NamespaceItem TransformRangeFunction(Scope scope, Pg.RangeFunction range)
    {
        if (range.Coldeflist.Count > 0)
        {
            throw PgException.NotSupported("a column definition list");
        }

        (bool lateral, ClauseKind clause) = (scope.LateralActive, scope.Clause);
        scope.LateralActive = true;
        scope.Clause = ClauseKind.FromFunction;
        var functions = new List<FuncExpr>();
        var columns = new List<EntryColumn>();
        string alias = range.Alias?.Aliasname ?? "";
        foreach (Pg.Node node in range.Functions)
        {
            Pg.Node call = node.NodeCase == Pg.Node.NodeOneofCase.List ? node.List.Items[0] : node;
            Expr expr = TransformExpr(scope, call);
            FuncExpr function = expr as FuncExpr ?? AsFunction(expr, call);
            functions.Add(function);
            string name = function.Proc.ProName;
            alias = alias.Length == 0 ? name : alias;
            AddFunctionColumns(function, range.Alias is not null && range.Functions.Count == 1 ? alias : name, columns);
        }

        (scope.LateralActive, scope.Clause) = (lateral, clause);
        if (range.Ordinality)
        {
            columns.Add(new EntryColumn("ordinality", new Oid(PgTypes.Int8), -1, Oid.Invalid));
        }

        var entry = new RangeEntry { Kind = EntryKind.Function, Alias = alias, Lateral = true, Ordinality = range.Ordinality };
        entry.Functions.AddRange(functions);
        entry.Columns.AddRange(columns);
        return AddEntry(scope, entry, false, range.Alias?.Colnames);
    }

    // current_user and other expressions that look like functions.
    private static FuncExpr AsFunction(Expr expr, Pg.Node call)
    {
        _ = call;
        throw PgException.NotSupported($"{expr.GetType().Name} in FROM");
    }

    private void AddFunctionColumns(FuncExpr function, string alias, List<EntryColumn> columns)
    {
        PgProc proc = function.Proc;
        if (proc.ProAllArgTypes is { } all && proc.ProArgModes is { } modes)
        {
            int outs = modes.Count(m => m is 'o' or 'b' or 't');
            for (int i = 0; i < all.Length; i++)
            {
                if (modes[i] is not ('o' or 'b' or 't'))
                {
                    continue;
                }

                string name = outs == 1 ? alias : proc.ProArgNames is { } names && i < names.Length && names[i].Length > 0 ? names[i] : $"column{columns.Count + 1}";
                columns.Add(new EntryColumn(name, outs == 1 ? function.Type : all[i], -1, TypeCollation(all[i])));
            }

            return;
        }

        PgType? type = Catalog.Type(BaseType(function.Type));
        if (type is { TypType: 'c' } && Catalog.Relation(type.TypRelId) is { } shape)
        {
            foreach (TupleAttribute a in shape.Desc.Attributes)
            {
                columns.Add(new EntryColumn(a.Name, a.TypeId, a.TypeModifier, a.Collation, a.IsDropped));
            }
        }
        else if (function.Type.Value == PgTypes.Record)
        {
            throw _context.Error(SqlStates.SyntaxError, "a column definition list is required for functions returning \"record\"", function.Location);
        }
        else
        {
            columns.Add(new EntryColumn(alias, function.Type, function.Typmod, function.Collation));
        }
    }

    private (FromItem Item, List<NamespaceItem> Added) TransformJoin(Scope scope, Pg.JoinExpr join)
    {
        List<NamespaceItem> outside = [.. scope.Items];
        (FromItem left, List<NamespaceItem> leftItems) = TransformFromItem(scope, join.Larg);
        bool lateralOk = join.Jointype is Pg.JoinType.JoinInner or Pg.JoinType.JoinLeft;
        foreach (NamespaceItem item in leftItems)
        {
            (item.LateralOnly, item.LateralOk) = (true, lateralOk);
        }

        scope.Items = [.. outside, .. leftItems];
        (FromItem right, List<NamespaceItem> rightItems) = TransformFromItem(scope, join.Rarg);
        foreach (NamespaceItem item in rightItems)
        {
            CheckAliasConflict(leftItems, item);
        }

        foreach (NamespaceItem item in leftItems.Concat(rightItems))
        {
            (item.LateralOnly, item.LateralOk) = (false, true);
        }

        List<NamespaceColumn> leftColumns = [.. leftItems.Where(i => i.ColumnsVisible).SelectMany(i => i.Columns)];
        List<NamespaceColumn> rightColumns = [.. rightItems.Where(i => i.ColumnsVisible).SelectMany(i => i.Columns)];
        var merged = new List<NamespaceColumn>();
        Expr? condition = join.UsingClause.Count > 0 || join.IsNatural
            ? JoinUsing(join, leftColumns, rightColumns, merged)
            : null;
        if (join.Quals is not null)
        {
            scope.Items = [.. leftItems, .. rightItems];
            ClauseKind clause = scope.Clause;
            bool lateral = scope.LateralActive;
            (scope.Clause, scope.LateralActive) = (ClauseKind.JoinOn, false);
            condition = CoerceToBoolean(TransformExpr(scope, join.Quals), "JOIN/ON");
            (scope.Clause, scope.LateralActive) = (clause, lateral);
        }

        scope.Items = outside;
        List<NamespaceItem> added = JoinNamespace(join, leftItems, rightItems, leftColumns, rightColumns, merged);
        FromItem result = join.Jointype switch
        {
            Pg.JoinType.JoinLeft => new FromJoin(JoinKind.Left, left, right, condition),
            Pg.JoinType.JoinRight => new FromJoin(JoinKind.Left, right, left, condition),
            Pg.JoinType.JoinFull => new FromJoin(JoinKind.Full, left, right, condition),
            _ => new FromJoin(JoinKind.Inner, left, right, condition),
        };
        return (result, added);
    }

    private Expr? JoinUsing(Pg.JoinExpr join, List<NamespaceColumn> left, List<NamespaceColumn> right, List<NamespaceColumn> merged)
    {
        IEnumerable<string> names = join.IsNatural
            ? [.. left.Select(l => l.Name).Where(n => right.Exists(r => r.Name == n))]
            : [.. join.UsingClause.Select(ExprString)];
        var tests = new List<Expr>();
        foreach (string name in names)
        {
            if (merged.Exists(m => m.Name == name))
            {
                throw new PgException(SqlStates.DuplicateColumn, $"column name \"{name}\" appears more than once in USING clause");
            }

            Expr l = OneColumn(left, name, "left"), r = OneColumn(right, name, "right");
            tests.Add(CoerceToBoolean(MakeOperator(["="], l, r, -1), "JOIN/USING"));
            Oid type = CommonType([l, r], "JOIN/USING");
            Expr lc = CoerceToCommon(l, type, "JOIN/USING"), rc = CoerceToCommon(r, type, "JOIN/USING");
            Expr value = join.Jointype switch
            {
                Pg.JoinType.JoinRight => rc,
                Pg.JoinType.JoinFull => new CoalesceExpr(type, [lc, rc]) { Collation = ResultCollation(type, MergeCollations([lc, rc])) },
                _ => lc,
            };
            merged.Add(new NamespaceColumn(name, value));
        }

        return tests.Count == 0 ? null : tests.Count == 1 ? tests[0] : new BoolExpr(BoolOperation.And, [.. tests]);
    }

    private static Expr OneColumn(List<NamespaceColumn> columns, string name, string side)
    {
        List<NamespaceColumn> found = columns.FindAll(c => c.Name == name);
        return found.Count switch
        {
            1 => found[0].Expr,
            0 => throw new PgException(SqlStates.UndefinedColumn, $"column \"{name}\" specified in USING clause does not exist in {side} table"),
            _ => throw new PgException(SqlStates.AmbiguousColumn, $"common column name \"{name}\" appears more than once in {side} table"),
        };
    }

    private List<NamespaceItem> JoinNamespace(Pg.JoinExpr join, List<NamespaceItem> leftItems, List<NamespaceItem> rightItems,
        List<NamespaceColumn> left, List<NamespaceColumn> right, List<NamespaceColumn> merged)
    {
        List<NamespaceColumn> columns =
        [
            .. merged, .. left.Where(l => !merged.Exists(m => m.Name == l.Name)), .. right.Where(r => !merged.Exists(m => m.Name == r.Name)),
        ];
        if (join.Alias is not null)
        {
            for (int i = 0; i < join.Alias.Colnames.Count && i < columns.Count; i++)
            {
                columns[i] = columns[i] with { Name = ExprString(join.Alias.Colnames[i]) };
            }

            // The alias hides the tables within.
            return [new NamespaceItem { Alias = join.Alias.Aliasname, Columns = columns }];
        }

        List<NamespaceItem> result = [];
        foreach (NamespaceItem item in leftItems.Concat(rightItems))
        {
            // Tables stay visible by their names; bare columns come from the join.
            item.ColumnsVisible = false;
            if (item.AliasVisible && item.Alias is not null)
            {
                result.Add(item);
            }
        }

        result.Add(new NamespaceItem { Alias = null, AliasVisible = false, Columns = columns });
        if (join.JoinUsingAlias is not null)
        {
            result.Add(new NamespaceItem { Alias = join.JoinUsingAlias.Aliasname, Columns = [.. merged], ColumnsVisible = false });
        }

        return result;
    }
}
