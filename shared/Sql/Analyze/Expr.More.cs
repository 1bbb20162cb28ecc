using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>CASE; with <see cref="Arg"/> each condition compares a <see cref="CaseTestExpr"/> with its value.</summary>
public sealed class CaseExpr(Oid type, Expr? arg, Expr[] conditions, Expr[] results, Expr otherwise) : Expr
{
    public Expr? Arg { get; } = arg;
    public IReadOnlyList<Expr> Conditions { get; } = conditions;
    public IReadOnlyList<Expr> Results { get; } = results;
    public Expr Otherwise { get; } = otherwise;
    public override Oid Type { get; } = type;

    public override int Typmod
    {
        get
        {
            int typmod = Otherwise.Typmod;
            return typmod >= 0 && Results.All(r => r.Type == Type && r.Typmod == typmod) ? typmod : -1;
        }
    }

    public override IReadOnlyList<Expr> Children => Arg is null ? [.. Conditions, .. Results, Otherwise] : [.. Conditions, .. Results, Otherwise, Arg];

    public override Expr With(Expr[] children)
    {
        int n = Conditions.Count;
        return new CaseExpr(Type, Arg is null ? null : children[(2 * n) + 1], children[..n], children[n..(2 * n)], children[2 * n])
        {
            Collation = Collation,
            Location = Location,
        };
    }

    protected override bool SameNode(Expr other) => Conditions.Count == ((CaseExpr)other).Conditions.Count;
}

/// <summary>The value that CASE compares, within its conditions.</summary>
public sealed class CaseTestExpr(Oid type, int typmod) : Expr
{
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    protected override bool SameNode(Expr other) => true;
}

public sealed class CoalesceExpr(Oid type, Expr[] args) : Expr
{
    public IReadOnlyList<Expr> Args { get; } = args;
    public override Oid Type { get; } = type;
    public override int Typmod => Args.All(a => a.Typmod == Args[0].Typmod && a.Type == Type) ? Args[0].Typmod : -1;
    public override IReadOnlyList<Expr> Children => Args;
    public override Expr With(Expr[] children) => new CoalesceExpr(Type, children) { Collation = Collation, Location = Location };
    protected override bool SameNode(Expr other) => true;
}

/// <summary>GREATEST and LEAST.</summary>
public sealed class MinMaxExpr(Oid type, bool greatest, Expr[] args) : Expr
{
    public bool Greatest { get; } = greatest;
    public IReadOnlyList<Expr> Args { get; } = args;
    public Oid InputCollation { get; init; }
    public override Oid Type { get; } = type;
    public override IReadOnlyList<Expr> Children => Args;

    public override Expr With(Expr[] children) => new MinMaxExpr(Type, Greatest, children)
    {
        InputCollation = InputCollation,
        Collation = Collation,
        Location = Location,
    };

    protected override bool SameNode(Expr other) => Greatest == ((MinMaxExpr)other).Greatest;
}

public sealed class AggExpr(PgProc proc, PgAggregate aggregate, Expr[] args, Oid type, Oid transType) : Expr
{
    public PgProc Proc { get; } = proc;
    public PgAggregate Aggregate { get; } = aggregate;
    public IReadOnlyList<Expr> Args { get; } = args;
    public override Oid Type { get; } = type;
    public Oid TransType { get; } = transType;
    public bool Star { get; init; }
    public bool Distinct { get; init; }
    public Expr? Filter { get; init; }

    /// <summary>The aggregate's own ORDER BY.</summary>
    public IReadOnlyList<AggOrder> Order { get; init; } = [];
    public Oid InputCollation { get; init; }

    /// <summary>The query level, counted upward from where the aggregate stands, that it belongs to.</summary>
    public int LevelsUp { get; init; }
    public override IReadOnlyList<Expr> Children => [.. Args, .. Order.Select(o => o.Expr), .. Filter is null ? Array.Empty<Expr>() : [Filter]];

    public override Expr With(Expr[] children) => new AggExpr(Proc, Aggregate, children[..Args.Count], Type, TransType)
    {
        Star = Star,
        Distinct = Distinct,
        LevelsUp = LevelsUp,
        Order = [.. Order.Select((o, i) => o with { Expr = children[Args.Count + i] })],
        Filter = Filter is null ? null : children[^1],
        InputCollation = InputCollation,
        Collation = Collation,
        Location = Location,
    };

