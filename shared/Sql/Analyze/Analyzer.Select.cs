using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>SELECT (analyze.c transformSelectStmt, parse_clause.c).</summary>
public sealed partial class Analyzer
{
    private Query AnalyzeSelectStatement(Pg.SelectStmt s, Scope? parent)
    {
        if (s.ValuesLists.Count > 0)
        {
            return AnalyzeValues(s, parent);
        }

        return s.Op is Pg.SetOperation.SetopNone or Pg.SetOperation.Undefined ? AnalyzeSelect(s, parent) : AnalyzeSetOperation(s, parent);
    }

    private Query AnalyzeSelect(Pg.SelectStmt s, Scope? parent)
    {
        var query = new Query { Kind = QueryKind.Select };
        var scope = new Scope(query, parent);
        AddWith(scope, s.WithClause);
        if (s.IntoClause is not null)
        {
            throw PgException.NotSupported("SELECT INTO");
        }

        if (s.WindowClause.Count > 0)
        {
            throw PgException.NotSupported("WINDOW");
        }

        TransformFrom(scope, s.FromClause);
        scope.Clause = ClauseKind.SelectTarget;
        query.Targets = TransformTargets(scope, s.TargetList);
        query.Where = TransformWhere(scope, s.WhereClause, ClauseKind.Where, "WHERE");
        query.Having = TransformWhere(scope, s.HavingClause, ClauseKind.Having, "HAVING");
        TransformSort(scope, s.SortClause);
        TransformGroupBy(scope, s);
        TransformDistinct(scope, s);
        TransformLimit(scope, s);
        // Literals that nothing has given a type are text.
        foreach (Target t in query.Targets)
        {
            t.Expr = ResolveUnknown(t.Expr);
        }

        foreach (Pg.Node node in s.LockingClause)
        {
            TransformLocking(scope, node.LockingClause);
        }

        CheckGrouping(query);
        return query;
    }

    private Expr? TransformWhere(Scope scope, Pg.Node? node, ClauseKind kind, string name)
    {
        if (node is null)
        {
            return null;
        }

        scope.Clause = kind;
        return CoerceToBoolean(TransformExpr(scope, node), name);
    }

    private List<Target> TransformTargets(Scope scope, IEnumerable<Pg.Node> list)
    {
        var result = new List<Target>();
        foreach (Pg.Node node in list)
        {
            Pg.ResTarget r = node.ResTarget;
            if (IsStar(r.Val))
            {
                ExpandStar(scope, r.Val, result);
                continue;
            }

            Expr expr = TransformExpr(scope, r.Val);
            result.Add(WithOrigin(scope, new Target(expr, r.Name.Length > 0 ? r.Name : ColumnNames.Of(r.Val))));
        }

        return result;
    }

    private static bool IsStar(Pg.Node node) =>
        (node.NodeCase == Pg.Node.NodeOneofCase.ColumnRef && node.ColumnRef.Fields[^1].NodeCase == Pg.Node.NodeOneofCase.AStar)
        || (node.NodeCase == Pg.Node.NodeOneofCase.AIndirection && node.AIndirection.Indirection[^1].NodeCase == Pg.Node.NodeOneofCase.AStar);

    private static Target WithOrigin(Scope scope, Target target)
    {
        if (target.Expr is VarExpr { LevelsUp: 0, Column: > 0 } v)
        {
            RangeEntry entry = scope.Query.Entry(v.Entry);
            if (entry.Kind == EntryKind.Relation)
            {
                target.TableId = entry.Relation!.Id;
                target.TableColumn = v.Column;
            }
            else if (entry is { Kind: EntryKind.Subquery, Subquery: { } sub })
            {
                Target? inner = sub.Targets.Where(t => !t.Junk).ElementAtOrDefault(v.Column - 1);
                (target.TableId, target.TableColumn) = (inner?.TableId ?? Oid.Invalid, inner?.TableColumn ?? 0);
            }
        }

        return target;
    }

