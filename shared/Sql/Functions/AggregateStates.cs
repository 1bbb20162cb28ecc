using System.Numerics;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

internal sealed class CountState : SingleState
{
    private long _count;

    public override void Add(Datum value) => _count++;
    public override Datum Result(EvalContext context) => Datum.FromInt64(_count);
    public override void Reset() => _count = 0;
}

/// <summary>An aggregate of two arguments.</summary>
internal abstract class PairState : AggregateState
{
    public sealed override void Add(Datum value) => throw new InvariantException("aggregates", "an aggregate of two arguments got one");
}

internal sealed class PairCountState : PairState
{
    private long _count;

    public override void Add(ReadOnlySpan<Datum> arguments) => _count++;
    public override Datum Result(EvalContext context) => Datum.FromInt64(_count);
    public override void Reset() => _count = 0;
}

/// <summary>sum of int2 or int4: bigint, null without rows.</summary>
internal sealed class IntegerSumState : SingleState
{
    private long _sum;
    private bool _any;

    public override void Add(Datum value)
    {
        _sum += value.Bits;
        _any = true;
    }

    public override Datum Result(EvalContext context) => _any ? Datum.FromInt64(_sum) : Datum.Null;
    public override void Reset() => (_sum, _any) = (0, false);
}

internal sealed class DoubleSumState : SingleState
{
    private double _sum;
    private bool _any;

    public override void Add(Datum value)
    {
        // The first value as it is: minus zero stays.
        _sum = _any ? FloatFunctions.Plus(_sum, value.Double) : value.Double;
        _any = true;
    }

    public override Datum Result(EvalContext context) => _any ? Datum.FromDouble(_sum) : Datum.Null;
    public override void Reset() => (_sum, _any) = (0, false);
}

/// <summary>sum and avg of integers as numeric; 128 bits hold 2^64 values.</summary>
internal sealed class BigSumState(bool average) : SingleState
{
    private Int128 _sum;
    private long _count;

    public override void Add(Datum value)
    {
        _sum += value.Bits;
        _count++;
    }

    public override Datum Result(EvalContext context)
    {
        if (_count == 0)
        {
            return Datum.Null;
        }

        var sum = new NumericValue(_sum, 0);
        return NumericFunctions.Make(average ? NumericMath.Divide(sum, new NumericValue(_count, 0)) : sum);
    }

    public override void Reset() => (_sum, _count) = (0, 0);
}

/// <summary>sum and avg of numeric: at the largest scale seen; in 128 bits as long as that holds it.</summary>
internal sealed class NumericSumState(bool average) : SingleState
{
    private Int128 _small;
    private int _smallScale;
    private NumericValue _big = new(0, 0);
    private bool _hasBig;
    private long _count;
    private long _nan;
    private long _infinite;
    private long _minusInfinite;

    public override void Add(Datum value)
    {
        _count++;
        var h = new NumericHeader(value.Bytes);

        // 30 digits leave room for 10^5 further values before the next check fails.
        if (h.DigitLimit <= 30 && h.TryGetSmall(out Int128 v))
        {
            if (h.Scale != _smallScale)
            {
                Align(ref v, h.Scale, h.DigitLimit);
            }

            _small += v;
            if (Int128.Abs(_small) > Limit)
            {
                Spill();
            }

            return;
        }

        switch (h.Kind)
        {
            case NumericKind.NaN:
                _nan++;
                break;
            case NumericKind.PositiveInfinity:
                _infinite++;
                break;
            case NumericKind.NegativeInfinity:
                _minusInfinite++;
                break;
            default:
                _big = NumericMath.Add(_big, NumericValue.Read(value.Bytes));
                _hasBig = true;
                break;
        }
    }

    private static readonly Int128 Limit = NumericValue.SmallPower10(36);

