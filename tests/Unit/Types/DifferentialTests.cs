using System.Globalization;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;
using SharedStorage.TestKit;
using Xunit.Abstractions;

namespace SharedStorage.Unit.Types;

/// <summary>
/// Each implemented function, on thousands of arguments, against stock PostgreSQL: the same text or the same error. And each type's text form
/// in both directions. PostgreSQL is the judge.
/// </summary>
public sealed class DifferentialTests(ITestOutputHelper output)
{
    private const int TuplesPerFunction = 60;

    // Answers that depend on the server, the clock or chance.
    private static readonly HashSet<string> Excluded = new(StringComparer.Ordinal)
    {
        "drandom", "setseed", "now", "clock_timestamp", "statement_timestamp", "timeofday", "pg_sleep", "pgsql_version", "pg_backend_pid",
        "current_schemas", "xid_age", "mxid_age", "text_regclass", "pg_postmaster_start_time", "pg_conf_load_time", "pg_current_wal_lsn", "nextval_oid", "set_config_by_name", "pg_cancel_backend",
    };

    // Those that ask catalogs, privileges, encodings other than ours.
    private static readonly string[] ExcludedPrefixes =
    [
        "has_", "pg_has_", "to_reg", "PG_", "pg_get_", "pg_current_xact", "pg_encoding", "pg_table_is", "pg_type_is", "pg_function_is", "pg_operator_is",
        "pg_op", "pg_collation", "pg_conversion", "pg_statistics", "pg_ts_", "pg_my_temp", "pg_tablespace", "pg_relation",
    ];

    private sealed record Function(uint Oid, string Source, string Name, uint[] Arguments, uint Result);

    [SkippableTheory]
    [InlineData("UTC", "ISO, MDY", "postgres")]
    [InlineData("Europe/Berlin", "SQL, DMY", "sql_standard")]
    [InlineData("America/New_York", "German, DMY", "iso_8601")]
    [InlineData("Asia/Kolkata", "Postgres, YMD", "postgres_verbose")]
    public void Functions_answer_as_stock_PostgreSQL_does(string zone, string dateStyle, string intervalStyle)
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres server = StockPostgres.Create().Start();
        EvalContext context = Context(zone, dateStyle, intervalStyle);
        var cases = new List<Case>();
        foreach (Function f in Functions(server))
        {
            AddCases(f, cases);
        }

        AddTypeCases(cases);
        Assert.True(cases.Count > 30_000, $"only {cases.Count} expressions");
        Judge.Compare(server, cases, context, zone, dateStyle, intervalStyle, output);
    }

    private static EvalContext Context(string zone, string dateStyle, string intervalStyle)
    {
        EvalContext c = TestSession.NewContext(zone);
        string[] parts = dateStyle.Split(", ");
        c.DateStyle = Enum.Parse<DateStyle>(parts[0], ignoreCase: true);
        c.DateOrder = Enum.Parse<DateOrder>(parts[1], ignoreCase: true);
        c.IntervalStyle = intervalStyle switch
        {
            "sql_standard" => IntervalStyle.SqlStandard,
            "iso_8601" => IntervalStyle.Iso8601,
            "postgres_verbose" => IntervalStyle.PostgresVerbose,
            _ => IntervalStyle.Postgres,
        };
        return c;
    }

    private static List<Function> Functions(StockPostgres server)
    {
        string rows = server.Psql(
            "SELECT oid, prosrc, proname, proargtypes, prorettype FROM pg_proc WHERE pronamespace = 11 AND prokind = 'f' AND provolatile <> 'v' " +
            "AND NOT proretset AND provariadic = 0 AND proisstrict ORDER BY oid");
        var found = new List<Function>();
        foreach (string row in rows.Split('\n'))
        {
            string[] p = row.Split('|');
            if (p.Length != 5 || Excluded.Contains(p[1]) || ExcludedPrefixes.Any(x => p[1].StartsWith(x, StringComparison.Ordinal)))
            {
                continue;
            }

            uint oid = uint.Parse(p[0], CultureInfo.InvariantCulture);
            uint[] arguments = [.. p[3].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(a => uint.Parse(a, CultureInfo.InvariantCulture))];
            uint result = uint.Parse(p[4], CultureInfo.InvariantCulture);
            if (FunctionRegistry.IsImplemented(new Oid(oid), p[1]) && TypeRegistry.Find(new Oid(result)) is not null
                && arguments.All(SampleValues.ByType.ContainsKey))
            {
                found.Add(new Function(oid, p[1], p[2], arguments, result));
            }
        }

        return found;
    }

    private static void AddCases(Function f, List<Case> cases)
    {
        var random = new Random((int)f.Oid);
        string[][] choices = [.. f.Arguments.Select((a, i) => SampleValues.ForArgument(f.Source.Length == 0 ? f.Name : f.Source, i) ?? SampleValues.ByType[a])];
        long all = choices.Aggregate(1L, (n, c) => n * c.Length);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (int n = 0; n < Math.Min(all, TuplesPerFunction); n++)
        {
            long pick = all <= TuplesPerFunction ? n : random.NextInt64(all);
            var values = new string[choices.Length];
            for (int i = 0; i < choices.Length; i++)
            {
                values[i] = choices[i][pick % choices[i].Length];
                pick /= choices[i].Length;
            }

            IEnumerable<string> written = values.Select((v, i) => $"{Quoting.Literal(v)}::{TypeNames.Format(new Oid(f.Arguments[i]), -1, null)}");
            string query = $"SELECT format('%s', pg_catalog.{Quoting.Identifier(f.Name, always: true)}({string.Join(", ", written)}))";
            if (seen.Add(query))
            {
                cases.Add(new Case(f.Source, query, c => Evaluate(f, values, c)));
            }
        }
    }

    private static string Evaluate(Function f, string[] values, EvalContext c)
    {
        try
        {
            SqlFunction function = FunctionRegistry.Bind(f.Source, new FunctionBinding
            {
                Function = new Oid(f.Oid),
                ArgumentTypes = [.. f.Arguments.Select(a => new Oid(a))],
                ResultType = new Oid(f.Result),
                Collation = c.DatabaseCollation,
                Catalogs = c.Catalogs,
            })!;
            Datum[] arguments = [.. values.Select((v, i) => TypeRegistry.Find(new Oid(f.Arguments[i]))!.InputText(v, -1, c))];
            Datum r = function.Invoke(arguments, c);
            return r.IsNull ? "" : TypeRegistry.Find(new Oid(f.Result))!.OutputText(r, c);
        }
        catch (PgException e)
        {
            return $"ERROR {e.SqlState}: {e.Message}";
        }
    }

    private static void AddTypeCases(List<Case> cases)
    {
        foreach ((uint type, string[] texts) in TypeTexts.ByType)
        {
            PgType t = TypeRegistry.Find(new Oid(type))!;
            foreach (string text in texts)
            {
                cases.Add(new Case(
                    t.Name + " input",
                    $"SELECT format('%s', {Quoting.Literal(text)}::{TypeNames.Format(new Oid(type), -1, null)})",
                    c =>
                    {
                        try
                        {
                            return t.OutputText(t.InputText(text, -1, c), c);
                        }
                        catch (PgException e)
                        {
                            return $"ERROR {e.SqlState}: {e.Message}";
                        }
                    }));
            }
        }
    }
}
