using System.Collections.Frozen;
using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Functions;

/// <summary>The rows of one call of a function that returns a set.</summary>
public abstract class SetRows
{
    /// <summary>The next row into the span, one place for each column; false at the end.</summary>
    public abstract bool Next(Span<Datum> row);
}

/// <summary>A function that returns a set; the caller handles strictness (a null argument gives no rows).</summary>
public sealed class SetFunction(string name, int columns, Func<Datum[], EvalContext, SetRows> call)
{
    public string Name { get; } = name;

    /// <summary>Columns of a row: 1, or as many as it has OUT parameters.</summary>
    public int Columns { get; } = columns;

    /// <summary>The array belongs to the rows from then on.</summary>
    public SetRows Call(Datum[] arguments, EvalContext context) => call(arguments, context);
}

/// <summary>Functions that return sets, by pg_proc.prosrc.</summary>
public static partial class SetFunctionRegistry
{
    private static readonly FrozenDictionary<string, Func<FunctionBinding, SetFunction>> ByName = BuildTable().ToFrozenDictionary(StringComparer.Ordinal);

    public static IEnumerable<string> Names => ByName.Keys;

    /// <summary>The function specialized for a call; null when it is not implemented.</summary>
    public static SetFunction? Bind(string source, FunctionBinding binding) =>
        ByName.TryGetValue(source, out Func<FunctionBinding, SetFunction>? make) ? make(binding) : null;
}
