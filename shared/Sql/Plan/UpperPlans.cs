using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Nodes;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;
using PgType = SharedStorage.Sql.Types.PgType;

namespace SharedStorage.Sql.Plan;

internal sealed class ProjectPlan(PlanNode input, IReadOnlyList<Expr> targets) : RowPlan
{
    public override string Title => "Project";
    public override IReadOnlyList<PlanNode> Inputs => [input];

    public override RowNode BuildRows(PlanBuilder b)
    {
        ExecNode node = input.Build(b);
        Env env = b.EnvOf(node);
        if (!targets.Any(IsSet))
        {
            return new ProjectNode(node, b.Compiler.CompileAll(targets, env));
        }

        var plain = new Evaluator?[targets.Count];
        var sets = new SetTarget?[targets.Count];
        for (int i = 0; i < plain.Length; i++)
        {
            if (IsSet(targets[i]))
            {
                var f = (FuncExpr)targets[i];
                sets[i] = new SetTarget(b.Compiler.BindSet(f), b.Compiler.CompileAll(f.Args, env), f.Proc.ProIsStrict);
            }
            else
            {
                plain[i] = b.Compiler.Compile(targets[i], env);
            }
        }

        return new ProjectSetNode(b.Context, node, plain, sets);
    }

    private static bool IsSet(Expr e) => e is FuncExpr { Proc.ProRetSet: true };
}

internal sealed record SortKeyPlan(int Column, Oid Type, Oid Collation, bool Descending, bool NullsFirst)
{
    public SortKey Build(PlanBuilder b) => new(Column, b.Compiler.TypeOf(Type), b.Compiler.CollationOf(Collation), Descending, NullsFirst);
}

internal sealed class SortPlan(RowPlan input, IReadOnlyList<SortKeyPlan> keys, Expr? offset, Expr? limit) : RowPlan
{
    public override string Title => "Sort";
    public override IReadOnlyList<PlanNode> Inputs => [input];

    public override RowNode BuildRows(PlanBuilder b)
    {
        Func<long>? bound = null;
        if (limit is not null)
        {
            Evaluator count = b.Compiler.Compile(limit, b.NewEnv());
            Evaluator? skip = offset is null ? null : b.Compiler.Compile(offset, b.NewEnv());
            bound = () =>
            {
                long n = LimitNode.Value(count, "LIMIT", "2201W") ?? long.MaxValue, s = LimitNode.Value(skip, "OFFSET", "2201X") ?? 0;
                return n > long.MaxValue - s ? long.MaxValue : n + s;
            };
        }

        return new SortNode(b.Context, input.BuildRows(b), [.. keys.Select(k => k.Build(b))], bound);
    }
}

internal sealed class LimitPlan(RowPlan input, Expr? offset, Expr? limit, IReadOnlyList<SortKeyPlan>? ties) : RowPlan
{
    public override string Title => "Limit";
    public override IReadOnlyList<PlanNode> Inputs => [input];

    public override RowNode BuildRows(PlanBuilder b) => new LimitNode(input.BuildRows(b), offset is null ? null : b.Compiler.Compile(offset, b.NewEnv()),
        limit is null ? null : b.Compiler.Compile(limit, b.NewEnv()), ties is null ? null : [.. ties.Select(k => k.Build(b))]);
}

internal sealed class DistinctPlan(RowPlan input, int[] columns, Oid[] types) : RowPlan
{
    public override string Title => "HashAggregate";
    public override IReadOnlyList<PlanNode> Inputs => [input];
    public override RowNode BuildRows(PlanBuilder b) => new DistinctNode(b.Context, input.BuildRows(b), columns, [.. types.Select(b.Compiler.TypeOf)]);
}

internal sealed class AppendPlan(RowPlan[] inputs) : RowPlan
{
    public override string Title => "Append";
    public override IReadOnlyList<PlanNode> Inputs => inputs;
    public override RowNode BuildRows(PlanBuilder b) => new AppendNode([.. inputs.Select(i => i.BuildRows(b))]);
}

internal sealed class SetOperationPlan(RowPlan left, RowPlan right, SetNode node) : RowPlan
{
    public override string Title => $"HashSetOp {node.Operator}{(node.All ? " All" : "")}";
    public override IReadOnlyList<PlanNode> Inputs => [left, right];

    public override RowNode BuildRows(PlanBuilder b) => new SetOperationExecNode(b.Context, left.BuildRows(b), right.BuildRows(b), node.Operator, node.All, node.Columns.Count,
        [.. node.Columns.Select(c => b.Compiler.TypeOf(c.Type))]);
}

/// <summary>A branch of a set operation runs at a query level of its own, below the operation's.</summary>
internal sealed class BranchPlan(RowPlan plan) : RowPlan
{
    public override string Title => plan.Title;
    public override IReadOnlyList<PlanNode> Inputs => plan.Inputs;
    public override RowNode BuildRows(PlanBuilder b) => plan.BuildRows(b with { Parent = b.NewEnv(), Lateral = null });
}

