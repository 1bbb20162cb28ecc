using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Types;

public static partial class Comparators
{
    private static Comparison<Datum>? FindOther(string supportFunction) => supportFunction switch
    {
        "numeric_cmp" => static (a, b) => NumericHeader.Compare(a.Bytes, b.Bytes),
        "btfloat8cmp" => static (a, b) => FloatType.CompareDoubles(a.Double, b.Double),
        "btfloat4cmp" => static (a, b) => FloatType.CompareDoubles(a.Single, b.Single),
        "btfloat48cmp" => static (a, b) => FloatType.CompareDoubles(a.Single, b.Double),
        "btfloat84cmp" => static (a, b) => FloatType.CompareDoubles(a.Double, b.Single),
        "interval_cmp" => static (a, b) => IntervalValue.Read(a).Span.CompareTo(IntervalValue.Read(b).Span),
        "timetz_cmp" => TimeTzType.CompareValues,
        "bttidcmp" => static (a, b) => TidType.Read(a).CompareTo(TidType.Read(b)),
        _ => null,
    };
}
