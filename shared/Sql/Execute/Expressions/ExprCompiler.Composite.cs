using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;
using Pg = PgQuery;

namespace SharedStorage.Sql.Execute.Expressions;

/// <summary>Arrays, rows, subqueries and the values of the session in expressions.</summary>
public sealed partial class ExprCompiler
{
    private Evaluator CompileArrayOp(ArrayOpExpr a, Env env)
    {
        Evaluator scalar = Compile(a.Scalar, env), array = Compile(a.Array, env);
        PgType element = TypeOf(a.ElementType);
        SqlFunction f = Bind(a.Proc, [a.Scalar.Type, a.ElementType], new Oid(PgTypes.Bool), a.InputCollation);
        Fn2 test = f.Two!;
        bool strict = a.Proc.ProIsStrict;
        byte[]? cachedBytes = null;
        Datum[] cached = [];
        return new FuncEval(() =>
        {
            Datum set = array.Eval();
            if (set.IsNull)
            {
                return Datum.Null;
            }

            // A constant array is taken apart once.
            if (!ReferenceEquals(cachedBytes, set.Bytes))
            {
                cached = new ArrayView(set.Bytes).ToDatums(element);
                cachedBytes = set.Bytes;
            }

            if (cached.Length == 0)
            {
                return Datum.FromBool(!a.IsAny);
            }

            Datum x = scalar.Eval();
            if (strict && x.IsNull)
            {
                return Datum.Null;
            }

            bool unknown = false;
            foreach (Datum y in cached)
            {
                Datum r = strict && y.IsNull ? Datum.Null : test(x, y, _eval);
                if (r.IsNull)
                {
                    unknown = true;
                }
                else if (r.Bool == a.IsAny)
                {
                    return Datum.FromBool(a.IsAny);
                }
            }

            return unknown ? Datum.Null : Datum.FromBool(!a.IsAny);
        });
    }

    private Evaluator CompileArray(ArrayExpr a, Env env)
    {
        Evaluator[] elements = CompileAll(a.Elements, env);
        PgType element = TypeOf(a.ElementType);
        bool constant = elements.All(e => e is ConstEval);
        Datum Build()
        {
            var values = new Datum[elements.Length];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = elements[i].Eval();
            }

            return a.MultiDimensional ? Stack(element, values) : ArrayBuilder.Build(element, values);
        }

