using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Types;

public static partial class Comparators
{
    private static Comparison<Datum>? FindOther(string supportFunction) => null;
}
