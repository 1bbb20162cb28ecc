namespace SharedStorage.Sql.Functions;

public static partial class SetFunctionRegistry
{
    private static Dictionary<string, Func<FunctionBinding, SetFunction>> BuildTable() => [];
}
