using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>Which operator a sign means (parse_oper.c), and the expressions made of operators.</summary>
public sealed partial class Analyzer
{
    private readonly Dictionary<(string, Oid, Oid), PgOperator> _operatorCache = [];

    private static string[] OperatorName(IEnumerable<Pg.Node> name) => [.. name.Select(ExprString)];

    private PgOperator ResolveOperator(string[] name, Oid left, Oid right, int location)
    {
        var key = (name.Length == 1 ? name[0] : string.Join('.', name), left, right);
        if (_operatorCache.TryGetValue(key, out PgOperator? cached))
        {
            return cached;
        }

        List<Candidate> candidates = OperatorCandidates(name, left.IsValid ? 'b' : 'l');
        PgOperator? found = left.IsValid ? ExactBinary(candidates, left, right) : ExactPrefix(candidates, right);
        if (found is null)
        {
            Oid[] actual = left.IsValid
                ? [left, right]
                : [right];
            // A mixed case with one unknown side assumes the other's type as the exact match does; func_select_candidate has tried that already.
            Resolution resolution = candidates.Count == 0 ? Resolution.NotFound : Choose(candidates, actual, out Candidate? chosen) is var r && (found = chosen?.Operator) is null ? r : Resolution.Found;
            if (found is null)
            {
                throw NoOperator(name, left, right, resolution, location);
            }
        }

        _operatorCache[key] = found;
        return found;
    }

    private List<Candidate> OperatorCandidates(string[] name, char kind)
    {
        var result = new List<Candidate>();
        Oid? schema = null;
        if (name.Length > 1)
        {
            schema = (Catalog.SchemaByName(name[^2]) ?? throw new PgException(SqlStates.InvalidSchemaName, $"schema \"{name[^2]}\" does not exist")).Oid;
        }

        foreach (PgOperator op in Catalog.OperatorsByName(name[^1]))
        {
            int position = schema is null ? IndexOf(_context.SearchPath, op.OprNamespace) : op.OprNamespace == schema ? 0 : -1;
            if (position >= 0 && op.OprKind == kind && op.OprCode.IsValid)
            {
                AddCandidate(result, new Candidate(null, op, kind == 'b' ? [op.OprLeft, op.OprRight] : [op.OprRight], false, 0, position));
            }
        }

        return result;
    }

    // Unspecified literals are taken to be of the other side's type, before any other rule (binary_oper_exact).
    private PgOperator? ExactBinary(List<Candidate> candidates, Oid left, Oid right)
    {
        bool wasUnknown = false;
        if (left.Value == PgTypes.Unknown && right.IsValid && right.Value != PgTypes.Unknown)
        {
            (left, wasUnknown) = (right, true);
        }
        else if (right.Value == PgTypes.Unknown && left.Value != PgTypes.Unknown)
        {
            (right, wasUnknown) = (left, true);
        }

        PgOperator? exact = candidates.Find(c => c.Types[0] == left && c.Types[1] == right)?.Operator;
        if (exact is not null || !wasUnknown)
        {
            return exact;
        }

        Oid baseType = BaseType(left);
        return baseType == left ? null : candidates.Find(c => c.Types[0] == baseType && c.Types[1] == baseType)?.Operator;
    }

    private static PgOperator? ExactPrefix(List<Candidate> candidates, Oid right) => candidates.Find(c => c.Types[0] == right)?.Operator;

    private PgException NoOperator(string[] name, Oid left, Oid right, Resolution resolution, int location)
    {
        string sign = string.Join('.', name);
        string text = left.IsValid ? $"{FormatType(left)} {sign} {FormatType(right)}" : $"{sign} {FormatType(right)}";
        return resolution == Resolution.Ambiguous
            ? _context.Error(SqlStates.AmbiguousFunction, $"operator is not unique: {text}", location,
                "Could not choose a best candidate operator. You might need to add explicit type casts.")
            : _context.Error(SqlStates.UndefinedFunction, $"operator does not exist: {text}", location,
                left.IsValid && right.IsValid ? "No operator matches the given name and argument types. You might need to add explicit type casts."
                : "No operator matches the given name and argument type. You might need to add an explicit type cast.");
    }

