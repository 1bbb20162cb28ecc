using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Nodes;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Plan;

/// <summary>What a scan of an entry must give: which columns are used, and which conditions it tests itself.</summary>
internal sealed record ScanTarget(int Number, RangeEntry Entry, bool[] Wanted, IReadOnlyList<short> SystemColumns)
{
    public string Title => Entry.Alias == Entry.Relation?.Name ? Entry.Alias : $"{Entry.Relation?.Name} {Entry.Alias}".Trim();
}

internal sealed class SeqScanPlan(ScanTarget target, IReadOnlyList<Expr> filter) : PlanNode
{
    public override string Title => $"Seq Scan on {target.Title}";
    public override IEnumerable<string> Details => filter.Count > 0 ? [$"Filter: {filter.Count} conditions"] : [];

    public override ExecNode Build(PlanBuilder b)
    {
        var node = new SeqScanNode(b.Context, target.Number, target.Entry.Relation!, target.SystemColumns, target.Wanted);
        node.Filter = b.Compiler.CompileAnd(filter, b.EnvOf(node));
        return node;
    }
}

/// <summary>A bound of an index column: "column strategy value".</summary>
internal sealed record BoundPlan(int Column, BtreeStrategy Strategy, Expr? Value, Comparison<Datum>? Compare);

/// <param name="target">The table.</param>
/// <param name="index">The index.</param>
/// <param name="only">All columns that are used are in the index: an index-only scan.</param>
/// <param name="backward">Against the index's order.</param>
/// <param name="bounds">Conditions that bound the scan.</param>
/// <param name="filter">Conditions that are tested on each row.</param>
internal sealed class IndexScanPlan(ScanTarget target, IndexInfo index, bool only, bool backward, IReadOnlyList<BoundPlan> bounds, IReadOnlyList<Expr> filter) : PlanNode
{
    public IndexInfo Index { get; } = index;
    public override string Title => $"Index {(only ? "Only " : "")}Scan {(backward ? "Backward " : "")}using {Index.Relation.Name} on {target.Title}";

    public override IEnumerable<string> Details
    {
        get
        {
            if (bounds.Count > 0)
            {
                yield return $"Index Cond: {string.Join(" AND ", bounds.Select(x => $"{Index.Columns[x.Column].Attribute.Name} {x.Strategy}"))}";
            }

            if (filter.Count > 0)
            {
                yield return $"Filter: {filter.Count} conditions";
            }
        }
    }

    public override ExecNode Build(PlanBuilder b)
    {
        BtreeScanNode node = only
            ? new IndexOnlyScanNode(b.Context, target.Number, target.Entry.Relation!, Index, backward, target.Wanted)
            : new IndexScanNode(b.Context, target.Number, target.Entry.Relation!, Index, backward, target.SystemColumns);
        Env outside = b.NewEnv();
        node.Bounds = [.. bounds.Select(x => new IndexBound(x.Column, x.Strategy, x.Value is null ? null : b.Compiler.Compile(x.Value, outside), x.Compare))];
        node.Filter = b.Compiler.CompileAnd(filter, b.EnvOf(node));
        return node;
    }
}

internal sealed class ValuesPlan(int number, RangeEntry entry, IReadOnlyList<Expr> filter) : PlanNode
{
    public override string Title => "Values Scan on \"*VALUES*\"";

    public override ExecNode Build(PlanBuilder b)
    {
        Env outside = b.NewEnv();
        Evaluator[][] rows = [.. entry.Values.Select(r => b.Compiler.CompileAll(r, outside))];
        var node = new ValuesNode(number, entry.Columns.Count, rows);
        node.Filter = b.Compiler.CompileAnd(filter, b.EnvOf(node));
        return node;
    }
}

internal sealed class FunctionPlan(int number, RangeEntry entry, IReadOnlyList<Expr> filter) : PlanNode
{
    public override string Title => $"Function Scan on {entry.Alias}";

    public override ExecNode Build(PlanBuilder b)
    {
        Env outside = b.NewEnv();
        var sources = new FunctionSource[entry.Functions.Count];
        int single = sources.Length == 1 ? entry.Columns.Count - (entry.Ordinality ? 1 : 0) : 0;
        for (int i = 0; i < sources.Length; i++)
        {
            FuncExpr f = entry.Functions[i];
            if (f.Proc.ProRetSet)
            {
                SetFunction set = b.Compiler.BindSet(f);
                sources[i] = new FunctionSource(set, null, b.Compiler.CompileAll(f.Args, outside), f.Proc.ProIsStrict, single > 0 ? single : set.Columns);
            }
            else
            {
                sources[i] = new FunctionSource(null, b.Compiler.Compile(f, outside), [], false, single > 0 ? single : 1);
            }
        }

        var node = new FunctionNode(b.Context, number, entry.Columns.Count, sources, entry.Ordinality);
        node.Filter = b.Compiler.CompileAnd(filter, b.EnvOf(node));
        return node;
    }
}

internal sealed class SubqueryPlan(int number, RangeEntry entry, RowPlan plan, IReadOnlyList<Expr> filter) : PlanNode
{
    public override string Title => $"Subquery Scan on {entry.Alias}";
    public override IReadOnlyList<PlanNode> Inputs => [plan];

    public override ExecNode Build(PlanBuilder b)
    {
        RowNode input = plan.BuildRows(b with { Parent = b.NewEnv(), Lateral = null });
        var node = new SubqueryNode(number, entry.Columns.Count, input);
        node.Filter = b.Compiler.CompileAnd(filter, b.EnvOf(node));
        return node;
    }
}

/// <summary>A reference to a WITH query: all references in a tree share its rows.</summary>
internal sealed class CommonTablePlan(int number, RangeEntry entry, RowPlan plan, IReadOnlyList<Expr> filter) : PlanNode
{
    public override string Title => $"CTE Scan on {entry.Alias}";
    public override IReadOnlyList<PlanNode> Inputs => [plan];

    public override ExecNode Build(PlanBuilder b)
    {
        SharedRows rows = b.Compiler.SharedRowsOf(entry.CommonTable!, () => new SharedRows(b.Context, plan.BuildRows(b with { Parent = b.NewEnv(), Lateral = null })));
        var node = new CommonTableNode(number, entry.Columns.Count, rows);
        node.Filter = b.Compiler.CompileAnd(filter, b.EnvOf(node));
        return node;
    }
}

internal sealed class ResultPlan(IReadOnlyList<Expr> condition) : PlanNode
{
    public override string Title => "Result";
    public override ExecNode Build(PlanBuilder b) => new ResultNode(b.Compiler.CompileAnd(condition, b.NewEnv()));
}

internal sealed class FilterPlan(PlanNode input, IReadOnlyList<Expr> condition) : PlanNode
{
    public override string Title => "Filter";
    public override IReadOnlyList<PlanNode> Inputs => [input];

    public override ExecNode Build(PlanBuilder b)
    {
        ExecNode node = input.Build(b);
        return new FilterNode(node, b.Compiler.CompileAnd(condition, b.EnvOf(node))!);
    }
}
