namespace SharedStorage.Sql.Functions;

public static partial class AggregateRegistry
{
    private static Dictionary<(string, string?), Func<AggregateBinding, AggregateFunction>> BuildTable() => [];
}
