using SharedStorage.Sql.Execute;

namespace SharedStorage.Sql.Plan;

/// <summary>A node of a plan: immutable, kept in plan caches; executor trees are built of it.</summary>
public abstract class PlanNode
{
    /// <summary>Estimated rows for one opening.</summary>
    public double Rows { get; init; } = 1;

    /// <summary>Estimated cost of reading all rows once, in PostgreSQL's units (a sequential page is 1).</summary>
    public double Cost { get; init; }

    /// <summary>The line of EXPLAIN.</summary>
    public abstract string Title { get; }
    public virtual IReadOnlyList<PlanNode> Inputs => [];

    /// <summary>Further lines of EXPLAIN ("Filter", "Index Cond").</summary>
    public virtual IEnumerable<string> Details => [];

    public abstract ExecNode Build(PlanBuilder b);
}

/// <summary>A plan whose rows are arrays.</summary>
public abstract class RowPlan : PlanNode
{
    public sealed override ExecNode Build(PlanBuilder b) => BuildRows(b);
    public abstract RowNode BuildRows(PlanBuilder b);
}

/// <summary>Paths that enable_seqscan, enable_indexscan and enable_indexonlyscan switch off.</summary>
[Flags]
public enum PlanPaths
{
    None = 0,
    SeqScan = 1,
    IndexScan = 2,
    IndexOnlyScan = 4,
}

/// <summary>PostgreSQL's cost parameters, its defaults.</summary>
internal static class Costs
{
    public const double SequentialPage = 1.0, RandomPage = 4.0, Tuple = 0.01, IndexTuple = 0.005, Operator = 0.0025;
}
