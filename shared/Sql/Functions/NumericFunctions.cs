using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Functions;

internal static class NumericFunctions
{
    public static Datum FromInteger(Int128 value) => throw new NotImplementedException();
}
