using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

public static partial class SetFunctionRegistry
{
    private static Dictionary<string, Func<FunctionBinding, SetFunction>> BuildTable()
    {
        var t = new Dictionary<string, Func<FunctionBinding, SetFunction>>(StringComparer.Ordinal);
        void Add(string name, Func<Datum[], EvalContext, SetRows> call) => t.Add(name, _ => new SetFunction(name, 1, call));

        Add("generate_series_int4", static (a, _) => new IntegerSeries(a[0].Bits, a[1].Bits, 1));
        Add("generate_series_step_int4", static (a, _) => new IntegerSeries(a[0].Bits, a[1].Bits, a[2].Bits));
        Add("generate_series_int8", static (a, _) => new IntegerSeries(a[0].Bits, a[1].Bits, 1));
        Add("generate_series_step_int8", static (a, _) => new IntegerSeries(a[0].Bits, a[1].Bits, a[2].Bits));
        Add("generate_series_numeric", static (a, _) => NumericSeries.Make(a[0], a[1], NumericFunctions.FromInteger(1)));
        Add("generate_series_step_numeric", static (a, _) => NumericSeries.Make(a[0], a[1], a[2]));
        Add("generate_series_timestamp", static (a, c) => new TimestampSeries(a[0].Int64, a[1].Int64, IntervalValue.Read(a[2]), false, c));
        Add("generate_series_timestamptz", static (a, c) => new TimestampSeries(a[0].Int64, a[1].Int64, IntervalValue.Read(a[2]), true, c));
        Add("generate_subscripts_nodir", static (a, _) => Subscripts(a[0], a[1].Int32, false));
        Add("generate_subscripts", static (a, _) => Subscripts(a[0], a[1].Int32, a[2].Bool));
        t.Add("array_unnest", static b =>
        {
            PgType element = TypeRegistry.Get(b.ArgumentTypes[0], b.Catalogs).Element!;
            return new SetFunction("array_unnest", 1, (a, _) => new ListRows(new ArrayView(a[0].Bytes).ToDatums(element)));
        });
        Add("text_to_table", static (a, c) => new ListRows(ArrayFunctions.SplitText(a[0], a[1], Datum.Null)));
        Add("text_to_table_null", static (a, c) => new ListRows(ArrayFunctions.SplitText(a[0], a[1], a[2])));
        RegexFunctions.AddSets(t);
        return t;
    }

    private static SetRows Subscripts(Datum array, int dimension, bool reverse)
    {
        var v = new ArrayView(array.Bytes);
        if (dimension < 1 || dimension > v.Dimensions)
        {
            return new IntegerSeries(1, 0, 1);
        }

        int low = v.LowerBound(dimension - 1);
        int high = low + v.Length(dimension - 1) - 1;
        return reverse ? new IntegerSeries(high, low, -1) : new IntegerSeries(low, high, 1);
    }
}

/// <summary>Rows that are there already.</summary>
internal sealed class ListRows(IReadOnlyList<Datum> values) : SetRows
{
    private int _next;

    public override bool Next(Span<Datum> row)
    {
        if (_next >= values.Count)
        {
            return false;
        }

        row[0] = values[_next++];
        return true;
    }
}

internal sealed class IntegerSeries : SetRows
{
    private readonly long _stop;
    private readonly long _step;
    private long _next;
    private bool _done;

    public IntegerSeries(long start, long stop, long step)
    {
        if (step == 0)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "step size cannot equal zero");
        }

        (_next, _stop, _step) = (start, stop, step);
        _done = step > 0 ? start > stop : start < stop;
    }

    public override bool Next(Span<Datum> row)
    {
        if (_done)
        {
            return false;
        }

        row[0] = Datum.FromInt64(_next);

        // Beyond the type's range the series ends, without overflow.
        Int128 next = (Int128)_next + _step;
        _done = _step > 0 ? next > _stop : next < _stop;
        _next = (long)next;
        return true;
    }
}

internal sealed class NumericSeries : SetRows
{
    private readonly NumericValue _stop;
    private readonly NumericValue _step;
    private NumericValue _next;

    private NumericSeries(NumericValue start, NumericValue stop, NumericValue step) => (_next, _stop, _step) = (start, stop, step);

    public static NumericSeries Make(Datum start, Datum stop, Datum step)
    {
        NumericValue a = Checked(start, "start");
        NumericValue b = Checked(stop, "stop");
        NumericValue s = Checked(step, "step size");
        return s.Sign == 0 ? throw new PgException(SqlStates.InvalidParameterValue, "step size cannot equal zero") : new NumericSeries(a, b, s);
    }

    private static NumericValue Checked(Datum d, string what)
    {
        NumericValue v = NumericFunctions.Read(d);
        if (v.IsSpecial)
        {
            string name = what == "step size" ? what : what + " value";
            throw new PgException(SqlStates.InvalidParameterValue, $"{name} cannot be {(v.IsNaN ? "NaN" : "infinity")}");
        }

        return v;
    }

    public override bool Next(Span<Datum> row)
    {
        int c = NumericMath.Compare(_next, _stop);
        if (_step.Sign > 0 ? c > 0 : c < 0)
        {
            return false;
        }

        row[0] = NumericFunctions.Make(_next);
        _next = NumericMath.Add(_next, _step);
        return true;
    }
}

internal sealed class TimestampSeries : SetRows
{
    private readonly long _stop;
    private readonly IntervalValue _step;
    private readonly bool _withZone;
    private readonly EvalContext _context;
    private readonly int _sign;
    private long _next;

    public TimestampSeries(long start, long stop, IntervalValue step, bool withZone, EvalContext context)
    {
        (_next, _stop, _step, _withZone, _context) = (start, stop, step, withZone, context);
        _sign = Int128.Sign(step.Span);
        if (_sign == 0)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "step size cannot equal zero");
        }
    }

    public override bool Next(Span<Datum> row)
    {
        if (_sign > 0 ? _next > _stop : _next < _stop)
        {
            return false;
        }

        row[0] = Datum.FromInt64(_next);
        Datum next = _withZone ? DateTimeOperators.TimestampTzPlus(_next, _step, 1, _context) : DateTimeOperators.TimestampPlus(_next, _step, 1);
        _next = next.Int64;
        return true;
    }
}
