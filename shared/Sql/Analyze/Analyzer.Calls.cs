using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>Function calls, aggregates and subqueries in expressions (parse_func.c, parse_agg.c).</summary>
public sealed partial class Analyzer
{
    private Expr TransformCall(Scope scope, Pg.FuncCall call)
    {
        string[] name = [.. call.Funcname.Select(ExprString)];
        if (call.Over is not null)
        {
            throw PgException.NotSupported("a window function call");
        }

        bool outerAggregate = scope.InAggregate;
        var args = new List<Expr>(call.Args.Count);
        foreach (Pg.Node node in call.Args)
        {
            args.Add(node.NodeCase == Pg.Node.NodeOneofCase.NamedArgExpr
                ? throw PgException.NotSupported("named arguments")
                : TransformExpr(scope, node));
        }

        Oid[] types = [.. args.Select(a => a.Type)];
        List<Candidate> candidates = FunctionCandidates(name, args.Count, call.FuncVariadic);
        Candidate? exact = candidates.Find(c => c.Types.AsSpan().SequenceEqual(types));
        if (exact is null && args.Count == 1 && !call.AggStar && !call.AggDistinct && FunctionAsCast(name, args[0], call) is { } cast)
        {
            return cast;
        }

        Resolution resolution = Choose(candidates, types, out Candidate? chosen);
        if (chosen?.Proc is not { } proc)
        {
            if (args.Count == 1 && name.Length == 1 && args[0] is RowExpr { Names.Count: > 0 } row && row.Names.Contains(name[0]))
            {
                return SelectField(row, name[0]);
            }

            throw NoFunction(name, types, resolution, call.Location);
        }

        if (chosen.Defaults > 0)
        {
            AddDefaults(proc, chosen, args);
            chosen = chosen with { Types = [.. proc.ProArgTypes] };
        }

        (Expr[] coerced, Oid result) = MatchArguments(chosen, [.. args], proc.ProRetType, call.Location);
        if (proc.ProKind == 'a')
        {
            return MakeAggregate(scope, call, proc, chosen, coerced, result, name, outerAggregate);
        }

        CheckPlainCall(call, proc, name);
        if (chosen.VariadicExpanded && proc.ProVariadic.Value != PgTypes.Any)
        {
            coerced = CollectVariadic(proc, coerced);
        }

        if (proc.ProRetSet)
        {
            CheckSetAllowed(scope, call.Location);
        }

        Oid collation = MergeCollations(coerced);
        return new FuncExpr(proc, coerced, result, CallForm.Call)
        {
            Location = call.Location,
            Variadic = call.FuncVariadic,
            InputCollation = collation,
            Collation = ResultCollation(result, collation),
        };
    }

    private void CheckPlainCall(Pg.FuncCall call, PgProc proc, string[] name)
    {
        string? wrong = call.AggStar ? "{0}(*) specified, but {0} is not an aggregate function"
            : call.AggDistinct ? "DISTINCT specified, but {0} is not an aggregate function"
            : call.AggOrder.Count > 0 ? "ORDER BY specified, but {0} is not an aggregate function"
            : call.AggFilter is not null ? "FILTER specified, but {0} is not an aggregate function" : null;
        if (wrong is not null)
        {
            throw _context.Error(SqlStates.WrongObjectType, wrong.Replace("{0}", string.Join('.', name), StringComparison.Ordinal), call.Location);
        }

        if (proc.ProKind == 'p')
        {
            throw _context.Error(SqlStates.WrongObjectType, $"{string.Join('.', name)}() is a procedure", call.Location, "To call a procedure, use CALL.");
        }

        if (proc.ProKind == 'w')
        {
            throw _context.Error("42P20", $"window function {string.Join('.', name)} requires an OVER clause", call.Location);
        }
    }

    private void AddDefaults(PgProc proc, Candidate chosen, List<Expr> args)
    {
        IReadOnlyList<Expr> defaults = NodeTreeReader.ReadExprs(Catalog, proc.ProArgDefaults ?? "");
        for (int i = defaults.Count - chosen.Defaults; i < defaults.Count; i++)
        {
            args.Add(defaults[i]);
        }
    }

    // int8(x) for x::int8, where the type's name is not a function that fits better.
    private Expr? FunctionAsCast(string[] name, Expr arg, Pg.FuncCall call)
    {
        if (name.Length > 2 || LookupTypeQuietly(name) is not { } type || !type.TypIsDefined)
        {
            return null;
        }

        bool ok = arg.Type.Value == PgTypes.Unknown;
        if (!ok)
        {
            CoercionPath path = FindPath(type.Oid, arg.Type, CoercionContext.Explicit, out _);
            ok = path == CoercionPath.Relabel || (path == CoercionPath.ViaIo && !(arg.Type.Value == PgTypes.Record || IsComposite(arg.Type)) && Category(type.Oid) != 'S');
        }

        return ok ? CoerceTo(arg, type.Oid, -1, CoercionContext.Explicit, CallForm.Call, call.Location) : null;
    }