    /// <summary>"left op right", or "op right" when left is null (make_op).</summary>
    private OpExpr MakeOperator(string[] name, Expr? left, Expr right, int location, OperatorKind kind = OperatorKind.Plain)
    {
        PgOperator op = ResolveOperator(name, left?.Type ?? Oid.Invalid, right.Type, location);
        PgProc proc = ProcRow(op.OprCode);
        Expr[] args = left is null ? [right] : [left, right];
        Oid[] declared = left is null ? [op.OprRight] : [op.OprLeft, op.OprRight];
        (Expr[] coerced, Oid result) = MatchArguments(new Candidate(null, op, declared, false, 0, 0), args, op.OprResult, location);
        if (kind != OperatorKind.Plain && result.Value != PgTypes.Bool)
        {
            throw _context.Error(SqlStates.DatatypeMismatch,
                kind == OperatorKind.NullIf ? "NULLIF requires = operator to yield boolean" : "IS DISTINCT FROM requires = operator to yield boolean", location);
        }

        Oid collation = MergeCollations(coerced);
        Oid type = kind == OperatorKind.NullIf ? coerced[0].Type : result;
        return new OpExpr(op, proc, coerced, type, kind)
        {
            Location = location,
            InputCollation = collation,
            Collation = kind == OperatorKind.NullIf ? coerced[0].Collation : ResultCollation(type, collation),
        };
    }

    private Expr TransformOperatorExpr(Scope scope, Pg.A_Expr e)
    {
        string[] name = OperatorName(e.Name);
        switch (e.Kind)
        {
            case Pg.A_Expr_Kind.AexprOp:
                return TransformPlainOperator(scope, e, name);
            case Pg.A_Expr_Kind.AexprOpAny or Pg.A_Expr_Kind.AexprOpAll:
                return MakeArrayOperator(name, e.Kind == Pg.A_Expr_Kind.AexprOpAny, TransformExpr(scope, e.Lexpr), TransformExpr(scope, e.Rexpr), e.Location);
            case Pg.A_Expr_Kind.AexprDistinct or Pg.A_Expr_Kind.AexprNotDistinct:
                return TransformDistinct(scope, e, name);
            case Pg.A_Expr_Kind.AexprNullif:
                return MakeOperator(name, TransformExpr(scope, e.Lexpr), TransformExpr(scope, e.Rexpr), e.Location, OperatorKind.NullIf);
            case Pg.A_Expr_Kind.AexprIn:
                return TransformIn(scope, e, name);
            case Pg.A_Expr_Kind.AexprLike or Pg.A_Expr_Kind.AexprIlike or Pg.A_Expr_Kind.AexprSimilar:
                return MakeOperator(name, TransformExpr(scope, e.Lexpr), TransformExpr(scope, e.Rexpr), e.Location);
            default:
                return TransformBetween(scope, e);
        }
    }

    private Expr TransformPlainOperator(Scope scope, Pg.A_Expr e, string[] name)
    {
        if (e.Lexpr?.NodeCase == Pg.Node.NodeOneofCase.RowExpr && e.Rexpr.NodeCase == Pg.Node.NodeOneofCase.RowExpr)
        {
            return RowComparison(scope, e, name, [.. e.Lexpr.RowExpr.Args.Select(a => TransformExpr(scope, a))], [.. e.Rexpr.RowExpr.Args.Select(a => TransformExpr(scope, a))]);
        }

        Expr? left = e.Lexpr is null ? null : TransformExpr(scope, e.Lexpr);
        return MakeOperator(name, left, TransformExpr(scope, e.Rexpr), e.Location);
    }