        return constant ? new OnceEval(new FuncEval(Build)) : new FuncEval(Build);
    }

    // Arrays as elements: one dimension more, all of the same shape.
    private static Datum Stack(PgType element, Datum[] arrays)
    {
        var all = new List<Datum>();
        int[]? shape = null;
        int used = 0;
        foreach (Datum d in arrays)
        {
            if (d.IsNull)
            {
                continue;
            }

            var view = new ArrayView(d.Bytes);
            var lengths = new int[view.Dimensions];
            for (int i = 0; i < lengths.Length; i++)
            {
                lengths[i] = view.Length(i);
            }

            if (shape is not null && !shape.AsSpan().SequenceEqual(lengths))
            {
                throw new PgException("2202E", "multidimensional arrays must have array expressions with matching dimensions");
            }

            shape = lengths;
            used++;
            all.AddRange(view.ToDatums(element));
        }

        if (shape is null || shape.Length == 0)
        {
            return ArrayBuilder.Empty(element);
        }

        if (used != arrays.Length)
        {
            throw new PgException("2202E", "multidimensional arrays must have array expressions with matching dimensions");
        }

        int[] dimensions = [used, .. shape];
        int[] bounds = [.. dimensions.Select(_ => 1)];
        return ArrayBuilder.Build(element, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(all), dimensions, bounds);
    }

    private FuncEval CompileArrayCoerce(ArrayCoerceExpr a, Env env)
    {
        Evaluator array = Compile(a.Arg, env);
        Slot? saved = _caseSlot;
        var slot = new Slot { Values = new Datum[1] };
        _caseSlot = slot;
        Evaluator each = Compile(a.Element, env);
        _caseSlot = saved;
        PgType from = TypeOf(a.Arg.Type).Element!, to = TypeOf(a.Type).Element!;
        return new FuncEval(() =>
        {
            Datum d = array.Eval();
            if (d.IsNull)
            {
                return d;
            }

            var view = new ArrayView(d.Bytes);
            Datum[] values = view.ToDatums(from);
            for (int i = 0; i < values.Length; i++)
            {
                slot.Values[0] = values[i];
                values[i] = each.Eval();
            }

            var lengths = new int[view.Dimensions];
            var bounds = new int[view.Dimensions];
            for (int i = 0; i < lengths.Length; i++)
            {
                (lengths[i], bounds[i]) = (view.Length(i), view.LowerBound(i));
            }

            return ArrayBuilder.Build(to, values, lengths, bounds);
        });
    }

    private FuncEval CompileSubscript(SubscriptExpr s, Env env)
    {
        Evaluator array = Compile(s.Array, env);
        Evaluator?[] upper = [.. s.Upper.Select(u => u is null ? null : Compile(u, env))];
        Evaluator?[] lower = [.. s.Lower.Select(l => l is null ? null : Compile(l, env))];
        PgType element = TypeOf(s.ElementType);
        bool vector = s.ContainerType.Value is PgTypes.OidVector or PgTypes.Int2Vector;
        if (context.Catalog.Type(s.ContainerType) is { TypLen: > 0 })
        {
            throw PgException.NotSupported("subscripts of a fixed-length type");
        }

        return new FuncEval(() =>
        {
            Datum d = array.Eval();
            if (d.IsNull)
            {
                return d;
            }

            var view = new ArrayView(d.Bytes);
            _ = vector;
            return s.IsSlice ? Slice(view, element, lower, upper) : At(view, element, upper);
        });
    }

    private static Datum At(ArrayView view, PgType element, Evaluator?[] indexes)
    {
        if (view.Dimensions != indexes.Length)
        {
            return Datum.Null;
        }

        int offset = 0;
        for (int i = 0; i < indexes.Length; i++)
        {
            Datum index = indexes[i]!.Eval();
            if (index.IsNull)
            {
                return index;
            }

            int at = index.Int32 - view.LowerBound(i);
            if (at < 0 || at >= view.Length(i))
            {
                return Datum.Null;
            }

            offset = (offset * view.Length(i)) + at;
        }

        return view.ToDatums(element)[offset];
    }

    private static Datum Slice(ArrayView view, PgType element, Evaluator?[] lower, Evaluator?[] upper)
    {
        if (view.Dimensions != 1 || lower.Length != 1)
        {
            if (view.Dimensions == 0)
            {
                return ArrayBuilder.Empty(element);
            }

            throw PgException.NotSupported("slices of arrays with several dimensions");
        }

        int first = view.LowerBound(0), last = first + view.Length(0) - 1;
        Datum l = lower[0]?.Eval() ?? Datum.FromInt32(first), u = upper[0]?.Eval() ?? Datum.FromInt32(last);
        if (l.IsNull || u.IsNull)
        {
            return Datum.Null;
        }

        int from = Math.Max(first, l.Int32), to = Math.Min(last, u.Int32);
        return from > to ? ArrayBuilder.Empty(element) : ArrayBuilder.Build(element, view.ToDatums(element).AsSpan(from - first, to - from + 1));
    }

    private Evaluator CompileSqlValue(SqlValueExpr s)
    {
        Oid type = s.Type;
        string source = s.Op switch
        {
            Pg.SQLValueFunctionOp.SvfopCurrentUser or Pg.SQLValueFunctionOp.SvfopUser or Pg.SQLValueFunctionOp.SvfopCurrentRole => "current_user",
            Pg.SQLValueFunctionOp.SvfopSessionUser => "session_user",
            Pg.SQLValueFunctionOp.SvfopCurrentCatalog => "current_database",
            Pg.SQLValueFunctionOp.SvfopCurrentSchema => "current_schema",
            Pg.SQLValueFunctionOp.SvfopCurrentTimestamp => "now",
            _ => "",
        };
        if (source.Length > 0 && FunctionRegistry.Bind(source, new FunctionBinding { ResultType = type }) is { Zero: { } zero })
        {
            return new Call0(zero, _eval);
        }

        // The others are casts of the transaction's time.
        string? cast = s.Op switch
        {
            Pg.SQLValueFunctionOp.SvfopCurrentDate => "timestamptz_date",
            Pg.SQLValueFunctionOp.SvfopLocaltimestamp or Pg.SQLValueFunctionOp.SvfopLocaltimestampN => "timestamptz_timestamp",
            Pg.SQLValueFunctionOp.SvfopCurrentTime or Pg.SQLValueFunctionOp.SvfopCurrentTimeN => "timestamptz_timetz",
            Pg.SQLValueFunctionOp.SvfopLocaltime or Pg.SQLValueFunctionOp.SvfopLocaltimeN => "timestamptz_time",
            _ => null,
        };
        if (s.Op == Pg.SQLValueFunctionOp.SvfopCurrentTimestampN || cast is null)
        {
            return new FuncEval(() => Datum.FromInt64(Round(_eval.TransactionTimestamp, s.Typmod)));
        }

        SqlFunction f = FunctionRegistry.Bind(cast, new FunctionBinding { ArgumentTypes = [new Oid(PgTypes.TimestampTz)], ResultType = type })
            ?? throw PgException.NotSupported(s.Op.ToString());
        return new FuncEval(() => f.One!(Datum.FromInt64(Round(_eval.TransactionTimestamp, s.Typmod)), _eval));
    }

    private static long Round(long microseconds, int precision)
    {
        if (precision is < 0 or >= 6)
        {
            return microseconds;
        }

        long unit = (long)Math.Pow(10, 6 - precision);
        return (long)Math.Round((double)microseconds / unit, MidpointRounding.AwayFromZero) * unit;
    }

    private Evaluator CompileSubLink(SubLinkExpr s, Env env)
    {
        SubPlanRunner plan = subPlans(s.Query, env);
        switch (s.Kind)
        {
            case SubLinkKind.Exists:
                return Cached(plan, () =>
                {
                    plan.Open();
                    return Datum.FromBool(plan.Next());
                });
            case SubLinkKind.Scalar:
                return Cached(plan, () =>
                {
                    plan.Open();
                    if (!plan.Next())
                    {
                        return Datum.Null;
                    }

                    Datum value = plan.Output.Values[0];
                    return plan.Next() ? throw new PgException(SqlStates.CardinalityViolation, "more than one row returned by a subquery used as an expression") : value;
                });
            case SubLinkKind.Array:
                PgType element = TypeOf(s.Type).Element!;
                return Cached(plan, () =>
                {
                    var values = new List<Datum>();
                    plan.Open();
                    while (plan.Next())
                    {
                        values.Add(plan.Output.Values[0]);
                    }

                    return ArrayBuilder.Build(element, values.ToArray());
                });
            default:
                return CompileQuantified(s, plan, env);
        }
    }

    // An uncorrelated subquery runs once in an execution of the statement.
    private Evaluator Cached(SubPlanRunner plan, Func<Datum> run) => plan.IsCorrelated ? new FuncEval(run) : new PerExecution(context, run);

    private sealed class PerExecution(ExecContext context, Func<Datum> run) : Evaluator
    {
        private long _for = -1;
        private Datum _value;

        public override Datum Eval()
        {
            if (_for != context.Execution)
            {
                _value = run();
                _for = context.Execution;
            }

            return _value;
        }
    }

    private Evaluator CompileQuantified(SubLinkExpr s, SubPlanRunner plan, Env env)
    {
        bool any = s.Kind == SubLinkKind.Any;
        Slot? saved = _subLinkSlot;
        bool hashable = any && !plan.IsCorrelated && s.Comparisons.Count == 1 && s.Comparisons[0] is OpExpr { Operator.OprCanHash: true } op
            && op.Args[1] is SubLinkColumn && op.Args[0].Type == op.Args[1].Type;
        if (hashable)
        {
            var equal = (OpExpr)s.Comparisons[0];
            return new HashedIn(context, plan, Compile(equal.Args[0], env), TypeOf(equal.Args[1].Type));
        }

        var current = new Slot();
        _subLinkSlot = current;
        Evaluator test = CompileAnd(s.Comparisons, env)!;
        _subLinkSlot = saved;
        return new FuncEval(() =>
        {
            bool unknown = false;
            plan.Open();
            while (plan.Next())
            {
                current.Values = plan.Output.Values;
                Datum d = test.Eval();
                if (d.IsNull)
                {
                    unknown = true;
                }
                else if (d.Bool == any)
                {
                    return Datum.FromBool(any);
                }
            }

            return unknown ? Datum.Null : Datum.FromBool(!any);
        });
    }

    private sealed class HashedIn(ExecContext context, SubPlanRunner plan, Evaluator value, PgType type) : Evaluator
    {
        private readonly HashSet<Datum> _set = new(new DatumComparer(type));
        private long _for = -1;
        private bool _hasNull;

        public override Datum Eval()
        {
            if (_for != context.Execution)
            {
                Load();
            }

            Datum x = value.Eval();
            if (x.IsNull)
            {
                return _set.Count == 0 && !_hasNull ? Datum.FromBool(false) : x;
            }

            return _set.Contains(x) ? Datum.FromBool(true) : _hasNull ? Datum.Null : Datum.FromBool(false);
        }

        private void Load()
        {
            (_hasNull, _for) = (false, context.Execution);
            _set.Clear();
            plan.Open();
            while (plan.Next())
            {
                Datum d = plan.Output.Values[0];
                if (d.IsNull)
                {
                    _hasNull = true;
                }
                else
                {
                    _set.Add(d);
                }
            }
        }
    }

    private FuncEval CompileRow(RowExpr r, Env env)
    {
        Evaluator[] args = CompileAll(r.Args, env);
        return new FuncEval(() =>
        {
            var values = new Datum[args.Length];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = args[i].Eval();
            }

            return Datum.FromObject(new RowValue(values, r));
        });
    }

    private FuncEval CompileField(FieldSelectExpr f, Env env)
    {
        Evaluator arg = Compile(f.Arg, env);
        return new FuncEval(() => arg.Eval() is { IsNull: false, Object: RowValue row } ? row.Values[f.Column - 1] : Datum.Null);
    }

    private Evaluator CompileDomain(DomainExpr d, Env env)
    {
        Evaluator value = Compile(d.Arg, env);
        var slot = new Slot { Values = new Datum[1] };
        var tests = new List<(string Domain, string? Constraint, Evaluator? Test)>();
        Slot? saved = _caseSlot;
        _caseSlot = slot;
        // A domain over a domain has the checks of both.
        for (Catalog.Rows.PgType? type = context.Catalog.Type(d.Type); type is { TypType: 'd' }; type = context.Catalog.Type(type.TypBaseType))
        {
            if (type.TypNotNull)
            {
                tests.Add((type.TypName, null, null));
            }

            foreach (Catalog.Rows.PgConstraint c in context.Catalog.DomainChecks(type.Oid))
            {
                tests.Add((type.TypName, c.ConName, Compile(NodeTreeReader.ReadExpr(context.Catalog, c.ConBin!), env)));
            }
        }

        _caseSlot = saved;
        if (tests.Count == 0)
        {
            return value;
        }

        return new FuncEval(() =>
        {
            Datum result = value.Eval();
            slot.Values[0] = result;
            foreach ((string domain, string? constraint, Evaluator? test) in tests)
            {
                if (test is null && result.IsNull)
                {
                    throw new PgException(SqlStates.NotNullViolation, $"domain {domain} does not allow null values") { DataType = domain };
                }

                if (test?.Eval() is { IsNull: false, Bool: false })
                {
                    throw new PgException(SqlStates.CheckViolation, $"value for domain {domain} violates check constraint \"{constraint}\"") { DataType = domain, Constraint = constraint };
                }
            }

            return result;
        });
    }
}

/// <summary>A row as a value, while it is computed.</summary>
public sealed record RowValue(Datum[] Values, RowExpr Shape);

/// <summary>Equality of values of one type, for hash tables.</summary>
public sealed class DatumComparer(PgType type) : IEqualityComparer<Datum>
{
    public bool Equals(Datum x, Datum y) => x.IsNull ? y.IsNull : !y.IsNull && type.AreEqual(x, y);
    public int GetHashCode(Datum value) => value.IsNull ? 0 : type.Hash(value);
}

public sealed partial class ExprCompiler
{
    private readonly Dictionary<CommonTable, Nodes.SharedRows> _commonTables = [];

    /// <summary>Asked when a row turns out to be changed by another transaction.</summary>
    public Func<bool> IsRepeatableRead { get; init; } = () => false;

    internal Nodes.SharedRows SharedRowsOf(CommonTable table, Func<Nodes.SharedRows> make)
    {
        if (!_commonTables.TryGetValue(table, out Nodes.SharedRows? rows))
        {
            _commonTables[table] = rows = make();
        }

        return rows;
    }
}
