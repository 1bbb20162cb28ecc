using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

public static partial class AggregateRegistry
{
    private static Dictionary<(string, string?), Func<AggregateBinding, AggregateFunction>> BuildTable()
    {
        var t = new Dictionary<(string, string?), Func<AggregateBinding, AggregateFunction>>();
        void Add(string transition, string? final, bool skipsNulls, Func<AggregateState> state) =>
            t.Add((transition, final), _ => new AggregateFunction(final ?? transition, skipsNulls, _ => state()));

        Add("int8inc", null, false, static () => new CountState());
        Add("int8inc_any", null, true, static () => new CountState());
        Add("int8inc_float8_float8", null, true, static () => new PairCountState());
        Add("int4_sum", null, true, static () => new IntegerSumState());
        Add("int2_sum", null, true, static () => new IntegerSumState());
        Add("float8pl", null, true, static () => new DoubleSumState());
        Add("int4_avg_accum", "int8_avg", true, static () => new BigSumState(average: true));
        Add("int2_avg_accum", "int8_avg", true, static () => new BigSumState(average: true));
        Add("int8_avg_accum", "numeric_poly_avg", true, static () => new BigSumState(average: true));
        Add("int8_avg_accum", "numeric_poly_sum", true, static () => new BigSumState(average: false));
        Add("numeric_avg_accum", "numeric_avg", true, static () => new NumericSumState(average: true));
        Add("numeric_avg_accum", "numeric_sum", true, static () => new NumericSumState(average: false));
        Add("interval_accum", "interval_avg", true, static () => new IntervalAverageState());
        foreach (string accum in new[] { "float8_accum", "float4_accum" })
        {
            bool single = accum[5] == '4';
            Add(accum, "float8_avg", true, () => new DoubleMomentState(single, Moment.Average));
            Add(accum, "float8_var_pop", true, () => new DoubleMomentState(single, Moment.VariancePopulation));
            Add(accum, "float8_var_samp", true, () => new DoubleMomentState(single, Moment.VarianceSample));
            Add(accum, "float8_stddev_pop", true, () => new DoubleMomentState(single, Moment.DeviationPopulation));
            Add(accum, "float8_stddev_samp", true, () => new DoubleMomentState(single, Moment.DeviationSample));
        }

        foreach ((string accum, string prefix, bool integer) in new[]
        {
            ("int2_accum", "numeric_poly_", true), ("int4_accum", "numeric_poly_", true), ("int8_accum", "numeric_", true), ("numeric_accum", "numeric_", false),
        })
        {
            Add(accum, prefix + "var_pop", true, () => new NumericMomentState(integer, Moment.VariancePopulation));
            Add(accum, prefix + "var_samp", true, () => new NumericMomentState(integer, Moment.VarianceSample));
            Add(accum, prefix + "stddev_pop", true, () => new NumericMomentState(integer, Moment.DeviationPopulation));
            Add(accum, prefix + "stddev_samp", true, () => new NumericMomentState(integer, Moment.DeviationSample));
        }

        foreach (string final in RegressionState.Finals)
        {
            Add("float8_regr_accum", final, true, () => new RegressionState(final));
        }

        Add("string_agg_transfn", "string_agg_finalfn", false, static () => new StringState());
        Add("bytea_string_agg_transfn", "bytea_string_agg_finalfn", false, static () => new StringState());
        t.Add(("array_agg_transfn", "array_agg_finalfn"), static b =>
        {
            PgType element = TypeRegistry.Get(b.ArgumentTypes[0], b.Catalogs);
            return new AggregateFunction("array_agg", false, _ => new ArrayState(element));
        });
        t.Add(("array_agg_array_transfn", "array_agg_array_finalfn"), static b =>
        {
            PgType element = TypeRegistry.Get(b.ArgumentTypes[0], b.Catalogs).Element!;
            return new AggregateFunction("array_agg", false, _ => new NestedArrayState(element));
        });
        return t;
    }
}

internal enum Moment
{
    Average,
    VariancePopulation,
    VarianceSample,
    DeviationPopulation,
    DeviationSample,
}