    private Expr RowComparison(Scope scope, Pg.A_Expr e, string[] name, Expr[] left, Expr[] right)
    {
        _ = scope;
        if (left.Length != right.Length)
        {
            throw _context.Error(SqlStates.SyntaxError, "unequal number of entries in row expressions", e.Location);
        }

        if (left.Length == 0)
        {
            throw _context.Error(SqlStates.FeatureNotSupported, "cannot compare rows of zero length", e.Location);
        }

        Expr[] pairs = [.. left.Zip(right, (l, r) => (Expr)MakeOperator(name, l, r, e.Location))];
        return name[^1] switch
        {
            "=" => pairs.Length == 1 ? pairs[0] : new BoolExpr(BoolOperation.And, pairs) { Location = e.Location },
            "<>" => pairs.Length == 1 ? pairs[0] : new BoolExpr(BoolOperation.Or, pairs) { Location = e.Location },
            "<" or "<=" or ">" or ">=" => RowOrder(name[^1], left, right, e.Location),
            _ => throw _context.Error(SqlStates.FeatureNotSupported, $"could not determine interpretation of row comparison operator {name[^1]}", e.Location),
        };
    }

    // (a, b) < (c, d)  is  a < c or (a = c and b < d); null when a null decides, as SQL wants.
    private Expr RowOrder(string sign, Expr[] left, Expr[] right, int location)
    {
        string strict = sign[..1];
        Expr result = MakeOperator([sign], left[^1], right[^1], location);
        for (int i = left.Length - 2; i >= 0; i--)
        {
            Expr equal = new BoolExpr(BoolOperation.And, [MakeOperator(["="], left[i], right[i], location), result]);
            result = new BoolExpr(BoolOperation.Or, [MakeOperator([strict], left[i], right[i], location), equal]);
        }

        return result;
    }

    private Expr TransformDistinct(Scope scope, Pg.A_Expr e, string[] name)
    {
        bool not = e.Kind == Pg.A_Expr_Kind.AexprNotDistinct;
        Expr left = TransformExpr(scope, e.Lexpr), right = TransformExpr(scope, e.Rexpr);
        // "x IS DISTINCT FROM NULL" needs no operator.
        if (IsNullConst(left) || IsNullConst(right))
        {
            return new NullTestExpr(ResolveUnknown(IsNullConst(right) ? left : right), not) { Location = e.Location };
        }

        Expr result = MakeOperator(name, left, right, e.Location, OperatorKind.Distinct);
        return not ? new BoolExpr(BoolOperation.Not, [result]) { Location = e.Location } : result;
    }

    private static bool IsNullConst(Expr e) => e is ConstExpr { Value.IsNull: true, Type.Value: PgTypes.Unknown };

    private Expr TransformIn(Scope scope, Pg.A_Expr e, string[] name)
    {
        bool any = name[^1] != "<>";
        Expr left = e.Lexpr.NodeCase == Pg.Node.NodeOneofCase.RowExpr ? new ConstExpr(Datum.Null, new Oid(PgTypes.Unknown)) : TransformExpr(scope, e.Lexpr);
        Expr[]? leftRow = e.Lexpr.NodeCase == Pg.Node.NodeOneofCase.RowExpr ? [.. e.Lexpr.RowExpr.Args.Select(a => TransformExpr(scope, a))] : null;
        var constants = new List<Expr>();
        var others = new List<Expr>();
        var tests = new List<Expr>();
        foreach (Pg.Node item in e.Rexpr.List.Items)
        {
            if (leftRow is not null)
            {
                Expr[] right = item.NodeCase == Pg.Node.NodeOneofCase.RowExpr
                    ? [.. item.RowExpr.Args.Select(a => TransformExpr(scope, a))]
                    : throw _context.Error(SqlStates.SyntaxError, "unequal number of entries in row expressions", e.Location);
                tests.Add(RowComparison(scope, e, name, leftRow, right));
                continue;
            }

            Expr value = TransformExpr(scope, item);
            (value.Any(x => x is VarExpr or SubLinkExpr) ? others : constants).Add(value);
        }

        if (constants.Count > 1 && CommonType([left, .. constants], null) is { IsValid: true } common && common.Value != PgTypes.Record && ArrayType(common).IsValid
            && constants.All(c => CanCoerce([c.Type], [common], CoercionContext.Implicit)))
        {
            Expr[] elements = [.. constants.Select(c => CoerceToCommon(c, common, "IN"))];
            var array = new ArrayExpr(ArrayType(common), common, false, elements) { Collation = MergeCollations(elements), Location = -1 };
            tests.Add(MakeArrayOperator(name, any, left, array, e.Location));
            constants.Clear();
        }

        foreach (Expr value in constants.Concat(others))
        {
            tests.Add(MakeOperator(name, left, value, e.Location));
        }

        return tests.Count == 1 ? tests[0] : new BoolExpr(any ? BoolOperation.Or : BoolOperation.And, [.. tests]) { Location = e.Location };
    }