    protected override bool SameNode(Expr other)
    {
        var o = (AggExpr)other;
        return Proc.Oid == o.Proc.Oid && Star == o.Star && Distinct == o.Distinct && LevelsUp == o.LevelsUp && Args.Count == o.Args.Count
            && Order.Count == o.Order.Count && (Filter is null) == (o.Filter is null);
    }
}

public readonly record struct AggOrder(Expr Expr, Oid LessOperator, bool Descending, bool NullsFirst);

/// <summary>A change of type that leaves the value as it is.</summary>
public sealed class RelabelExpr(Expr arg, Oid type, int typmod, CallForm form) : Expr
{
    public Expr Arg { get; } = arg;
    public CallForm Form { get; } = form;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    public override bool HasExplicitCollation => Arg.HasExplicitCollation;
    public override IReadOnlyList<Expr> Children => [Arg];
    public override Expr With(Expr[] children) => new RelabelExpr(children[0], Type, Typmod, Form) { Collation = Collation, Location = Location };
    protected override bool SameNode(Expr other) => Typmod == ((RelabelExpr)other).Typmod;
}

/// <summary>A cast by the output function of one type and the input function of the other.</summary>
public sealed class IoCoerceExpr(Expr arg, Oid type, CallForm form) : Expr
{
    public Expr Arg { get; } = arg;
    public CallForm Form { get; } = form;
    public override Oid Type { get; } = type;
    public override IReadOnlyList<Expr> Children => [Arg];
    public override Expr With(Expr[] children) => new IoCoerceExpr(children[0], Type, Form) { Collation = Collation, Location = Location };
    protected override bool SameNode(Expr other) => true;
}

/// <summary>A cast of each element of an array; <see cref="Element"/> is applied to a <see cref="CaseTestExpr"/>.</summary>
public sealed class ArrayCoerceExpr(Expr arg, Expr element, Oid type, int typmod, CallForm form) : Expr
{
    public Expr Arg { get; } = arg;
    public Expr Element { get; } = element;
    public CallForm Form { get; } = form;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    public override IReadOnlyList<Expr> Children => [Arg];
    public override Expr With(Expr[] children) => new ArrayCoerceExpr(children[0], Element, Type, Typmod, Form) { Collation = Collation, Location = Location };
    protected override bool SameNode(Expr other) => Element.SameAs(((ArrayCoerceExpr)other).Element);
}

/// <summary>ARRAY[...]; with <see cref="MultiDimensional"/> its elements are arrays.</summary>
public sealed class ArrayExpr(Oid type, Oid elementType, bool multiDimensional, Expr[] elements) : Expr
{
    public Oid ElementType { get; } = elementType;
    public bool MultiDimensional { get; } = multiDimensional;
    public IReadOnlyList<Expr> Elements { get; } = elements;
    public override Oid Type { get; } = type;
    public override IReadOnlyList<Expr> Children => Elements;
    public override Expr With(Expr[] children) => new ArrayExpr(Type, ElementType, MultiDimensional, children) { Collation = Collation, Location = Location };
    protected override bool SameNode(Expr other) => MultiDimensional == ((ArrayExpr)other).MultiDimensional;
}

/// <summary>array[i], array[l:u]; a bound that is left out is null.</summary>
public sealed class SubscriptExpr(Expr array, Oid containerType, Oid elementType, Oid type, bool slice, Expr?[] lower, Expr?[] upper) : Expr
{
    public Expr Array { get; } = array;
    public Oid ContainerType { get; } = containerType;
    public Oid ElementType { get; } = elementType;
    public bool IsSlice { get; } = slice;
    public IReadOnlyList<Expr?> Lower { get; } = lower;
    public IReadOnlyList<Expr?> Upper { get; } = upper;
    public override Oid Type { get; } = type;
    public override IReadOnlyList<Expr> Children => [Array, .. Lower.OfType<Expr>(), .. Upper.OfType<Expr>()];

    public override Expr With(Expr[] children)
    {
        int next = 1;
        Expr?[] newLower = [.. Lower.Select(l => l is null ? null : children[next++])];
        Expr?[] newUpper = [.. Upper.Select(u => u is null ? null : children[next++])];
        return new SubscriptExpr(children[0], ContainerType, ElementType, Type, IsSlice, newLower, newUpper) { Collation = Collation, Location = Location };
    }

    protected override bool SameNode(Expr other)
    {
        var o = (SubscriptExpr)other;
        return IsSlice == o.IsSlice && Lower.Count == o.Lower.Count && Upper.Count == o.Upper.Count
            && Lower.Zip(o.Lower).All(p => p.First is null == p.Second is null) && Upper.Zip(o.Upper).All(p => p.First is null == p.Second is null);
    }
}

