using System.Globalization;
using System.Text;
using SharedStorage.Sql.Functions;
using SharedStorage.TestKit;
using Xunit.Abstractions;

namespace SharedStorage.Unit.Types;

/// <summary>An expression for PostgreSQL, and what computes it here.</summary>
internal sealed record Case(string Label, string Query, Func<EvalContext, string> Ours);

/// <summary>Asks stock PostgreSQL all expressions at once and compares the answers, errors included.</summary>
internal static class Judge
{
    // Far more than any of these expressions may take, on a busy machine too.
    private static readonly TimeSpan SlowLimit = TimeSpan.FromSeconds(3);

    public static void Compare(
        StockPostgres server, List<Case> cases, EvalContext context, string zone, string dateStyle, string intervalStyle, ITestOutputHelper output)
    {
        var script = new StringBuilder();
        script.Append(
            "CREATE FUNCTION pg_temp.attempt(q text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; " +
            "EXCEPTION WHEN OTHERS THEN RETURN 'ERROR ' || SQLSTATE || ': ' || SQLERRM; END $$;\n");
        script.Append(CultureInfo.InvariantCulture, $"SET timezone = '{zone}'; SET datestyle = '{dateStyle}'; SET intervalstyle = '{intervalStyle}';\n");
        script.Append("CREATE TEMP TABLE q (n int, q text);\nCOPY q FROM stdin;\n");
        for (int i = 0; i < cases.Count; i++)
        {
            script.Append(CultureInfo.InvariantCulture, $"{i}\t{CopyEscape(cases[i].Query)}\n");
        }

        script.Append("\\.\nCOPY (SELECT coalesce(pg_temp.attempt(q), '') FROM q ORDER BY n) TO stdout;\n");
        string[] answers = server.PsqlFile(script.ToString()).Split('\n');
        var mismatches = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        for (int i = 0; i < cases.Count; i++)
        {
            string theirs = answers[i];
            string ours;
            var clock = System.Diagnostics.Stopwatch.StartNew();
            try
            {
                ours = CopyEscape(cases[i].Ours(context));
            }
            catch (Exception e)
            {
                ours = e.GetType().Name + ": " + e.Message;
            }

            // Of an order only the sign counts; PostgreSQL gives differences of bytes.
            if (cases[i].Label.EndsWith("cmp", StringComparison.Ordinal) && int.TryParse(theirs, out int order))
            {
                theirs = Math.Sign(order).ToString(CultureInfo.InvariantCulture);
            }

            if (clock.Elapsed > SlowLimit)
            {
                ours = $"took {clock.Elapsed.TotalSeconds:0.0} s";
            }

            if (ours != theirs)
            {
                if (!mismatches.TryGetValue(cases[i].Label, out List<string>? list))
                {
                    mismatches[cases[i].Label] = list = [];
                }

                list.Add($"{cases[i].Query}\n    PostgreSQL: {theirs}\n    ours:       {ours}");
            }
        }

        output.WriteLine($"{cases.Count} expressions, {mismatches.Values.Sum(m => m.Count)} differ");
        var report = new StringBuilder();
        foreach ((string label, List<string> list) in mismatches.OrderBy(m => m.Key, StringComparer.Ordinal))
        {
            report.Append(CultureInfo.InvariantCulture, $"{label}: {list.Count}\n");
            foreach (string m in list.Take(4))
            {
                report.Append("  ").Append(m).Append('\n');
            }
        }

        Assert.True(mismatches.Count == 0, report.ToString());
    }

    private static string CopyEscape(string s) => s.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)
        .Replace("\t", "\\t", StringComparison.Ordinal).Replace("\r", "\\r", StringComparison.Ordinal);
}
