using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>corr, covar_*, regr_* over pairs (Y, X) by the Youngs-Cramer method, as float.c does.</summary>
internal sealed class RegressionState(string final) : PairState
{
    private double _n;
    private double _sx;
    private double _sxx;
    private double _sy;
    private double _syy;
    private double _sxy;

    public static readonly string[] Finals =
    [
        "float8_regr_sxx", "float8_regr_syy", "float8_regr_sxy", "float8_regr_avgx", "float8_regr_avgy", "float8_regr_r2", "float8_regr_slope",
        "float8_regr_intercept", "float8_covar_pop", "float8_covar_samp", "float8_corr",
    ];

    public override void Add(ReadOnlySpan<Datum> arguments)
    {
        double y = arguments[0].Double;
        double x = arguments[1].Double;
        double before = _n;
        (double sxBefore, double syBefore) = (_sx, _sy);
        _n += 1;
        _sx += x;
        _sy += y;
        if (before == 0)
        {
            if (!double.IsFinite(x))
            {
                _sxx = _sxy = FloatType.NaN;
            }

            if (!double.IsFinite(y))
            {
                _syy = _sxy = FloatType.NaN;
            }

            return;
        }

        double dx = (x * _n) - _sx;
        double dy = (y * _n) - _sy;
        double scale = 1.0 / (_n * before);
        _sxx += dx * dx * scale;
        _syy += dy * dy * scale;
        _sxy += dx * dy * scale;
        if (double.IsInfinity(_sx) || double.IsInfinity(_sxx) || double.IsInfinity(_sy) || double.IsInfinity(_syy) || double.IsInfinity(_sxy))
        {
            bool xFinite = !double.IsInfinity(sxBefore) && !double.IsInfinity(x);
            bool yFinite = !double.IsInfinity(syBefore) && !double.IsInfinity(y);
            if (((double.IsInfinity(_sx) || double.IsInfinity(_sxx)) && xFinite) || ((double.IsInfinity(_sy) || double.IsInfinity(_syy)) && yFinite)
                || (double.IsInfinity(_sxy) && xFinite && yFinite))
            {
                throw FloatFunctions.Overflow();
            }

            _sxx = double.IsInfinity(_sxx) ? FloatType.NaN : _sxx;
            _syy = double.IsInfinity(_syy) ? FloatType.NaN : _syy;
            _sxy = double.IsInfinity(_sxy) ? FloatType.NaN : _sxy;
        }
    }

    public override Datum Result(EvalContext context)
    {
        double? r = _n < 1 ? null : final switch
        {
            "float8_regr_sxx" => _sxx,
            "float8_regr_syy" => _syy,
            "float8_regr_sxy" => _sxy,
            "float8_regr_avgx" => _sx / _n,
            "float8_regr_avgy" => _sy / _n,
            "float8_covar_pop" => _sxy / _n,
            "float8_covar_samp" => _n < 2 ? null : _sxy / (_n - 1),
            "float8_corr" => _sxx == 0 || _syy == 0 ? null : _sxy / Math.Sqrt(_sxx * _syy),
            "float8_regr_r2" => _sxx == 0 ? null : _syy == 0 ? 1 : _sxy * _sxy / (_sxx * _syy),
            "float8_regr_slope" => _sxx == 0 ? null : _sxy / _sxx,
            _ => _sxx == 0 ? null : (_sy - (_sx * _sxy / _sxx)) / _n,
        };
        return r is { } v ? Datum.FromDouble(v) : Datum.Null;
    }

    public override void Reset() => _n = _sx = _sxx = _sy = _syy = _sxy = 0;
}
