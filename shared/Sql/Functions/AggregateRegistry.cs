using System.Collections.Frozen;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>The state of one aggregate in one group; made once per group, no allocation per row beyond what the value needs.</summary>
public abstract class AggregateState
{
    /// <summary>One more row; the arguments without those of WITHIN GROUP. With <see cref="AggregateFunction.SkipsNulls"/> none is null.</summary>
    public abstract void Add(ReadOnlySpan<Datum> arguments);

    /// <summary>For aggregates of one argument, or of none.</summary>
    public abstract void Add(Datum value);

    public abstract Datum Result(EvalContext context);

    /// <summary>As if new.</summary>
    public abstract void Reset();
}

/// <summary>A state of an aggregate of at most one argument.</summary>
public abstract class SingleState : AggregateState
{
    public sealed override void Add(ReadOnlySpan<Datum> arguments) => Add(arguments.Length == 0 ? Datum.Null : arguments[0]);
}

/// <summary>An aggregate that is specialized for a call. DISTINCT, FILTER and ORDER BY are the caller's.</summary>
public sealed class AggregateFunction(string name, bool skipsNulls, Func<EvalContext, AggregateState> newState)
{
    public string Name { get; } = name;

    /// <summary>Rows with a null among the arguments are not added (the transition function is strict).</summary>
    public bool SkipsNulls { get; } = skipsNulls;

    public AggregateState NewState(EvalContext context) => newState(context);
}

/// <summary>What pg_aggregate and pg_proc say of an aggregate.</summary>
public sealed record AggregateBinding
{
    /// <summary>prosrc of aggtransfn.</summary>
    public required string TransitionSource { get; init; }
    public Oid TransitionFunction { get; init; }
    public bool TransitionStrict { get; init; }

    /// <summary>prosrc of aggfinalfn; null when there is none.</summary>
    public string? FinalSource { get; init; }

    /// <summary>aggtranstype; polymorphic ones resolved.</summary>
    public Oid TransitionType { get; init; }

    /// <summary>agginitval.</summary>
    public string? InitialValue { get; init; }
    public IReadOnlyList<Oid> ArgumentTypes { get; init; } = [];
    public Oid ResultType { get; init; }
    public Collation? Collation { get; init; }
    public ICatalogLookup? Catalogs { get; init; }
}

/// <summary>All aggregates, by the prosrc of transition and final function.</summary>
public static partial class AggregateRegistry
{
    private static readonly FrozenDictionary<(string, string?), Func<AggregateBinding, AggregateFunction>> Native = BuildTable().ToFrozenDictionary();

    /// <summary>The aggregate specialized for a call; null when it is not implemented.</summary>
    public static AggregateFunction? Bind(AggregateBinding binding)
    {
        if (Native.TryGetValue((binding.TransitionSource, binding.FinalSource), out Func<AggregateBinding, AggregateFunction>? make))
        {
            return make(binding);
        }

        return binding.FinalSource is null ? BindByTransition(binding) : null;
    }

    // Any aggregate without final function runs on its transition function as a scalar one (min, max, bool_and ...).
    private static AggregateFunction? BindByTransition(AggregateBinding b)
    {
        SqlFunction? f = FunctionRegistry.Bind(b.TransitionSource, new FunctionBinding
        {
            Function = b.TransitionFunction,
            ArgumentTypes = [b.TransitionType, .. b.ArgumentTypes],
            ResultType = b.TransitionType,
            Collation = b.Collation,
            Catalogs = b.Catalogs,
        });
        if (f?.Two is not { } step)
        {
            return null;
        }

        return new AggregateFunction(b.TransitionSource, b.TransitionStrict, c =>
            new TransitionState(step, b.TransitionStrict, b.InitialValue is null ? Datum.Null : InitialValue(b, c), c));
    }

    private static Datum InitialValue(AggregateBinding b, EvalContext c) =>
        TypeRegistry.Get(b.TransitionType, c.Catalogs).InputText(b.InitialValue!, -1, c);

    private sealed class TransitionState(Fn2 step, bool strict, Datum initial, EvalContext context) : SingleState
    {
        private readonly Datum _initial = initial;
        private Datum _state = initial;

        public override void Add(Datum value)
        {
            // A strict transition without initial value begins with the first value.
            _state = strict && _state.IsNull ? value : step(_state, value, context);
        }

        public override Datum Result(EvalContext c) => _state;
        public override void Reset() => _state = _initial;
    }
}