    private void ExpandStar(Scope scope, Pg.Node node, List<Target> result)
    {
        if (node.NodeCase == Pg.Node.NodeOneofCase.AIndirection)
        {
            throw PgException.NotSupported("row expansion of an expression");
        }

        string[] names = [.. node.ColumnRef.Fields.SkipLast(1).Select(ExprString)];
        if (names.Length > 0)
        {
            string? schema = names.Length > 1 ? names[^2] : null;
            NamespaceItem item = FindItem(scope, schema, names[^1], out int up) ?? throw MissingItem(scope, string.Join('.', names), names[^1], node.ColumnRef.Location);
            foreach (NamespaceColumn c in item.Columns)
            {
                result.Add(WithOrigin(scope, new Target(AtLevel(scope, c.Expr, up, node.ColumnRef.Location), c.Name)));
            }

            return;
        }

        bool any = false;
        foreach (NamespaceItem item in scope.Items.Where(i => i.ColumnsVisible && !(i.LateralOnly && !scope.LateralActive)))
        {
            any = true;
            foreach (NamespaceColumn c in item.Columns)
            {
                result.Add(WithOrigin(scope, new Target(AtLevel(scope, c.Expr, 0, node.ColumnRef.Location), c.Name)));
            }
        }

        if (!any)
        {
            throw _context.Error(SqlStates.SyntaxError, "SELECT * with no tables specified is not valid", node.ColumnRef.Location);
        }
    }

    private static (bool Descending, bool NullsFirst) SortDirection(Pg.SortBy sort)
    {
        bool descending = sort.SortbyDir == Pg.SortByDir.SortbyDesc;
        bool nullsFirst = sort.SortbyNulls switch { Pg.SortByNulls.First => true, Pg.SortByNulls.Last => false, _ => descending };
        return (descending, nullsFirst);
    }

    private void TransformSort(Scope scope, IEnumerable<Pg.Node> list)
    {
        foreach (Pg.Node node in list)
        {
            Pg.SortBy sort = node.SortBy;
            scope.Clause = ClauseKind.OrderBy;
            int target = FindTarget(scope, sort.Node, "ORDER BY", true);
            scope.Query.Targets[target].Expr = ResolveUnknown(scope.Query.Targets[target].Expr);
            if (scope.Query.Sort.Exists(s => s.Target == target))
            {
                continue;
            }

            Oid type = scope.Query.Targets[target].Expr.Type;
            (Oid less, Oid equal) = SortOperators(type, sort.Location >= 0 ? sort.Location : NodeLocation(sort.Node));
            (bool descending, bool nullsFirst) = SortDirection(sort);
            if (sort.SortbyDir == Pg.SortByDir.SortbyUsing)
            {
                descending = ExprString(sort.UseOp[^1]) switch
                {
                    "<" => false,
                    ">" => true,
                    _ => throw PgException.NotSupported("ORDER BY USING with this operator"),
                };
                nullsFirst = sort.SortbyNulls == Pg.SortByNulls.Default ? descending : nullsFirst;
            }

            scope.Query.Sort.Add(new SortClause(target, less, equal, descending, nullsFirst));
        }
    }