    private PgType? LookupTypeQuietly(string[] name) => name.Length > 1 && Catalog.SchemaByName(name[0]) is null ? null : LookupType(name);

    private Expr[] CollectVariadic(PgProc proc, Expr[] args)
    {
        int fixedCount = proc.ProNArgs - 1;
        Expr[] rest = args[fixedCount..];
        Oid element = rest[0].Type;
        if (rest.Any(r => r.Type != element))
        {
            element = CommonType(rest, "VARIADIC");
            rest = [.. rest.Select(r => CoerceToCommon(r, element, "VARIADIC"))];
        }

        rest = [.. rest.Select(ResolveUnknown)];
        element = rest[0].Type;
        var array = new ArrayExpr(ArrayType(element), element, false, rest) { Collation = MergeCollations(rest), Location = rest[0].Location };
        return [.. args[..fixedCount], array];
    }

    private void CheckSetAllowed(Scope scope, int location)
    {
        string? where = scope.Clause switch
        {
            ClauseKind.SelectTarget or ClauseKind.FromFunction or ClauseKind.OrderBy or ClauseKind.GroupBy or ClauseKind.DistinctOn or ClauseKind.InsertTarget => null,
            ClauseKind.Where => "WHERE",
            ClauseKind.JoinOn => "JOIN conditions",
            ClauseKind.Having => "HAVING",
            ClauseKind.Limit => "LIMIT",
            ClauseKind.Offset => "OFFSET",
            ClauseKind.Returning => "RETURNING",
            ClauseKind.Values => "VALUES",
            ClauseKind.UpdateTarget => "UPDATE",
            ClauseKind.CheckConstraint => "check constraints",
            ClauseKind.ColumnDefault => "DEFAULT expressions",
            _ => "this clause",
        };
        if (where is not null)
        {
            throw _context.Error(SqlStates.FeatureNotSupported, $"set-returning functions are not allowed in {where}", location);
        }

        scope.Query.HasTargetSets |= scope.Clause != ClauseKind.FromFunction;
    }

    private AggExpr MakeAggregate(Scope scope, Pg.FuncCall call, PgProc proc, Candidate chosen, Expr[] args, Oid result, string[] name, bool nested)
    {
        PgAggregate aggregate = Catalog.Aggregate(proc.Oid) ?? throw PgException.NotSupported($"aggregate {proc.ProName}");
        if (aggregate.AggKind != 'n')
        {
            throw PgException.NotSupported($"ordered-set aggregate {proc.ProName}");
        }

        if (args.Length == 0 && !call.AggStar)
        {
            throw _context.Error(SqlStates.WrongObjectType, $"{string.Join('.', name)}(*) must be used to call a parameterless aggregate function", call.Location);
        }

        if (nested || args.Any(a => a.Any(e => e is AggExpr { LevelsUp: 0 })))
        {
            throw _context.Error(SqlStates.GroupingError, "aggregate function calls cannot be nested", call.Location);
        }

        int up = AggregateLevel(args);
        Scope owner = scope;
        for (int i = 0; i < up; i++)
        {
            owner = owner.Parent!;
        }

        string? where = owner.Clause switch
        {
            ClauseKind.Where => "WHERE",
            ClauseKind.JoinOn => "JOIN conditions",
            ClauseKind.GroupBy => "GROUP BY",
            ClauseKind.FromFunction => "functions in FROM",
            ClauseKind.FromSubquery => "FROM clause of their own query level",
            ClauseKind.Limit => "LIMIT",
            ClauseKind.Offset => "OFFSET",
            ClauseKind.Returning => "RETURNING",
            ClauseKind.Values => "VALUES",
            ClauseKind.UpdateTarget => "UPDATE",
            ClauseKind.Filter => "FILTER",
            ClauseKind.CheckConstraint => "check constraints",
            ClauseKind.ColumnDefault => "DEFAULT expressions",
            ClauseKind.IndexExpression => "index expressions",
            _ => null,
        };
        if (where is not null)
        {
            throw _context.Error(SqlStates.GroupingError, $"aggregate functions are not allowed in {where}", call.Location);
        }

        owner.Query.HasAggregates = true;
        Expr? filter = null;
        if (call.AggFilter is not null)
        {
            ClauseKind saved = scope.Clause;
            scope.Clause = ClauseKind.Filter;
            filter = CoerceToBoolean(TransformExpr(scope, call.AggFilter), "FILTER");
            scope.Clause = saved;
        }

        List<AggOrder> order = [];
        foreach (Pg.Node node in call.AggOrder)
        {
            Expr key = ResolveUnknown(TransformExpr(scope, node.SortBy.Node));
            (bool descending, bool nullsFirst) = SortDirection(node.SortBy);
            order.Add(new AggOrder(key, SortOperators(key.Type, node.SortBy.Location).Less, descending, nullsFirst));
        }

        Expr[] plain = [.. args.Select(ResolveUnknown)];
        Oid transType = aggregate.AggTransType;
        if (IsPolymorphic(transType))
        {
            transType = EnforceGenerics([.. plain.Select(a => a.Type)], [.. chosen.Types], transType);
        }

        Oid collation = MergeCollations(plain);
        return new AggExpr(proc, aggregate, plain, result, transType)
        {
            Star = call.AggStar,
            Distinct = call.AggDistinct,
            Filter = filter,
            Order = order,
            LevelsUp = up,
            Location = call.Location,
            InputCollation = collation,
            Collation = ResultCollation(result, collation),
        };
    }

