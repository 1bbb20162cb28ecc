using SharedStorage.Access;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;

namespace SharedStorage.Sql.Analyze;

public enum QueryKind
{
    Select, Insert, Update, Delete,
}

/// <summary>An analyzed statement (PostgreSQL's Query).</summary>
public sealed class Query
{
    public QueryKind Kind { get; set; }

    /// <summary>Numbered from 1 in <see cref="VarExpr.Entry"/>.</summary>
    public List<RangeEntry> Entries { get; } = [];

    /// <summary>The FROM list; its items are joined by a cross product.</summary>
    public List<FromItem> From { get; } = [];
    public Expr? Where { get; set; }
    public List<Target> Targets { get; set; } = [];

    /// <summary>Indexes into <see cref="Targets"/>.</summary>
    public List<SortClause> GroupBy { get; } = [];
    public Expr? Having { get; set; }

    /// <summary>DISTINCT: null for none; the columns of DISTINCT ON, or all non-junk ones.</summary>
    public List<SortClause>? Distinct { get; set; }
    public bool IsDistinctOn { get; set; }
    public List<SortClause> Sort { get; } = [];
    public Expr? Offset { get; set; }
    public Expr? Limit { get; set; }
    public bool LimitWithTies { get; set; }
    public List<RowMark> RowMarks { get; } = [];

    /// <summary>The tree of UNION, INTERSECT, EXCEPT; its leaves are subquery entries.</summary>
    public SetOperationNode? SetOperation { get; set; }
    public List<CommonTable> CommonTables { get; } = [];
    public bool HasAggregates { get; set; }
    public bool HasSubLinks { get; set; }

    /// <summary>Some expression of the target list returns a set.</summary>
    public bool HasTargetSets { get; set; }

    // INSERT, UPDATE, DELETE
    /// <summary>The entry that is changed; 0 for SELECT.</summary>
    public int ResultEntry { get; set; }

    /// <summary>
    /// INSERT, UPDATE: for each column of the table its new value; null keeps (UPDATE) the old one. An INSERT's refer to the one entry of its source.
    /// </summary>
    public Expr?[] NewValues { get; set; } = [];
    public List<Target>? Returning { get; set; }
    public Query? Parent { get; set; }

    /// <summary>Whether an expression within refers to a query above this one.</summary>
    public bool IsCorrelated { get; set; }

    public RangeEntry Entry(int number) => Entries[number - 1];
}

public sealed class Target(Expr expr, string name, bool junk = false)
{
    public Expr Expr { get; set; } = expr;
    public string Name { get; set; } = name;

    /// <summary>Not part of the result: a sort or group expression only.</summary>
    public bool Junk { get; set; } = junk;
    public Oid TableId { get; set; }
    public short TableColumn { get; set; }
}

/// <param name="Target">Index from 0 into the target list.</param>
/// <param name="LessOperator">The type's "&lt;" of its btree class; or 0 when only equality is known.</param>
public readonly record struct SortClause(int Target, Oid LessOperator, Oid EqualOperator, bool Descending, bool NullsFirst);

public enum EntryKind
{
    Relation, Subquery, Function, Values, CommonTable, Result,
}

/// <summary>An entry of the range table.</summary>
public sealed class RangeEntry
{
    public required EntryKind Kind { get; init; }
    public required string Alias { get; init; }
    public List<EntryColumn> Columns { get; } = [];
    public bool Lateral { get; init; }

    public Relation? Relation { get; init; }
    public PgClass? Class { get; init; }
    public LockMode Lock { get; set; }
    public Query? Subquery { get; set; }
    public List<FuncExpr> Functions { get; } = [];
    public bool Ordinality { get; init; }
    public List<Expr[]> Values { get; } = [];
    public CommonTable? CommonTable { get; init; }
}

public readonly record struct EntryColumn(string Name, Oid Type, int Typmod, Oid Collation, bool Dropped = false);

public sealed class CommonTable
{
    public required string Name { get; init; }
    public required Query Query { get; init; }
    public List<string> Columns { get; } = [];
    public int References { get; set; }
    public bool Recursive { get; set; }
}

public abstract class FromItem;

public sealed class FromEntry(int entry) : FromItem
{
    public int Entry { get; } = entry;
}

public enum JoinKind
{
    Inner, Left, Full, Semi, Anti,
}

/// <summary>A join; a right join is turned into a left one. A cross join has no condition.</summary>
public sealed class FromJoin(JoinKind kind, FromItem left, FromItem right, Expr? condition) : FromItem
{
    public JoinKind Kind { get; } = kind;
    public FromItem Left { get; } = left;
    public FromItem Right { get; } = right;
    public Expr? Condition { get; set; } = condition;
}

public enum SetOperator
{
    Union, Intersect, Except,
}

public abstract class SetOperationNode;

public sealed class SetLeaf(int entry) : SetOperationNode
{
    public int Entry { get; } = entry;
}

public sealed class SetNode(SetOperator op, bool all, SetOperationNode left, SetOperationNode right) : SetOperationNode
{
    public SetOperator Operator { get; } = op;
    public bool All { get; } = all;
    public SetOperationNode Left { get; } = left;
    public SetOperationNode Right { get; } = right;

    /// <summary>The columns' types after both sides are coerced, with how they are compared.</summary>
    public List<EntryColumn> Columns { get; } = [];
    public List<SortClause> Keys { get; } = [];
}

/// <summary>FOR UPDATE and its weaker forms on one entry.</summary>
public sealed record RowMark(int Entry, Access.Heap.RowLockMode Mode, Access.Heap.LockWait Wait);