    /// <summary>The default btree class's "&lt;" and "=" of a type.</summary>
    private (Oid Less, Oid Equal) SortOperators(Oid type, int location)
    {
        Oid baseType = BaseType(type);
        PgType? row = Catalog.Type(baseType);
        bool array = ElementType(baseType).IsValid || baseType.Value == PgTypes.AnyArray;
        foreach (Oid candidate in new[] { baseType, new Oid(array ? PgTypes.AnyArray : row?.TypType == 'e' ? PgTypes.AnyEnum : row?.TypType == 'c' ? PgTypes.Record : 0) })
        {
            if (!candidate.IsValid)
            {
                continue;
            }

            PgOpClass? c = Catalog.DefaultOpClass(new Oid(PgOids.BtreeAm), candidate) ?? CoercibleClass(candidate);
            if (c is null)
            {
                continue;
            }

            PgAmOp? less = Catalog.FamilyOperators(c.OpcFamily).FirstOrDefault(o => o.AmOpStrategy == 1 && o.AmOpLeftType == c.OpcInType && o.AmOpRightType == c.OpcInType);
            PgAmOp? equal = Catalog.FamilyOperators(c.OpcFamily).FirstOrDefault(o => o.AmOpStrategy == 3 && o.AmOpLeftType == c.OpcInType && o.AmOpRightType == c.OpcInType);
            if (less is not null && equal is not null)
            {
                return (less.AmOpOpr, equal.AmOpOpr);
            }
        }

        throw _context.Error(SqlStates.UndefinedFunction, $"could not identify an ordering operator for type {FormatType(type)}", location,
            "Use an explicit ordering operator or modify the query.");
    }

    // varchar has no class of its own: it is binary-coercible to text.
    private PgOpClass? CoercibleClass(Oid type) => type.Value switch
    {
        PgTypes.VarChar => Catalog.DefaultOpClass(new Oid(PgOids.BtreeAm), new Oid(PgTypes.Text)),
        PgTypes.RegClass or PgTypes.RegProc or PgTypes.RegType or PgTypes.RegNamespace or PgTypes.RegRole or PgTypes.RegOper or PgTypes.RegOperator
            or PgTypes.RegProcedure or PgTypes.RegCollation => Catalog.DefaultOpClass(new Oid(PgOids.BtreeAm), new Oid(PgTypes.Oid)),
        _ => null,
    };

    /// <summary>ORDER BY, GROUP BY, DISTINCT ON items: an output name or number (SQL92), else an expression (findTargetlistEntry).</summary>
    private int FindTarget(Scope scope, Pg.Node node, string clause, bool namesOutputsFirst)
    {
        List<Target> targets = scope.Query.Targets;
        if (node.NodeCase == Pg.Node.NodeOneofCase.ColumnRef && node.ColumnRef.Fields.Count == 1 && node.ColumnRef.Fields[0].NodeCase == Pg.Node.NodeOneofCase.String)
        {
            string name = node.ColumnRef.Fields[0].String.Sval;
            // GROUP BY prefers columns of the tables.
            if (namesOutputsFirst || !ColumnExistsHere(scope, name))
            {
                int found = -1;
                for (int i = 0; i < targets.Count; i++)
                {
                    if (targets[i].Junk || targets[i].Name != name)
                    {
                        continue;
                    }

                    if (found >= 0 && !targets[found].Expr.SameAs(targets[i].Expr))
                    {
                        throw _context.Error(SqlStates.AmbiguousColumn, $"{clause} \"{name}\" is ambiguous", node.ColumnRef.Location);
                    }

                    found = found < 0 ? i : found;
                }

                if (found >= 0)
                {
                    return found;
                }
            }
        }

        if (node.NodeCase == Pg.Node.NodeOneofCase.AConst)
        {
            if (node.AConst.Isnull || node.AConst.ValCase is not (Pg.A_Const.ValOneofCase.Ival or Pg.A_Const.ValOneofCase.None))
            {
                throw _context.Error(SqlStates.SyntaxError, $"non-integer constant in {clause}", node.AConst.Location);
            }

            int number = node.AConst.Ival?.Ival ?? 0;
            int position = 0;
            for (int i = 0; i < targets.Count; i++)
            {
                if (!targets[i].Junk && ++position == number)
                {
                    return i;
                }
            }

            throw _context.Error(SqlStates.InvalidColumnReference, $"{clause} position {number} is not in select list", node.AConst.Location);
        }

        Expr expr = TransformExpr(scope, node);
        for (int i = 0; i < targets.Count; i++)
        {
            if (targets[i].Expr.SameAs(expr))
            {
                return i;
            }
        }

        targets.Add(new Target(expr, "?column?", true));
        return targets.Count - 1;
    }

