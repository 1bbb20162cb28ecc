using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;
using PgType = SharedStorage.Sql.Types.PgType;

namespace SharedStorage.Sql.Execute.Expressions;

/// <summary>
/// Binds expressions to the slots of an executor tree. Columns of outer queries are read from the outer tree's slots, so correlated subqueries need no
/// parameters.
/// </summary>
public sealed partial class ExprCompiler(ExecContext context, Func<Query, Env, SubPlanRunner> subPlans)
{
    private readonly EvalContext _eval = context.Eval;

    // The innermost CASE or array coercion, and the row of the subquery that is compared.
    private Slot? _caseSlot;
    private Slot? _subLinkSlot;

    public Evaluator Compile(Expr expr, Env env)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        if (expr is not (ConstExpr or ParamExpr or VarExpr) && env.Find(expr) is { } computed)
        {
            return new SlotEval(computed.Slot, computed.Index);
        }

        return expr switch
        {
            ConstExpr c => new ConstEval(c.Value),
            ParamExpr p => new ParamEval(context, p.Number - 1),
            VarExpr v => CompileVar(v, env),
            FuncExpr f => CompileCall(f.Proc, f.Args, f.Type, f.InputCollation, f.Variadic, env),
            OpExpr o => CompileOperator(o, env),
            BoolExpr b => CompileBool(b, env),
            NullTestExpr n => CompileNullTest(n, env),
            BooleanTestExpr t => CompileBooleanTest(t, env),
            RelabelExpr r => Compile(r.Arg, env),
            CollateExpr c => Compile(c.Arg, env),
            IoCoerceExpr io => CompileIo(io, env),
            CaseExpr c => CompileCase(c, env),
            CaseTestExpr => new SlotEval(_caseSlot ?? throw new InvariantException("SQL", "a CASE value outside of CASE"), 0),
            CoalesceExpr c => new CoalesceEval(CompileAll(c.Args, env)),
            MinMaxExpr m => CompileMinMax(m, env),
            ArrayOpExpr a => CompileArrayOp(a, env),
            ArrayExpr a => CompileArray(a, env),
            ArrayCoerceExpr a => CompileArrayCoerce(a, env),
            SubscriptExpr s => CompileSubscript(s, env),
            SqlValueExpr s => CompileSqlValue(s),
            SubLinkExpr s => CompileSubLink(s, env),
            SubLinkColumn c => new SlotEval(_subLinkSlot!, c.Column),
            RowExpr r => CompileRow(r, env),
            FieldSelectExpr f => CompileField(f, env),
            DomainExpr d => CompileDomain(d, env),
            AggExpr a => throw PgException.NotSupported($"aggregate {a.Proc.ProName} at this place"),
            NextValueExpr n => new FuncEval(() => Datum.FromInt64(_eval.Session.SequenceNext(n.Sequence))),
            _ => throw PgException.NotSupported(expr.GetType().Name),
        };
    }

    public Evaluator[] CompileAll(IReadOnlyList<Expr> exprs, Env env)
    {
        var result = new Evaluator[exprs.Count];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = Compile(exprs[i], env);
        }

        return result;
    }

    /// <summary>A conjunction, or null when there is nothing to test.</summary>
    public Evaluator? CompileAnd(IReadOnlyList<Expr> conditions, Env env) => conditions.Count switch
    {
        0 => null,
        1 => Compile(conditions[0], env),
        _ => new AndEval(CompileAll(conditions, env)),
    };

    private static SlotEval CompileVar(VarExpr v, Env env)
    {
        SlotRef place = env.Find(v) ?? throw new InvariantException("SQL",
            $"column {v.Entry}.{v.Column} (level {v.LevelsUp}) is not available where it is used");
        return new SlotEval(place.Slot, place.Index);
    }

    internal Collation? CollationOf(Oid collation) => collation.IsValid ? context.Catalog.CollationOf(collation) : null;

    private FunctionBinding Binding(PgProc proc, IReadOnlyList<Oid> types, Oid result, Oid collation, bool variadic) => new()
    {
        Function = proc.Oid,
        ArgumentTypes = types,
        ResultType = result,
        Collation = CollationOf(collation),
        Catalogs = _eval.Catalogs,
        VariadicArray = variadic,
    };

    internal SqlFunction Bind(PgProc proc, IReadOnlyList<Oid> types, Oid result, Oid collation, bool variadic = false) =>
        FunctionRegistry.Bind(proc.ProSrc, Binding(proc, types, result, collation, variadic))
            ?? throw PgException.NotSupported($"function {proc.ProName}({string.Join(", ", types.Select(t => context.Catalog.Type(t)?.TypName ?? t.ToString()))})");

    internal SetFunction BindSet(FuncExpr f) =>
        SetFunctionRegistry.Bind(f.Proc.ProSrc, Binding(f.Proc, [.. f.Args.Select(a => a.Type)], f.Type, f.InputCollation, f.Variadic))
            ?? SessionSetFunctions.Find(f.Proc.ProSrc, context.Catalog)
            ?? throw PgException.NotSupported($"set-returning function {f.Proc.ProName}");

    private Evaluator CompileCall(PgProc proc, IReadOnlyList<Expr> args, Oid result, Oid collation, bool variadic, Env env)
    {
        if (proc.ProRetSet)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "set-valued function called in context that cannot accept a set");
        }

        if (ComparisonOf(proc.ProSrc) is { } comparison && args.Count == 2)
        {
            return Fold(new BitsCompareEval(comparison, Compile(args[0], env), Compile(args[1], env)), args, proc);
        }

        Evaluator[] a = CompileAll(args, env);
        SqlFunction f = Bind(proc, [.. args.Select(x => x.Type)], result, collation, variadic);
        Evaluator call = f.Arity switch
        {
            0 when a.Length == 0 => new Call0(f.Zero!, _eval),
            1 when a.Length == 1 => new Call1(f.One!, a[0], proc.ProIsStrict, _eval),
            2 when a.Length == 2 => new Call2(f.Two!, a[0], a[1], proc.ProIsStrict, _eval),
            3 when a.Length == 3 => new Call3(f.Three!, a[0], a[1], a[2], proc.ProIsStrict, _eval),
            -1 => new CallN(f.Many!, a, proc.ProIsStrict, _eval),
            _ => throw PgException.NotSupported($"function {proc.ProName} with {a.Length} arguments"),
        };
        return Fold(call, args, proc);
    }

    // Constants over immutable functions are computed once, when they are first needed: an error must not come from a branch that is never taken.
    private static Evaluator Fold(Evaluator call, IReadOnlyList<Expr> args, PgProc proc) =>
        proc.ProVolatile == 'i' && args.Count > 0 && args.All(x => x is ConstExpr) ? new OnceEval(call) : call;

    private sealed class OnceEval(Evaluator inner) : Evaluator
    {
        private Datum? _value;
        public override Datum Eval() => _value ??= inner.Eval();
    }

    private Evaluator CompileOperator(OpExpr o, Env env)
    {
        if (o.Kind == OperatorKind.Plain)
        {
            return CompileCall(o.Proc, o.Args, o.Type, o.InputCollation, false, env);
        }

        Evaluator a = Compile(o.Args[0], env), b = Compile(o.Args[1], env);
        SqlFunction f = Bind(o.Proc, [o.Args[0].Type, o.Args[1].Type], new Oid(PgTypes.Bool), o.InputCollation);
        Fn2 equal = f.Two!;
        if (o.Kind == OperatorKind.Distinct)
        {
            return new FuncEval(() =>
            {
                Datum x = a.Eval(), y = b.Eval();
                return Datum.FromBool(x.IsNull || y.IsNull ? x.IsNull != y.IsNull : !equal(x, y, _eval).Bool);
            });
        }

        return new FuncEval(() =>
        {
            Datum x = a.Eval(), y = b.Eval();
            return !x.IsNull && !y.IsNull && equal(x, y, _eval) is { IsNull: false, Bool: true } ? Datum.Null : x;
        });
    }

    private Evaluator CompileBool(BoolExpr b, Env env) => b.Operation switch
    {
        BoolOperation.And => new AndEval(CompileAll(b.Args, env)),
        BoolOperation.Or => new OrEval(CompileAll(b.Args, env)),
        _ => new NotEval(Compile(b.Args[0], env)),
    };

    private Evaluator CompileNullTest(NullTestExpr n, Env env)
    {
        Evaluator arg = Compile(n.Arg, env);
        return new NullTestEval(arg, n.IsNull);
    }

    private FuncEval CompileBooleanTest(BooleanTestExpr t, Env env)
    {
        Evaluator arg = Compile(t.Arg, env);
        return new FuncEval(() =>
        {
            Datum d = arg.Eval();
            return Datum.FromBool(t.Test switch
            {
                BooleanTest.IsTrue => !d.IsNull && d.Bool,
                BooleanTest.IsNotTrue => d.IsNull || !d.Bool,
                BooleanTest.IsFalse => !d.IsNull && !d.Bool,
                BooleanTest.IsNotFalse => d.IsNull || d.Bool,
                BooleanTest.IsUnknown => d.IsNull,
                _ => !d.IsNull,
            });
        });
    }

    private FuncEval CompileIo(IoCoerceExpr io, Env env)
    {
        Evaluator arg = Compile(io.Arg, env);
        PgType from = TypeOf(io.Arg.Type), to = TypeOf(io.Type);
        return new FuncEval(() =>
        {
            Datum d = arg.Eval();
            return d.IsNull ? d : to.Input(from.OutputBytes(d, _eval), -1, _eval);
        });
    }

    internal PgType TypeOf(Oid type) => TypeRegistry.Get(type, _eval.Catalogs);

    private CaseEval CompileCase(CaseExpr c, Env env)
    {
        Slot? saved = _caseSlot;
        var slot = new Slot { Values = new Datum[1] };
        Evaluator? arg = c.Arg is null ? null : Compile(c.Arg, env);
        _caseSlot = arg is null ? saved : slot;
        Evaluator[] conditions = CompileAll(c.Conditions, env);
        _caseSlot = saved;
        return new CaseEval(arg, slot, conditions, CompileAll(c.Results, env), Compile(c.Otherwise, env));
    }

    private FuncEval CompileMinMax(MinMaxExpr m, Env env)
    {
        Evaluator[] args = CompileAll(m.Args, env);
        PgType type = TypeOf(m.Type);
        Collation? collation = CollationOf(m.InputCollation);
        return new FuncEval(() =>
        {
            Datum best = Datum.Null;
            foreach (Evaluator arg in args)
            {
                Datum d = arg.Eval();
                if (!d.IsNull && (best.IsNull || (type.Compare(d, best, collation) > 0) == m.Greatest))
                {
                    best = d;
                }
            }

            return best;
        });
    }

    /// <summary>Comparisons that are those of the bits: the types' own functions give the same.</summary>
    private static BitsComparison? ComparisonOf(string source)
    {
        if (!(source.StartsWith("int", StringComparison.Ordinal) || source.StartsWith("date_", StringComparison.Ordinal)
            || source.StartsWith("timestamp_", StringComparison.Ordinal) || source.StartsWith("oid", StringComparison.Ordinal)))
        {
            return null;
        }

        return source switch
        {
            "int4eq" or "int8eq" or "int2eq" or "int24eq" or "int42eq" or "int48eq" or "int84eq" or "int28eq" or "int82eq" or "oideq" or "date_eq" or "timestamp_eq"
                => BitsComparison.Equal,
            "int4ne" or "int8ne" or "int2ne" or "int24ne" or "int42ne" or "int48ne" or "int84ne" or "int28ne" or "int82ne" or "oidne" or "date_ne" or "timestamp_ne"
                => BitsComparison.NotEqual,
            "int4lt" or "int8lt" or "int2lt" or "int24lt" or "int42lt" or "int48lt" or "int84lt" or "int28lt" or "int82lt" or "date_lt" or "timestamp_lt"
                => BitsComparison.Less,
            "int4le" or "int8le" or "int2le" or "int24le" or "int42le" or "int48le" or "int84le" or "int28le" or "int82le" or "date_le" or "timestamp_le"
                => BitsComparison.LessOrEqual,
            "int4gt" or "int8gt" or "int2gt" or "int24gt" or "int42gt" or "int48gt" or "int84gt" or "int28gt" or "int82gt" or "date_gt" or "timestamp_gt"
                => BitsComparison.Greater,
            "int4ge" or "int8ge" or "int2ge" or "int24ge" or "int42ge" or "int48ge" or "int84ge" or "int28ge" or "int82ge" or "date_ge" or "timestamp_ge"
                => BitsComparison.GreaterOrEqual,
            _ => null,
        };
    }
}

/// <summary>A subquery that an expression runs: opened anew for each evaluation.</summary>
public abstract class SubPlanRunner
{
    public abstract Slot Output { get; }
    public abstract void Open();
    public abstract bool Next();
    public abstract bool IsCorrelated { get; }
}