public sealed class RowExpr(Expr[] args, Oid type, IReadOnlyList<string> names) : Expr
{
    public IReadOnlyList<Expr> Args { get; } = args;
    public IReadOnlyList<string> Names { get; } = names;
    public override Oid Type { get; } = type;
    public override IReadOnlyList<Expr> Children => Args;
    public override Expr With(Expr[] children) => new RowExpr(children, Type, Names) { Location = Location };
    protected override bool SameNode(Expr other) => true;
}

/// <summary>(row).column, by column number.</summary>
public sealed class FieldSelectExpr(Expr arg, short column, Oid type, int typmod) : Expr
{
    public Expr Arg { get; } = arg;
    public short Column { get; } = column;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    public override IReadOnlyList<Expr> Children => [Arg];
    public override Expr With(Expr[] children) => new FieldSelectExpr(children[0], Column, Type, Typmod) { Collation = Collation, Location = Location };
    protected override bool SameNode(Expr other) => Column == ((FieldSelectExpr)other).Column;
}

/// <summary>CURRENT_TIMESTAMP, CURRENT_USER and the like: by the grammar's own enumeration.</summary>
public sealed class SqlValueExpr(PgQuery.SQLValueFunctionOp op, Oid type, int typmod) : Expr
{
    public PgQuery.SQLValueFunctionOp Op { get; } = op;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    protected override bool SameNode(Expr other) => Op == ((SqlValueExpr)other).Op && Typmod == other.Typmod;
}

/// <summary>DEFAULT in VALUES or SET; replaced before planning.</summary>
public sealed class DefaultExpr : Expr
{
    public override Oid Type => new(PgTypes.Unknown);
    protected override bool SameNode(Expr other) => true;
}

/// <summary>A value of a domain: its checks are applied.</summary>
public sealed class DomainExpr(Expr arg, Oid type, int typmod) : Expr
{
    public Expr Arg { get; } = arg;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    public override IReadOnlyList<Expr> Children => [Arg];
    public override Expr With(Expr[] children) => new DomainExpr(children[0], Type, Typmod) { Collation = Collation, Location = Location };
    protected override bool SameNode(Expr other) => true;
}

public sealed class CollateExpr : Expr
{
    public CollateExpr(Expr arg, Oid collation)
    {
        Arg = arg;
        Collation = collation;
    }

    public Expr Arg { get; }
    public override Oid Type => Arg.Type;
    public override int Typmod => Arg.Typmod;
    public override bool HasExplicitCollation => true;
    public override IReadOnlyList<Expr> Children => [Arg];
    public override Expr With(Expr[] children) => new CollateExpr(children[0], Collation) { Location = Location };
    protected override bool SameNode(Expr other) => Collation == other.Collation;
}

public enum SubLinkKind
{
    Exists, Any, All, Scalar, Array,
}

/// <summary>
/// A subquery in an expression. For ANY and ALL, <see cref="Operators"/> compare the values of <see cref="Tests"/> with the subquery's columns.
/// </summary>
public sealed class SubLinkExpr(SubLinkKind kind, Query query, Oid type, int typmod) : Expr
{
    public SubLinkKind Kind { get; } = kind;
    public Query Query { get; } = query;
    public IReadOnlyList<Expr> Tests { get; init; } = [];

    /// <summary>For each column: "test op <see cref="SubLinkColumn"/>", an expression over the two.</summary>
    public IReadOnlyList<Expr> Comparisons { get; init; } = [];
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    public override IReadOnlyList<Expr> Children => Comparisons;

    public override Expr With(Expr[] children) => new SubLinkExpr(Kind, Query, Type, Typmod)
    {
        Tests = Tests,
        Comparisons = children,
        Collation = Collation,
        Location = Location,
    };

    protected override bool SameNode(Expr other) => ReferenceEquals(Query, ((SubLinkExpr)other).Query);
}

/// <summary>The current row's column (from 0) of the subquery, within <see cref="SubLinkExpr.Comparisons"/>.</summary>
public sealed class SubLinkColumn(int column, Oid type, int typmod) : Expr
{
    public int Column { get; } = column;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    protected override bool SameNode(Expr other) => Column == ((SubLinkColumn)other).Column;
}

/// <summary>nextval of an identity column's sequence.</summary>
public sealed class NextValueExpr(Oid sequence, Oid type) : Expr
{
    public Oid Sequence { get; } = sequence;
    public override Oid Type { get; } = type;
    protected override bool SameNode(Expr other) => Sequence == ((NextValueExpr)other).Sequence;
}