    private static bool ColumnExistsHere(Scope scope, string name) => scope.Items.Exists(i => i.ColumnsVisible && i.Columns.Any(c => c.Name == name));

    private void TransformGroupBy(Scope scope, Pg.SelectStmt s)
    {
        foreach (Pg.Node node in s.GroupClause)
        {
            if (node.NodeCase == Pg.Node.NodeOneofCase.GroupingSet)
            {
                throw PgException.NotSupported("GROUPING SETS");
            }

            scope.Clause = ClauseKind.GroupBy;
            int target = FindTarget(scope, node, "GROUP BY", false);
            if (scope.Query.Targets[target].Expr.Any(e => e is AggExpr { LevelsUp: 0 }))
            {
                throw _context.Error(SqlStates.GroupingError, "aggregate functions are not allowed in GROUP BY", NodeLocation(node));
            }

            scope.Query.Targets[target].Expr = ResolveUnknown(scope.Query.Targets[target].Expr);
            if (!scope.Query.GroupBy.Exists(g => g.Target == target))
            {
                (Oid less, Oid equal) = SortOperators(scope.Query.Targets[target].Expr.Type, NodeLocation(node));
                scope.Query.GroupBy.Add(new SortClause(target, less, equal, false, false));
            }
        }
    }

    private void TransformDistinct(Scope scope, Pg.SelectStmt s)
    {
        if (s.DistinctClause.Count == 0)
        {
            return;
        }

        Query query = scope.Query;
        query.Distinct = [];
        bool on = s.DistinctClause[0].NodeCase != Pg.Node.NodeOneofCase.None;
        query.IsDistinctOn = on;
        if (!on)
        {
            for (int i = 0; i < query.Targets.Count; i++)
            {
                if (query.Targets[i].Junk)
                {
                    throw _context.Error(SqlStates.InvalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list", ExprLocation(query.Targets[i].Expr));
                }

                query.Targets[i].Expr = ResolveUnknown(query.Targets[i].Expr);
                (Oid less, Oid equal) = SortOperators(query.Targets[i].Expr.Type, ExprLocation(query.Targets[i].Expr));
                query.Distinct.Add(new SortClause(i, less, equal, false, false));
            }

            return;
        }

        scope.Clause = ClauseKind.DistinctOn;
        foreach (Pg.Node node in s.DistinctClause)
        {
            int target = FindTarget(scope, node, "DISTINCT ON", true);
            query.Targets[target].Expr = ResolveUnknown(query.Targets[target].Expr);
            (Oid less, Oid equal) = SortOperators(query.Targets[target].Expr.Type, NodeLocation(node));
            query.Distinct.Add(new SortClause(target, less, equal, false, false));
        }

        for (int i = 0; i < query.Sort.Count && i < query.Distinct.Count; i++)
        {
            if (!query.Distinct.Exists(d => d.Target == query.Sort[i].Target))
            {
                throw new PgException(SqlStates.InvalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
            }
        }
    }

    private void TransformLimit(Scope scope, Pg.SelectStmt s)
    {
        Query query = scope.Query;
        var int8 = new Oid(PgTypes.Int8);
        if (s.LimitOffset is not null)
        {
            scope.Clause = ClauseKind.Offset;
            query.Offset = LimitValue(TransformExpr(scope, s.LimitOffset), "OFFSET", int8);
        }

        if (s.LimitCount is not null && !(s.LimitCount.NodeCase == Pg.Node.NodeOneofCase.AConst && s.LimitCount.AConst.Isnull))
        {
            scope.Clause = ClauseKind.Limit;
            query.Limit = LimitValue(TransformExpr(scope, s.LimitCount), "LIMIT", int8);
            query.LimitWithTies = s.LimitOption == Pg.LimitOption.WithTies;
            if (query.LimitWithTies && query.Sort.Count == 0)
            {
                throw new PgException(SqlStates.InvalidColumnReference, "WITH TIES cannot be specified without ORDER BY clause");
            }
        }
    }

    private Expr LimitValue(Expr expr, string name, Oid type)
    {
        Expr result = CoerceToSpecific(expr, type, name);
        if (result.Any(e => e is VarExpr { LevelsUp: 0 }))
        {
            throw _context.Error(SqlStates.InvalidColumnReference, $"argument of {name} must not contain variables", ExprLocation(result));
        }

        return result;
    }

    private void TransformLocking(Scope scope, Pg.LockingClause locking)
    {
        Query query = scope.Query;
        (RowLockMode mode, string name) = locking.Strength switch
        {
            Pg.LockClauseStrength.LcsForkeyshare => (RowLockMode.KeyShare, "FOR KEY SHARE"),
            Pg.LockClauseStrength.LcsForshare => (RowLockMode.Share, "FOR SHARE"),
            Pg.LockClauseStrength.LcsFornokeyupdate => (RowLockMode.NoKeyExclusive, "FOR NO KEY UPDATE"),
            _ => (RowLockMode.Exclusive, "FOR UPDATE"),
        };
        string? wrong = query.SetOperation is not null ? "UNION/INTERSECT/EXCEPT" : query.Distinct is not null ? "DISTINCT clause"
            : query.GroupBy.Count > 0 ? "GROUP BY clause" : query.Having is not null ? "HAVING clause" : query.HasAggregates ? "aggregate functions"
            : query.HasTargetSets ? "set-returning functions in the target list" : null;
        if (wrong is not null)
        {
            throw new PgException(SqlStates.FeatureNotSupported, $"{name} is not allowed with {wrong}");
        }

        LockWait wait = locking.WaitPolicy switch
        {
            Pg.LockWaitPolicy.LockWaitSkip => LockWait.Skip,
            Pg.LockWaitPolicy.LockWaitError => LockWait.Error,
            _ => LockWait.Wait,
        };
        if (locking.LockedRels.Count == 0)
        {
            for (int i = 1; i <= query.Entries.Count; i++)
            {
                AddRowMark(query, i, mode, wait);
            }

            return;
        }

        foreach (Pg.Node node in locking.LockedRels)
        {
            string alias = node.RangeVar.Relname;
            NamespaceItem? item = scope.Items.Find(i => i.Alias == alias && i.AliasVisible);
            if (item is null || item.Entry == 0)
            {
                throw _context.Error(SqlStates.UndefinedTable, $"relation \"{alias}\" in {name} clause not found in FROM clause", node.RangeVar.Location);
            }

            AddRowMark(query, item.Entry, mode, wait);
        }
    }

    private void AddRowMark(Query query, int entry, RowLockMode mode, LockWait wait)
    {
        RangeEntry e = query.Entry(entry);
        if (e.Kind == EntryKind.Subquery)
        {
            for (int i = 1; i <= e.Subquery!.Entries.Count; i++)
            {
                AddRowMark(e.Subquery, i, mode, wait);
            }
        }

        if (e.Kind != EntryKind.Relation)
        {
            return;
        }

        e.Lock = Transactions.Locks.LockMode.RowShare;
        _context.LockTable?.Invoke(e.Relation!.Id, Transactions.Locks.LockMode.RowShare);
        int old = query.RowMarks.FindIndex(m => m.Entry == entry);
        if (old < 0)
        {
            query.RowMarks.Add(new RowMark(entry, mode, wait));
        }
        else
        {
            RowMark m = query.RowMarks[old];
            query.RowMarks[old] = new RowMark(entry, m.Mode > mode ? m.Mode : mode, m.Wait > wait ? m.Wait : wait);
        }
    }
}
