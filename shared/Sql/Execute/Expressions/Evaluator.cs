using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Execute.Expressions;

/// <summary>A compiled expression, bound to the slots of one executor tree.</summary>
public abstract class Evaluator
{
    public abstract Datum Eval();

    /// <summary>Whether a condition holds; null does not.</summary>
    public virtual bool IsTrue()
    {
        Datum d = Eval();
        return !d.IsNull && d.Bits != 0;
    }

    protected static Datum Bool(bool value) => Datum.FromBool(value);
}

internal sealed class ConstEval(Datum value) : Evaluator
{
    public Datum Value { get; } = value;
    public override Datum Eval() => Value;
}

internal sealed class SlotEval(Slot slot, int index) : Evaluator
{
    public Slot Slot { get; } = slot;
    public int Index { get; } = index;
    public override Datum Eval() => Slot.Values[Index];
}

internal sealed class ParamEval(ExecContext context, int index) : Evaluator
{
    public override Datum Eval() => context.Parameters[index];
}

internal sealed class FuncEval(Func<Datum> func) : Evaluator
{
    public override Datum Eval() => func();
}

internal sealed class Call0(Fn0 f, EvalContext c) : Evaluator
{
    public override Datum Eval() => f(c);
}

internal sealed class Call1(Fn1 f, Evaluator a, bool strict, EvalContext c) : Evaluator
{
    public override Datum Eval()
    {
        Datum x = a.Eval();
        return strict && x.IsNull ? Datum.Null : f(x, c);
    }
}

internal sealed class Call2(Fn2 f, Evaluator a, Evaluator b, bool strict, EvalContext c) : Evaluator
{
    public override Datum Eval()
    {
        Datum x = a.Eval();
        if (strict && x.IsNull)
        {
            return Datum.Null;
        }

        Datum y = b.Eval();
        return strict && y.IsNull ? Datum.Null : f(x, y, c);
    }
}

internal sealed class Call3(Fn3 f, Evaluator a, Evaluator b, Evaluator d, bool strict, EvalContext c) : Evaluator
{
    public override Datum Eval()
    {
        Datum x = a.Eval(), y = b.Eval(), z = d.Eval();
        return strict && (x.IsNull || y.IsNull || z.IsNull) ? Datum.Null : f(x, y, z, c);
    }
}

internal sealed class CallN(FnN f, Evaluator[] args, bool strict, EvalContext c) : Evaluator
{
    private readonly Datum[] _values = new Datum[args.Length];

    public override Datum Eval()
    {
        for (int i = 0; i < args.Length; i++)
        {
            _values[i] = args[i].Eval();
            if (strict && _values[i].IsNull)
            {
                return Datum.Null;
            }
        }

        return f(_values, c);
    }
}

internal enum BitsComparison
{
    Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual,
}

/// <summary>Comparisons of integers, dates and the like, whose order is that of the datum's bits.</summary>
internal sealed class BitsCompareEval(BitsComparison op, Evaluator a, Evaluator b) : Evaluator
{
    public override Datum Eval()
    {
        Datum x = a.Eval(), y = b.Eval();
        return x.IsNull || y.IsNull ? Datum.Null : Bool(Holds(x.Bits, y.Bits));
    }

    public override bool IsTrue()
    {
        Datum x = a.Eval(), y = b.Eval();
        return !x.IsNull && !y.IsNull && Holds(x.Bits, y.Bits);
    }

    private bool Holds(long x, long y) => op switch
    {
        BitsComparison.Equal => x == y,
        BitsComparison.NotEqual => x != y,
        BitsComparison.Less => x < y,
        BitsComparison.LessOrEqual => x <= y,
        BitsComparison.Greater => x > y,
        _ => x >= y,
    };
}

internal sealed class AndEval(Evaluator[] args) : Evaluator
{
    public override Datum Eval()
    {
        bool unknown = false;
        foreach (Evaluator arg in args)
        {
            Datum d = arg.Eval();
            if (d.IsNull)
            {
                unknown = true;
            }
            else if (d.Bits == 0)
            {
                return Bool(false);
            }
        }

        return unknown ? Datum.Null : Bool(true);
    }

    public override bool IsTrue()
    {
        foreach (Evaluator arg in args)
        {
            if (!arg.IsTrue())
            {
                return false;
            }
        }

        return true;
    }
}

internal sealed class OrEval(Evaluator[] args) : Evaluator
{
    public override Datum Eval()
    {
        bool unknown = false;
        foreach (Evaluator arg in args)
        {
            Datum d = arg.Eval();
            if (d.IsNull)
            {
                unknown = true;
            }
            else if (d.Bits != 0)
            {
                return Bool(true);
            }
        }

        return unknown ? Datum.Null : Bool(false);
    }

    public override bool IsTrue()
    {
        foreach (Evaluator arg in args)
        {
            if (arg.IsTrue())
            {
                return true;
            }
        }

        return false;
    }
}

internal sealed class NotEval(Evaluator arg) : Evaluator
{
    public override Datum Eval()
    {
        Datum d = arg.Eval();
        return d.IsNull ? d : Bool(d.Bits == 0);
    }
}

internal sealed class NullTestEval(Evaluator arg, bool isNull) : Evaluator
{
    public override Datum Eval() => Bool(arg.Eval().IsNull == isNull);
    public override bool IsTrue() => arg.Eval().IsNull == isNull;
}

internal sealed class CaseEval(Evaluator? arg, Slot test, Evaluator[] conditions, Evaluator[] results, Evaluator otherwise) : Evaluator
{
    public override Datum Eval()
    {
        if (arg is not null)
        {
            test.Values[0] = arg.Eval();
        }

        for (int i = 0; i < conditions.Length; i++)
        {
            if (conditions[i].IsTrue())
            {
                return results[i].Eval();
            }
        }

        return otherwise.Eval();
    }
}

internal sealed class CoalesceEval(Evaluator[] args) : Evaluator
{
    public override Datum Eval()
    {
        foreach (Evaluator arg in args)
        {
            Datum d = arg.Eval();
            if (!d.IsNull)
            {
                return d;
            }
        }

        return Datum.Null;
    }
}