    // An aggregate belongs to the nearest level that its arguments' columns come from.
    private static int AggregateLevel(Expr[] args)
    {
        int level = int.MaxValue;
        foreach (Expr arg in args)
        {
            arg.ForEach(e => level = e is VarExpr v ? Math.Min(level, v.LevelsUp) : level);
        }

        return level == int.MaxValue ? 0 : level;
    }

    private SubLinkExpr TransformSubLink(Scope scope, Pg.SubLink link)
    {
        scope.Query.HasSubLinks = true;
        bool allowed = scope.Clause is not (ClauseKind.CheckConstraint or ClauseKind.ColumnDefault or ClauseKind.IndexExpression);
        if (!allowed)
        {
            string where = scope.Clause switch { ClauseKind.CheckConstraint => "check constraint", ClauseKind.ColumnDefault => "DEFAULT expression", _ => "index expression" };
            throw _context.Error(SqlStates.FeatureNotSupported, $"cannot use subquery in {where}", link.Location);
        }

        Query query = AnalyzeStatement(link.Subselect, scope);
        List<Target> columns = query.Targets.FindAll(t => !t.Junk);
        switch (link.SubLinkType)
        {
            case Pg.SubLinkType.ExistsSublink:
                return new SubLinkExpr(SubLinkKind.Exists, query, new Oid(PgTypes.Bool), -1) { Location = link.Location };
            case Pg.SubLinkType.ExprSublink or Pg.SubLinkType.ArraySublink:
                if (columns.Count != 1)
                {
                    throw _context.Error(SqlStates.SyntaxError, "subquery must return only one column", link.Location);
                }

                Expr value = columns[0].Expr;
                if (link.SubLinkType == Pg.SubLinkType.ExprSublink)
                {
                    return new SubLinkExpr(SubLinkKind.Scalar, query, value.Type, value.Typmod) { Location = link.Location, Collation = value.Collation };
                }

                Oid array = ElementType(value.Type).IsValid ? value.Type : ArrayType(value.Type);
                return array.IsValid
                    ? new SubLinkExpr(SubLinkKind.Array, query, array, value.Typmod) { Location = link.Location, Collation = value.Collation }
                    : throw _context.Error(SqlStates.UndefinedObject, $"could not find array type for data type {FormatType(value.Type)}", link.Location);
            case Pg.SubLinkType.AnySublink or Pg.SubLinkType.AllSublink:
                return QuantifiedSubLink(scope, link, query, columns);
            default:
                throw PgException.NotSupported("this kind of subquery");
        }
    }

    private SubLinkExpr QuantifiedSubLink(Scope scope, Pg.SubLink link, Query query, List<Target> columns)
    {
        string[] name = link.OperName.Count == 0 ? ["="] : OperatorName(link.OperName);
        Expr[] left = link.Testexpr.NodeCase == Pg.Node.NodeOneofCase.RowExpr
            ? [.. link.Testexpr.RowExpr.Args.Select(a => TransformExpr(scope, a))]
            : [TransformExpr(scope, link.Testexpr)];
        if (left.Length != columns.Count)
        {
            throw _context.Error(SqlStates.SyntaxError, left.Length < columns.Count ? "subquery has too many columns" : "subquery has too few columns", link.Location);
        }

        var comparisons = new Expr[left.Length];
        for (int i = 0; i < left.Length; i++)
        {
            var column = new SubLinkColumn(i, columns[i].Expr.Type, columns[i].Expr.Typmod) { Collation = columns[i].Expr.Collation, Location = link.Location };
            OpExpr op = MakeOperator(name, left[i], column, link.Location);
            comparisons[i] = op.Type.Value == PgTypes.Bool ? op
                : throw _context.Error(SqlStates.DatatypeMismatch, $"row comparison operator must yield type boolean, not type {FormatType(op.Type)}", link.Location);
        }

        if (comparisons.Length > 1 && name[^1] is not ("=" or "<>"))
        {
            throw PgException.NotSupported("an ordered comparison of a row with a subquery");
        }

        SubLinkKind kind = link.SubLinkType == Pg.SubLinkType.AnySublink ? SubLinkKind.Any : SubLinkKind.All;
        return new SubLinkExpr(kind, query, new Oid(PgTypes.Bool), -1) { Tests = left, Comparisons = comparisons, Location = link.Location };
    }
}
