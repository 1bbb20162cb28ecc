using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>
/// An analyzed expression: names and types resolved (PostgreSQL's primnodes.h). Immutable once analysis is over; shared between plans.
/// </summary>
public abstract class Expr
{
    public abstract Oid Type { get; }
    public virtual int Typmod => -1;

    /// <summary>The collation of the result; 0 when the type has none or it is not known.</summary>
    public Oid Collation { get; set; }

    /// <summary>An explicit COLLATE within, which wins over implicit ones.</summary>
    public virtual bool HasExplicitCollation => false;

    /// <summary>Byte offset in the query string; -1 is not known.</summary>
    public int Location { get; init; } = -1;

    /// <summary>The direct arguments.</summary>
    public virtual IReadOnlyList<Expr> Children => [];

    /// <summary>The same node over other arguments, as many as <see cref="Children"/>.</summary>
    public virtual Expr With(Expr[] children) => this;

    /// <summary>Whether the node, its arguments left out, says the same as another of its class.</summary>
    protected abstract bool SameNode(Expr other);

    /// <summary>Structural equality (PostgreSQL's equal()); locations do not count.</summary>
    public bool SameAs(Expr other)
    {
        if (ReferenceEquals(this, other))
        {
            return true;
        }

        if (GetType() != other.GetType() || Type != other.Type || !SameNode(other))
        {
            return false;
        }

        IReadOnlyList<Expr> a = Children, b = other.Children;
        if (a.Count != b.Count)
        {
            return false;
        }

        for (int i = 0; i < a.Count; i++)
        {
            if (!a[i].SameAs(b[i]))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Rebuilds the tree bottom-up; the function gives null to keep a node and go on below it.</summary>
    public Expr Rewrite(Func<Expr, Expr?> replace)
    {
        if (replace(this) is { } other)
        {
            return other;
        }

        IReadOnlyList<Expr> old = Children;
        Expr[]? changed = null;
        for (int i = 0; i < old.Count; i++)
        {
            Expr next = old[i].Rewrite(replace);
            if (!ReferenceEquals(next, old[i]))
            {
                changed ??= [.. old];
                changed[i] = next;
            }
        }

        return changed is null ? this : With(changed);
    }

    /// <summary>Whether the test holds for this node or one below it (not within subqueries).</summary>
    public bool Any(Func<Expr, bool> test)
    {
        if (test(this))
        {
            return true;
        }

        foreach (Expr child in Children)
        {
            if (child.Any(test))
            {
                return true;
            }
        }

        return false;
    }

    public void ForEach(Action<Expr> action)
    {
        action(this);
        foreach (Expr child in Children)
        {
            child.ForEach(action);
        }
    }
}

public sealed class ConstExpr(Datum value, Oid type, int typmod = -1) : Expr
{
    public Datum Value { get; } = value;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;

    /// <summary>Passed by value; decides how two constants are compared.</summary>
    public bool ByValue => Value.IsNull || Value.Object is null;

    protected override bool SameNode(Expr other)
    {
        var o = (ConstExpr)other;
        return Value.IsNull ? o.Value.IsNull
            : !o.Value.IsNull && ByValue == o.ByValue
                && (ByValue ? Value.Bits == o.Value.Bits : Value.Object is byte[] a && o.Value.Object is byte[] b && a.AsSpan().SequenceEqual(b));
    }
}

/// <summary>$n, from 1.</summary>
public sealed class ParamExpr(int number, Oid type, int typmod = -1) : Expr
{
    public int Number { get; } = number;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;
    protected override bool SameNode(Expr other) => Number == ((ParamExpr)other).Number;
}

/// <summary>A column of the range table entry with this number from 1, this many query levels up. Column 0 is the whole row; negative ones are system columns.</summary>
public sealed class VarExpr(int entry, short column, Oid type, int typmod, int levelsUp) : Expr
{
    public int Entry { get; } = entry;
    public short Column { get; } = column;
    public int LevelsUp { get; } = levelsUp;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = typmod;

    protected override bool SameNode(Expr other)
    {
        var o = (VarExpr)other;
        return Entry == o.Entry && Column == o.Column && LevelsUp == o.LevelsUp;
    }
}

/// <summary>How a function call was written (CoercionForm), for names of columns and for writing node trees.</summary>
public enum CallForm
{
    Call, ExplicitCast, ImplicitCast, SqlSyntax,
}

public sealed class FuncExpr(PgProc proc, Expr[] args, Oid type, CallForm form) : Expr
{
    public PgProc Proc { get; } = proc;
    public IReadOnlyList<Expr> Args { get; } = args;
    public override Oid Type { get; } = type;
    public override int Typmod { get; } = LengthCoercion(args, form);
    public CallForm Form { get; } = form;
    public bool Variadic { get; init; }
    public Oid InputCollation { get; init; }
    public override bool HasExplicitCollation => args.Any(a => a.HasExplicitCollation);
    public override IReadOnlyList<Expr> Children => Args;

    public override Expr With(Expr[] children) => new FuncExpr(Proc, children, Type, Form)
    {
        Variadic = Variadic,
        InputCollation = InputCollation,
        Collation = Collation,
        Location = Location,
    };

    protected override bool SameNode(Expr other) => Proc.Oid == ((FuncExpr)other).Proc.Oid && InputCollation == ((FuncExpr)other).InputCollation;

    // A cast function with a constant int4 as its second argument sets the length (exprIsLengthCoercion).
    private static int LengthCoercion(Expr[] args, CallForm form) =>
        form is CallForm.ExplicitCast or CallForm.ImplicitCast && args.Length is 2 or 3
        && args[1] is ConstExpr { Value.IsNull: false } c && c.Type.Value == Catalog.PgTypes.Int4 ? c.Value.Int32 : -1;
}

public enum OperatorKind
{
    Plain, Distinct, NullIf,
}

/// <summary>A call of an operator; IS DISTINCT FROM and NULLIF by their equality operator.</summary>
public sealed class OpExpr(PgOperator op, PgProc proc, Expr[] args, Oid type, OperatorKind kind = OperatorKind.Plain) : Expr
{
    public PgOperator Operator { get; } = op;
    public PgProc Proc { get; } = proc;
    public IReadOnlyList<Expr> Args { get; } = args;
    public OperatorKind Kind { get; } = kind;
    public override Oid Type { get; } = type;
    public Oid InputCollation { get; init; }
    public override bool HasExplicitCollation => args.Any(a => a.HasExplicitCollation);
    public override IReadOnlyList<Expr> Children => Args;

    public override Expr With(Expr[] children) => new OpExpr(Operator, Proc, children, Type, Kind)
    {
        InputCollation = InputCollation,
        Collation = Collation,
        Location = Location,
    };

    protected override bool SameNode(Expr other)
    {
        var o = (OpExpr)other;
        return Operator.Oid == o.Operator.Oid && Kind == o.Kind && InputCollation == o.InputCollation;
    }
}

/// <summary>scalar op ANY (array), scalar op ALL (array); IN lists.</summary>
public sealed class ArrayOpExpr(PgOperator op, PgProc proc, bool any, Expr scalar, Expr array, Oid elementType) : Expr
{
    public PgOperator Operator { get; } = op;
    public PgProc Proc { get; } = proc;
    public bool IsAny { get; } = any;
    public Expr Scalar { get; } = scalar;
    public Expr Array { get; } = array;
    public Oid ElementType { get; } = elementType;
    public Oid InputCollation { get; init; }
    public override Oid Type => new(Catalog.PgTypes.Bool);
    public override IReadOnlyList<Expr> Children => [Scalar, Array];

    public override Expr With(Expr[] children) => new ArrayOpExpr(Operator, Proc, IsAny, children[0], children[1], ElementType)
    {
        InputCollation = InputCollation,
        Location = Location,
    };

    protected override bool SameNode(Expr other) => Operator.Oid == ((ArrayOpExpr)other).Operator.Oid && IsAny == ((ArrayOpExpr)other).IsAny;
}

public enum BoolOperation
{
    And, Or, Not,
}

public sealed class BoolExpr(BoolOperation operation, Expr[] args) : Expr
{
    public BoolOperation Operation { get; } = operation;
    public IReadOnlyList<Expr> Args { get; } = args;
    public override Oid Type => new(Catalog.PgTypes.Bool);
    public override IReadOnlyList<Expr> Children => Args;
    public override Expr With(Expr[] children) => new BoolExpr(Operation, children) { Location = Location };
    protected override bool SameNode(Expr other) => Operation == ((BoolExpr)other).Operation;
}

public sealed class NullTestExpr(Expr arg, bool isNull) : Expr
{
    public Expr Arg { get; } = arg;
    public bool IsNull { get; } = isNull;
    public override Oid Type => new(Catalog.PgTypes.Bool);
    public override IReadOnlyList<Expr> Children => [Arg];
    public override Expr With(Expr[] children) => new NullTestExpr(children[0], IsNull) { Location = Location };
    protected override bool SameNode(Expr other) => IsNull == ((NullTestExpr)other).IsNull;
}

public enum BooleanTest
{
    IsTrue, IsNotTrue, IsFalse, IsNotFalse, IsUnknown, IsNotUnknown,
}

public sealed class BooleanTestExpr(Expr arg, BooleanTest test) : Expr
{
    public Expr Arg { get; } = arg;
    public BooleanTest Test { get; } = test;
    public override Oid Type => new(Catalog.PgTypes.Bool);
    public override IReadOnlyList<Expr> Children => [Arg];
    public override Expr With(Expr[] children) => new BooleanTestExpr(children[0], Test) { Location = Location };
    protected override bool SameNode(Expr other) => Test == ((BooleanTestExpr)other).Test;
}