    private void Align(ref Int128 v, int scale, int digits)
    {
        if (scale > _smallScale)
        {
            int shift = scale - _smallScale;
            if (shift > 30 || Int128.Abs(_small) > NumericValue.SmallPower10(35 - shift))
            {
                Spill();
            }
            else
            {
                _small *= NumericValue.SmallPower10(shift);
            }

            _smallScale = scale;
            return;
        }

        int up = _smallScale - scale;
        if (digits + up > 35)
        {
            Spill();
            _big = NumericMath.Add(_big, new NumericValue(v, scale));
            _hasBig = true;
            v = 0;
            return;
        }

        v *= NumericValue.SmallPower10(up);
    }

    private void Spill()
    {
        _big = NumericMath.Add(_big, new NumericValue(_small, _smallScale));
        _hasBig = true;
        _small = 0;
    }

    public override Datum Result(EvalContext context)
    {
        if (_count == 0)
        {
            return Datum.Null;
        }

        if (_nan > 0 || (_infinite > 0 && _minusInfinite > 0))
        {
            return NumericFunctions.Make(NumericValue.NaN);
        }

        if (_infinite + _minusInfinite > 0)
        {
            return NumericFunctions.Make(_infinite > 0 ? NumericValue.PositiveInfinity : NumericValue.NegativeInfinity);
        }

        var sum = new NumericValue(_small, _smallScale);
        sum = _hasBig ? NumericMath.Add(sum, _big) : sum;
        return NumericFunctions.Make(average ? NumericMath.Divide(sum, new NumericValue(_count, 0)) : sum);
    }

    public override void Reset()
    {
        (_small, _smallScale, _big, _hasBig) = (0, 0, new NumericValue(0, 0), false);
        (_count, _nan, _infinite, _minusInfinite) = (0, 0, 0, 0);
    }
}

/// <summary>Variance and standard deviation of integers and numerics, exactly.</summary>
internal sealed class NumericMomentState(bool integers, Moment moment) : SingleState
{
    private NumericValue _sum = new(0, 0);
    private NumericValue _squares = new(0, 0);
    private long _count;
    private bool _special;

    public override void Add(Datum value)
    {
        _count++;
        NumericValue v = integers ? new NumericValue(value.Bits, 0) : NumericFunctions.Read(value);
        if (v.IsSpecial)
        {
            _special = true;
            return;
        }

        _sum = NumericMath.Add(_sum, v);
        _squares = NumericMath.Add(_squares, new NumericValue(v.Unscaled * v.Unscaled, v.Scale * 2));
    }

    public override Datum Result(EvalContext context)
    {
        bool sample = moment is Moment.VarianceSample or Moment.DeviationSample;
        bool deviation = moment is Moment.DeviationPopulation or Moment.DeviationSample;
        if (_count == 0 || (sample && _count == 1))
        {
            return Datum.Null;
        }

        if (_special)
        {
            return NumericFunctions.Make(NumericValue.NaN);
        }

        var n = new NumericValue(_count, 0);
        NumericValue top = NumericMath.Subtract(NumericMath.Multiply(n, _squares), new NumericValue(_sum.Unscaled * _sum.Unscaled, _sum.Scale * 2));
        if (top.Sign <= 0)
        {
            return NumericFunctions.FromInteger(0);
        }

        var bottom = new NumericValue((BigInteger)_count * (sample ? _count - 1 : _count), 0);
        int scale = NumericMath.DivisionScale(top, bottom);
        NumericValue r = NumericMath.Quotient(top, bottom, scale, round: true);
        return NumericFunctions.Make(deviation ? NumericTranscendental.SqrtAt(r, scale) : r);
    }

    public override void Reset() => (_sum, _squares, _count, _special) = (new(0, 0), new(0, 0), 0, false);
}

/// <summary>avg, variance and deviation of floats by the Youngs-Cramer method, as float.c does.</summary>
internal sealed class DoubleMomentState(bool single, Moment moment) : SingleState
{
    private double _n;
    private double _sum;
    private double _squares;

    public override void Add(Datum value)
    {
        double v = single ? value.Single : value.Double;
        double before = _n;
        double sumBefore = _sum;
        _n += 1;
        _sum += v;
        if (before > 0)
        {
            double d = (v * _n) - _sum;
            _squares += d * d / (_n * before);
            if (double.IsInfinity(_sum) || double.IsInfinity(_squares))
            {
                if (!double.IsInfinity(sumBefore) && !double.IsInfinity(v))
                {
                    throw FloatFunctions.Overflow();
                }

                _squares = FloatType.NaN;
            }
        }
        else if (!double.IsFinite(v))
        {
            _squares = FloatType.NaN;
        }
    }