    private Expr TransformBetween(Scope scope, Pg.A_Expr e)
    {
        Expr value = TransformExpr(scope, e.Lexpr);
        Expr low = TransformExpr(scope, e.Rexpr.List.Items[0]), high = TransformExpr(scope, e.Rexpr.List.Items[1]);
        Expr Both(string a, string b, BoolOperation operation, Expr from, Expr to) =>
            new BoolExpr(operation, [MakeOperator([a], value, from, e.Location), MakeOperator([b], value, to, e.Location)]) { Location = e.Location };
        return e.Kind switch
        {
            Pg.A_Expr_Kind.AexprBetween => Both(">=", "<=", BoolOperation.And, low, high),
            Pg.A_Expr_Kind.AexprNotBetween => Both("<", ">", BoolOperation.Or, low, high),
            Pg.A_Expr_Kind.AexprBetweenSym => new BoolExpr(BoolOperation.Or,
                [Both(">=", "<=", BoolOperation.And, low, high), Both(">=", "<=", BoolOperation.And, high, low)])
            { Location = e.Location },
            _ => new BoolExpr(BoolOperation.And, [Both("<", ">", BoolOperation.Or, low, high), Both("<", ">", BoolOperation.Or, high, low)]) { Location = e.Location },
        };
    }

    /// <summary>scalar op ANY/ALL (array) (make_scalar_array_op).</summary>
    private Expr MakeArrayOperator(string[] name, bool any, Expr left, Expr right, int location)
    {
        Oid element;
        if (right.Type.Value == PgTypes.Unknown)
        {
            element = right.Type;
        }
        else
        {
            element = ElementType(right.Type);
            if (!element.IsValid)
            {
                element = Catalog.Type(BaseType(right.Type)) is { TypElem.IsValid: true, TypCategory: 'A' } vector
                    ? vector.TypElem
                    : throw _context.Error(SqlStates.WrongObjectType, "op ANY/ALL (array) requires array on right side", location);
            }
        }

        PgOperator op = ResolveOperator(name, left.Type, element, location);
        PgProc proc = ProcRow(op.OprCode);
        if (op.OprResult.Value != PgTypes.Bool)
        {
            throw _context.Error(SqlStates.WrongObjectType, "op ANY/ALL (array) requires operator to yield boolean", location);
        }

        Oid[] actual = [left.Type, element], declared = [op.OprLeft, op.OprRight];
        EnforceGenerics(actual, declared, op.OprResult);
        Expr scalar = Coerce(left, declared[0], -1, CoercionContext.Implicit, CallForm.ImplicitCast, -1);
        Oid arrayType = IsPolymorphic(declared[1]) ? right.Type : ElementType(right.Type) == declared[1] || element == declared[1] && !ElementType(right.Type).IsValid && right.Type.Value != PgTypes.Unknown
            ? right.Type : ArrayType(declared[1]);
        if (!arrayType.IsValid)
        {
            throw _context.Error(SqlStates.UndefinedObject, $"could not find array type for data type {FormatType(declared[1])}", location);
        }

        Expr array = Coerce(right, arrayType, -1, CoercionContext.Implicit, CallForm.ImplicitCast, -1);
        Oid elementType = right.Type.Value == PgTypes.Unknown ? declared[1] : ElementType(array.Type) is { IsValid: true } t ? t : element;
        return new ArrayOpExpr(op, proc, any, scalar, array, elementType) { Location = location, InputCollation = MergeCollations([scalar, array]) };
    }
}
