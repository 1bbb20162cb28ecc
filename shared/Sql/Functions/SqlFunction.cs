using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

public delegate Datum Fn0(EvalContext context);

public delegate Datum Fn1(Datum a, EvalContext context);

public delegate Datum Fn2(Datum a, Datum b, EvalContext context);

public delegate Datum Fn3(Datum a, Datum b, Datum c, EvalContext context);

public delegate Datum FnN(ReadOnlySpan<Datum> arguments, EvalContext context);

/// <summary>
/// What is known of a call when its expression is compiled: the types after polymorphism is resolved, and the collation. Functions whose work
/// depends on them are specialized here once, so that a call costs no look-up.
/// </summary>
public sealed record FunctionBinding
{
    /// <summary>pg_proc.oid; functions in SQL language are found by it.</summary>
    public Oid Function { get; init; }
    public IReadOnlyList<Oid> ArgumentTypes { get; init; } = [];
    public Oid ResultType { get; init; }

    /// <summary>The input collation of the call; null when no argument is collatable (then bytes decide).</summary>
    public Collation? Collation { get; init; }

    /// <summary>For a type that is not built in: enums, domains, rows. Null when only built-in ones occur.</summary>
    public ICatalogLookup? Catalogs { get; init; }

    /// <summary>
    /// pg_proc.provariadic is "any" and the arguments were not passed with VARIADIC, or the array was: true for the latter (concat, format).
    /// </summary>
    public bool VariadicArray { get; init; }
}

/// <summary>
/// An implemented function: one delegate by its number of arguments. The caller handles strictness (pg_proc.proisstrict): a strict function is
/// never called with a null. A call allocates nothing but its result.
/// </summary>
public sealed class SqlFunction
{
    private SqlFunction(string name, int arity) => (Name, Arity) = (name, arity);

    /// <summary>pg_proc.prosrc.</summary>
    public string Name { get; }

    /// <summary>The number of arguments, 0 to 3; -1 takes any number through <see cref="Many"/>.</summary>
    public int Arity { get; }

    public Fn0? Zero { get; private init; }
    public Fn1? One { get; private init; }
    public Fn2? Two { get; private init; }
    public Fn3? Three { get; private init; }
    public FnN? Many { get; private init; }

    public static SqlFunction Of(string name, Fn0 f) => new(name, 0) { Zero = f };
    public static SqlFunction Of(string name, Fn1 f) => new(name, 1) { One = f };
    public static SqlFunction Of(string name, Fn2 f) => new(name, 2) { Two = f };
    public static SqlFunction Of(string name, Fn3 f) => new(name, 3) { Three = f };
    public static SqlFunction Of(string name, FnN f) => new(name, -1) { Many = f };

    /// <summary>Calls with as many arguments as there are.</summary>
    public Datum Invoke(ReadOnlySpan<Datum> a, EvalContext context) => Arity switch
    {
        0 => Zero!(context),
        1 => One!(a[0], context),
        2 => Two!(a[0], a[1], context),
        3 => Three!(a[0], a[1], a[2], context),
        _ => Many!(a, context),
    };
}