    public override Datum Result(EvalContext context)
    {
        if (_n == 0 || (_n == 1 && moment is Moment.VarianceSample or Moment.DeviationSample))
        {
            return Datum.Null;
        }

        return Datum.FromDouble(moment switch
        {
            Moment.Average => _sum / _n,
            Moment.VariancePopulation => _squares / _n,
            Moment.VarianceSample => _squares / (_n - 1),
            Moment.DeviationPopulation => Math.Sqrt(_squares / _n),
            _ => Math.Sqrt(_squares / (_n - 1)),
        });
    }

    public override void Reset() => (_n, _sum, _squares) = (0, 0, 0);
}

internal sealed class IntervalAverageState : SingleState
{
    private IntervalValue _sum;
    private long _count;

    public override void Add(Datum value)
    {
        _sum = IntervalValue.Read(IntervalFunctions.Sum(_sum, IntervalValue.Read(value), 1));
        _count++;
    }

    public override Datum Result(EvalContext context) => _count == 0 ? Datum.Null : IntervalFunctions.Divide(_sum, _count);
    public override void Reset() => (_sum, _count) = (default, 0);
}

/// <summary>string_agg of text or bytea: each value but the first after its own row's separator; null values are left out.</summary>
internal sealed class StringState : PairState
{
    private readonly List<byte> _bytes = [];
    private bool _any;

    public override void Add(ReadOnlySpan<Datum> arguments)
    {
        if (arguments[0].IsNull)
        {
            return;
        }

        if (_any && !arguments[1].IsNull)
        {
            _bytes.AddRange(arguments[1].Bytes);
        }

        _any = true;
        _bytes.AddRange(arguments[0].Bytes);
    }

    public override Datum Result(EvalContext context) => _any ? Datum.FromBytes([.. _bytes]) : Datum.Null;

    public override void Reset()
    {
        _bytes.Clear();
        _any = false;
    }
}

internal sealed class ArrayState(PgType element) : SingleState
{
    private readonly List<Datum> _values = [];

    public override void Add(Datum value) => _values.Add(value);

    public override Datum Result(EvalContext context) =>
        _values.Count == 0 ? Datum.Null : ArrayBuilder.Build(element, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_values));

    public override void Reset() => _values.Clear();
}

/// <summary>array_agg of arrays: one dimension more; all must have the same lengths.</summary>
internal sealed class NestedArrayState(PgType element) : SingleState
{
    private readonly List<Datum> _values = [];
    private int[]? _lengths;
    private int[]? _bounds;
    private int _count;

    public override void Add(Datum value)
    {
        if (value.IsNull)
        {
            throw new PgException("22004", "cannot accumulate null arrays");
        }

        var array = new ArrayView(value.Bytes);
        int n = array.Dimensions;
        if (n == 0)
        {
            throw new PgException("2202E", "cannot accumulate empty arrays");
        }

        if (_lengths is null)
        {
            _lengths = new int[n];
            _bounds = new int[n];
            for (int i = 0; i < n; i++)
            {
                (_lengths[i], _bounds[i]) = (array.Length(i), array.LowerBound(i));
            }
        }

        bool same = n == _lengths.Length;
        for (int i = 0; same && i < n; i++)
        {
            same = array.Length(i) == _lengths[i];
        }

        if (!same)
        {
            throw new PgException("2202E", "cannot accumulate arrays of different dimensionality");
        }

        _values.AddRange(array.ToDatums(element));
        _count++;
    }

    public override Datum Result(EvalContext context) => _lengths is null
        ? Datum.Null
        : ArrayBuilder.Build(element, _values.ToArray(), [_count, .. _lengths], [1, .. _bounds!]);

    public override void Reset()
    {
        _values.Clear();
        (_lengths, _bounds, _count) = (null, null, 0);
    }
}
