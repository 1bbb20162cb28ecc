using System.Globalization;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;
using SharedStorage.TestKit;
using Xunit.Abstractions;

namespace SharedStorage.Unit.Types;

/// <summary>Aggregates, set-returning and polymorphic functions, binary forms: against stock PostgreSQL.</summary>
public sealed class AggregateTests(ITestOutputHelper output)
{
    [SkippableFact]
    public void Aggregates_answer_as_stock_PostgreSQL_does()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres server = StockPostgres.Create().Start();
        string rows = server.Psql(
            "SELECT p.proname, p.proargtypes, p.prorettype, t.prosrc, t.proisstrict, coalesce(f.prosrc, ''), a.aggtranstype, coalesce(a.agginitval, '~'), t.oid " +
            "FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_proc t ON t.oid = a.aggtransfn LEFT JOIN pg_proc f ON f.oid = a.aggfinalfn::oid " +
            "WHERE a.aggkind = 'n' AND p.pronargs = 1 ORDER BY p.oid");
        var cases = new List<Case>();
        int bound = 0;
        foreach (string row in rows.Split('\n'))
        {
            string[] p = row.Split('|');
            var type = new Oid(uint.Parse(p[1], CultureInfo.InvariantCulture));
            if (!SampleValues.ByType.TryGetValue(type.Value, out string[]? samples) || type.Value is 1009 or 1007)
            {
                continue;
            }

            AggregateFunction? f = AggregateRegistry.Bind(Binding(p, type));
            if (f is not null)
            {
                bound++;
                AddCases(cases, p[0], type, f, p[2], samples);
            }
        }

        Assert.True(bound > 80, $"only {bound} aggregates are implemented");
        Judge.Compare(server, cases, TestSession.NewContext(), "UTC", "ISO, MDY", "postgres", output);
    }

    private static AggregateBinding Binding(string[] p, Oid type) => new()
    {
        TransitionSource = p[3],
        TransitionFunction = new Oid(uint.Parse(p[8], CultureInfo.InvariantCulture)),
        TransitionStrict = p[4] == "t",
        FinalSource = p[5].Length == 0 ? null : p[5],
        TransitionType = new Oid(uint.Parse(p[6], CultureInfo.InvariantCulture)),
        InitialValue = p[7] == "~" ? null : p[7],
        ArgumentTypes = [type],
        ResultType = new Oid(uint.Parse(p[2], CultureInfo.InvariantCulture)),
        Collation = Collation.Get("C.UTF-8", "C.UTF-8"),
    };

    private static void AddCases(List<Case> cases, string name, Oid type, AggregateFunction f, string result, string[] samples)
    {
        var random = new Random((int)type.Value);
        PgType t = TypeRegistry.Find(type)!;
        uint resultType = uint.Parse(result, CultureInfo.InvariantCulture);
        PgType r = resultType == 2277 ? TypeRegistry.Find(new Oid(t.ArrayId))! : TypeRegistry.Find(new Oid(resultType)) ?? t;
        for (int n = 0; n < 12; n++)
        {
            string?[] values = [.. Enumerable.Range(0, n).Select(_ => random.Next(6) == 0 ? null : samples[random.Next(samples.Length)])];
            if (name is "array_agg" && type.Value == 19)
            {
                continue;
            }

            string sqlType = TypeNames.Format(type, -1, null);
            IEnumerable<string> written = values.Select(v => v is null ? $"NULL::{sqlType}" : $"{Quoting.Literal(v)}::{sqlType}");
            string list = n == 0 ? $"(SELECT NULL::{sqlType} WHERE false) AS v (x)" : $"(VALUES {string.Join(", ", written.Select(w => $"({w})"))}) AS v (x)";
            cases.Add(new Case($"{name}({t.Name})", $"SELECT format('%s', {name}(x)) FROM {list}", c =>
            {
                try
                {
                    AggregateState state = f.NewState(c);
                    foreach (string? v in values)
                    {
                        Datum d = v is null ? Datum.Null : t.InputText(v, -1, c);
                        if (!d.IsNull || !f.SkipsNulls)
                        {
                            state.Add(d);
                        }
                    }

                    Datum answer = state.Result(c);
                    return answer.IsNull ? "" : r.OutputText(answer, c);
                }
                catch (PgException e)
                {
                    return $"ERROR {e.SqlState}: {e.Message}";
                }
            }));
        }
    }

    [SkippableFact]
    public void Binary_forms_are_those_of_stock_PostgreSQL_and_read_back()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres server = StockPostgres.Create().Start();
        var cases = new List<Case>();
        foreach (string row in server.Psql("SELECT oid, typsend::text FROM pg_type WHERE typsend <> 0 ORDER BY oid").Split('\n'))
        {
            string[] p = row.Split('|');
            var type = new Oid(uint.Parse(p[0], CultureInfo.InvariantCulture));
            if (!SampleValues.ByType.TryGetValue(type.Value, out string[]? samples))
            {
                continue;
            }

            PgType t = TypeRegistry.Find(type)!;
            foreach (string sample in samples)
            {
                cases.Add(new Case(
                    t.Name + " send",
                    $"SELECT encode({p[1]}({Quoting.Literal(sample)}::{TypeNames.Format(type, -1, null)}), 'hex')",
                    c =>
                    {
                        Datum d = t.InputText(sample, -1, c);
                        var w = new System.Buffers.ArrayBufferWriter<byte>();
                        t.Send(d, w, c);
                        string again = t.OutputText(t.Receive(w.WrittenSpan, -1, c), c);
                        return again == t.OutputText(d, c) ? Convert.ToHexStringLower(w.WrittenSpan) : $"reads back as {again}";
                    }));
            }
        }

        Judge.Compare(server, cases, TestSession.NewContext(), "UTC", "ISO, MDY", "postgres", output);
    }

    [SkippableFact]
    public void Registered_names_are_PostgreSQLs()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres server = StockPostgres.Create().Start();
        HashSet<string> sources = [.. server.Psql("SELECT prosrc FROM pg_proc").Split('\n')];
        HashSet<string> sets = [.. server.Psql("SELECT prosrc FROM pg_proc WHERE proretset").Split('\n')];
        Assert.Equal([], (string[])[.. FunctionRegistry.Names.Where(n => !sources.Contains(n))]);
        Assert.Equal([], (string[])[.. SetFunctionRegistry.Names.Where(n => !sets.Contains(n))]);
        string oids = string.Join(',', FunctionRegistry.SqlLanguageOids);
        Assert.Equal("", server.Psql($"SELECT proname FROM pg_proc WHERE oid IN ({oids}) AND prolang <> 14"));

        // Numbers, lengths, alignments and arrays of types.
        string types = string.Join(',', TypeRegistry.All.Select(t => $"({t.Id},{t.Length},{(t.ByValue ? "true" : "false")},{t.Alignment},{t.ArrayId})"));
        Assert.Equal("", server.Psql(
            $"SELECT v.* FROM (VALUES {types}) AS v (id, length, byvalue, alignment, array_id) LEFT JOIN pg_type t ON t.oid = id " +
            "WHERE t.typlen IS DISTINCT FROM length OR t.typbyval <> byvalue OR t.typarray <> array_id " +
            "OR alignment <> CASE t.typalign WHEN 'c' THEN 1 WHEN 's' THEN 2 WHEN 'i' THEN 4 ELSE 8 END"));
    }
}