internal sealed class AggregatePlan(PlanNode input, IReadOnlyList<Expr> keys, IReadOnlyList<AggExpr> aggregates, IReadOnlyList<VarExpr> carried, IReadOnlyList<Expr> having) : PlanNode
{
    public override string Title => keys.Count == 0 ? "Aggregate" : "HashAggregate";
    public override IReadOnlyList<PlanNode> Inputs => [input];

    public override ExecNode Build(PlanBuilder b)
    {
        ExecNode node = input.Build(b);
        Env env = b.EnvOf(node);
        AggregateSpec[] specs = [.. aggregates.Select(a => Spec(b, a, env))];
        var result = new AggregateNode(b.Context, node, [.. keys], b.Compiler.CompileAll(keys, env), [.. keys.Select(k => b.Compiler.TypeOf(k.Type))], specs,
            [.. carried.Select(v => (v, b.Compiler.Compile(v, env)))], env);
        result.Having = b.Compiler.CompileAnd(having, b.EnvOf(result));
        return result;
    }

    private static AggregateSpec Spec(PlanBuilder b, AggExpr a, Env env)
    {
        ISqlCatalog catalog = b.Context.Catalog;
        PgProc transition = catalog.Proc(a.Aggregate.AggTransFn)!;
        PgProc? final = a.Aggregate.AggFinalFn.IsValid ? catalog.Proc(a.Aggregate.AggFinalFn) : null;
        AggregateFunction function = AggregateRegistry.Bind(new AggregateBinding
        {
            TransitionSource = transition.ProSrc,
            TransitionFunction = transition.Oid,
            TransitionStrict = transition.ProIsStrict,
            FinalSource = final?.ProSrc,
            TransitionType = a.TransType,
            InitialValue = a.Aggregate.AggInitVal,
            ArgumentTypes = [.. a.Args.Select(x => x.Type)],
            ResultType = a.Type,
            Collation = b.Compiler.CollationOf(a.InputCollation),
            Catalogs = b.Context.Eval.Catalogs,
        }) ?? throw PgException.NotSupported($"aggregate {a.Proc.ProName}");
        PgType[]? distinct = a.Distinct ? [.. a.Args.Select(x => b.Compiler.TypeOf(x.Type))] : null;
        return new AggregateSpec(a, function, b.Compiler.CompileAll(a.Args, env))
        {
            Filter = a.Filter is null ? null : b.Compiler.Compile(a.Filter, env),
            DistinctTypes = distinct,
            Order = a.Order.Count == 0 ? null
                : [.. a.Order.Select((o, i) => new SortKey(a.Args.Count + i, b.Compiler.TypeOf(o.Expr.Type), b.Compiler.CollationOf(o.Expr.Collation), o.Descending, o.NullsFirst))],
            OrderValues = [.. a.Order.Select(o => b.Compiler.Compile(o.Expr, env))],
        };
    }
}

internal sealed record LockPlan(RowMark Mark, RangeEntry Entry);

/// <summary>Sorts if asked, then locks the rows that pass.</summary>
internal sealed class LockRowsPlan(PlanNode input, IReadOnlyList<LockPlan> locks, IReadOnlyList<(int Entry, short Column)> columns, IReadOnlyList<Expr> sortValues,
    IReadOnlyList<SortKeyPlan> sortKeys, IReadOnlyList<Expr> recheck) : PlanNode
{
    public override string Title => "LockRows";
    public override IReadOnlyList<PlanNode> Inputs => [input];

    public override ExecNode Build(PlanBuilder b)
    {
        ExecNode node = input.Build(b);
        Env env = b.EnvOf(node);
        if (sortKeys.Count > 0)
        {
            node = new ColumnSortNode(b.Context, node, env, columns, b.Compiler.CompileAll(sortValues, env),
                [.. sortKeys.Select(k => k.Build(b) with { Column = columns.Count + k.Column })]);
            env = b.EnvOf(node);
        }

        LockTarget[] targets = [.. locks.Select(l => new LockTarget(l.Mark, l.Entry.Relation!, Place(env, l.Mark.Entry, SystemColumn.PackedTid)!.Value,
            [.. Enumerable.Range(1, l.Entry.Columns.Count).Select(c => (c - 1, Place(env, l.Mark.Entry, (short)c))).Where(c => c.Item2 is not null).Select(c => (c.Item1, c.Item2!.Value))]))];
        var result = new LockRowsNode(b.Context, node, targets, () => b.Compiler.IsRepeatableRead());
        result.Recheck = b.Compiler.CompileAnd(recheck, b.EnvOf(result));
        return result;
    }

    private static SlotRef? Place(Env env, int entry, short column) => env.Find(new VarExpr(entry, column, default, -1, 0));
}
