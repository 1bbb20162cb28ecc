namespace SharedStorage.Sql.Functions;

public static partial class FunctionRegistry
{
    private static void AddAll(FunctionTable t)
    {
        IntegerFunctions.Add(t);
        FloatFunctions.Add(t);
        NumericFunctions.Add(t);
        TextFunctions.Add(t);
        StringFunctions.Add(t);
        PatternFunctions.Add(t);
        DateTimeOperators.Add(t);
        DateTimeParts.Add(t);
        DateTimeZones.Add(t);
        ExtractFunctions.Add(t);
        IntervalFunctions.Add(t);
        ArrayFunctions.Add(t);
        RegexFunctions.Add(t);
        SystemFunctions.Add(t);
        CatalogFunctions.Add(t);
        RegFunctions.Add(t);
        StatisticsFunctions.Add(t);
    }
}
