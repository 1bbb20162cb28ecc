using System.Collections.Frozen;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Functions;

/// <summary>
/// All scalar functions, by pg_proc.prosrc; those in SQL language, whose prosrc is empty, by pg_proc.oid. A cast or operator is just its function.
/// </summary>
public static partial class FunctionRegistry
{
    private static readonly FrozenDictionary<string, Entry> ByName;
    private static readonly FrozenDictionary<uint, Entry> ByOid;

    static FunctionRegistry()
    {
        var table = new FunctionTable();
        AddAll(table);
        ByName = table.Names.ToFrozenDictionary(StringComparer.Ordinal);
        ByOid = table.Oids.ToFrozenDictionary();
    }

    /// <summary>The names that are implemented (tests compare them with pg_proc).</summary>
    public static IEnumerable<string> Names => ByName.Keys;

    public static IEnumerable<uint> SqlLanguageOids => ByOid.Keys;

    /// <summary>The function specialized for a call; null when it is not implemented (the caller raises 0A000 with its name).</summary>
    public static SqlFunction? Bind(string source, FunctionBinding binding)
    {
        if (!ByOid.TryGetValue(binding.Function.Value, out Entry entry) && !ByName.TryGetValue(source, out entry))
        {
            return null;
        }

        return entry.Fixed ?? entry.Factory!(binding);
    }

    public static bool IsImplemented(Oid function, string source) => ByOid.ContainsKey(function.Value) || ByName.ContainsKey(source);

    internal readonly record struct Entry(SqlFunction? Fixed, Func<FunctionBinding, SqlFunction>? Factory);
}

/// <summary>Where the groups of functions put themselves at start.</summary>
internal sealed class FunctionTable
{
    public Dictionary<string, FunctionRegistry.Entry> Names { get; } = new(StringComparer.Ordinal);
    public Dictionary<uint, FunctionRegistry.Entry> Oids { get; } = [];

    public void F0(string name, Fn0 f) => Names.Add(name, new(SqlFunction.Of(name, f), null));
    public void F1(string name, Fn1 f) => Names.Add(name, new(SqlFunction.Of(name, f), null));
    public void F2(string name, Fn2 f) => Names.Add(name, new(SqlFunction.Of(name, f), null));
    public void F3(string name, Fn3 f) => Names.Add(name, new(SqlFunction.Of(name, f), null));
    public void FN(string name, FnN f) => Names.Add(name, new(SqlFunction.Of(name, f), null));

    /// <summary>A function that is specialized by types or collation.</summary>
    public void Bound(string name, Func<FunctionBinding, SqlFunction> factory) => Names.Add(name, new(null, factory));

    /// <summary>A function in SQL language (prosrc is empty), by pg_proc.oid.</summary>
    public void Sql(uint oid, SqlFunction f) => Oids.Add(oid, new(f, null));
    public void Sql1(uint oid, string name, Fn1 f) => Sql(oid, SqlFunction.Of(name, f));
    public void Sql2(uint oid, string name, Fn2 f) => Sql(oid, SqlFunction.Of(name, f));
    public void SqlBound(uint oid, Func<FunctionBinding, SqlFunction> factory) => Oids.Add(oid, new(null, factory));
}
