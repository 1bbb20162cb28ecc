using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Nodes;

namespace SharedStorage.Sql.Plan;

internal sealed class NestedLoopPlan(PlanNode outer, PlanNode inner, JoinKind kind, IReadOnlyList<Expr> condition, IReadOnlyList<Expr> filter) : PlanNode
{
    public override string Title => kind == JoinKind.Inner ? "Nested Loop" : $"Nested Loop {kind} Join";
    public override IReadOnlyList<PlanNode> Inputs => [outer, inner];

    public override ExecNode Build(PlanBuilder b)
    {
        ExecNode left = outer.Build(b);
        ExecNode right = inner.Build(b with { Lateral = b.EnvOf(left) });
        var node = new NestedLoopNode(left, right, kind);
        Env env = b.EnvOf(node);
        node.Condition = b.Compiler.CompileAnd(condition, env);
        node.Filter = b.Compiler.CompileAnd(filter, env);
        return node;
    }
}

internal sealed class MaterializePlan(PlanNode input, IReadOnlyList<(int Entry, short Column)> columns) : PlanNode
{
    public override string Title => "Materialize";
    public override IReadOnlyList<PlanNode> Inputs => [input];

    public override ExecNode Build(PlanBuilder b)
    {
        ExecNode node = input.Build(b);
        return new MaterializeNode(b.Context, node, columns, b.EnvOf(node));
    }
}

internal sealed record HashKey(Expr Outer, Expr Inner);

internal sealed class HashJoinPlan(PlanNode outer, PlanNode inner, JoinKind kind, IReadOnlyList<HashKey> keys, IReadOnlyList<(int Entry, short Column)> innerColumns,
    IReadOnlyList<Expr> condition, IReadOnlyList<Expr> filter, bool rebuild) : PlanNode
{
    public override string Title => kind == JoinKind.Inner ? "Hash Join" : $"Hash {kind} Join";
    public override IReadOnlyList<PlanNode> Inputs => [outer, inner];

    public override ExecNode Build(PlanBuilder b)
    {
        ExecNode left = outer.Build(b), right = inner.Build(b);
        Env leftEnv = b.EnvOf(left), rightEnv = b.EnvOf(right);
        var node = new HashJoinNode(b.Context, left, right, kind, [.. keys.Select(k => b.Compiler.TypeOf(k.Outer.Type))],
            [.. keys.Select(k => b.Compiler.Compile(k.Outer, leftEnv))], [.. keys.Select(k => b.Compiler.Compile(k.Inner, rightEnv))], innerColumns, leftEnv, rightEnv)
        {
            RebuildAlways = rebuild,
        };
        Env env = b.EnvOf(node);
        node.Condition = b.Compiler.CompileAnd(condition, env);
        node.Filter = b.Compiler.CompileAnd(filter, env);
        return node;
    }
}
