namespace SharedStorage.Sql.Functions;

public static partial class FunctionRegistry
{
    private static void AddAll(FunctionTable t)
    {
        IntegerFunctions.Add(t);
        FloatFunctions.Add(t);
        NumericFunctions.Add(t);
    }
}
