using System.Globalization;
using SharedStorage.Hosting.Settings;

namespace SharedStorage.Writer.Vacuum;

/// <summary>The node's settings for autovacuum, under PostgreSQL's names; a table's storage parameters of the same names win.</summary>
public sealed record AutovacuumSettings
{
    public bool Enabled { get; init; } = true;
    public TimeSpan NapTime { get; init; } = TimeSpan.FromMinutes(1);
    public int MaxWorkers { get; init; } = 3;
    public double VacuumThreshold { get; init; } = 50;
    public double VacuumScale { get; init; } = 0.2;

    /// <summary>Negative: insertions alone bring no vacuum.</summary>
    public double InsertThreshold { get; init; } = 1000;
    public double InsertScale { get; init; } = 0.2;
    public double AnalyzeThreshold { get; init; } = 50;
    public double AnalyzeScale { get; init; } = 0.1;
    public uint FreezeMaxAge { get; init; } = 200_000_000;
    public uint MultiFreezeMaxAge { get; init; } = 400_000_000;

    /// <summary>Milliseconds; negative takes vacuum_cost_delay.</summary>
    public double CostDelay { get; init; } = 2;

    /// <summary>Not positive takes vacuum_cost_limit.</summary>
    public int CostLimit { get; init; } = -1;

    public static AutovacuumSettings Of(NodeSettings settings) => new()
    {
        Enabled = settings.Bool("autovacuum"),
        NapTime = settings.Time("autovacuum_naptime"),
        MaxWorkers = (int)settings.Number("autovacuum_max_workers"),
        VacuumThreshold = Real(settings, "autovacuum_vacuum_threshold"),
        VacuumScale = Real(settings, "autovacuum_vacuum_scale_factor"),
        InsertThreshold = Real(settings, "autovacuum_vacuum_insert_threshold"),
        InsertScale = Real(settings, "autovacuum_vacuum_insert_scale_factor"),
        AnalyzeThreshold = Real(settings, "autovacuum_analyze_threshold"),
        AnalyzeScale = Real(settings, "autovacuum_analyze_scale_factor"),
        FreezeMaxAge = (uint)settings.Number("autovacuum_freeze_max_age"),
        MultiFreezeMaxAge = (uint)settings.Number("autovacuum_multixact_freeze_max_age"),
        CostDelay = settings.Number("autovacuum_vacuum_cost_delay"),
        CostLimit = (int)settings.Number("autovacuum_vacuum_cost_limit"),
    };

    /// <summary>With a table's storage parameters ("autovacuum_vacuum_threshold=10").</summary>
    public AutovacuumSettings With(IEnumerable<string>? options)
    {
        AutovacuumSettings result = this;
        foreach (string option in options ?? [])
        {
            int at = option.IndexOf('=', StringComparison.Ordinal);
            string value = option[(at + 1)..];
            result = option[..at] switch
            {
                "autovacuum_enabled" => result with { Enabled = result.Enabled && value is "true" or "on" or "1" or "yes" },
                "autovacuum_vacuum_threshold" => result with { VacuumThreshold = Real(value) },
                "autovacuum_vacuum_scale_factor" => result with { VacuumScale = Real(value) },
                "autovacuum_vacuum_insert_threshold" => result with { InsertThreshold = Real(value) },
                "autovacuum_vacuum_insert_scale_factor" => result with { InsertScale = Real(value) },
                "autovacuum_analyze_threshold" => result with { AnalyzeThreshold = Real(value) },
                "autovacuum_analyze_scale_factor" => result with { AnalyzeScale = Real(value) },

                // A table may only be frozen earlier than the rest.
                "autovacuum_freeze_max_age" => result with { FreezeMaxAge = Math.Min(result.FreezeMaxAge, (uint)Real(value)) },
                "autovacuum_multixact_freeze_max_age" => result with { MultiFreezeMaxAge = Math.Min(result.MultiFreezeMaxAge, (uint)Real(value)) },
                "autovacuum_vacuum_cost_delay" => result with { CostDelay = Real(value) },
                "autovacuum_vacuum_cost_limit" => result with { CostLimit = (int)Real(value) },
                _ => result,
            };
        }

        return result;
    }

    private static double Real(NodeSettings settings, string name) => Real(settings[name]);
    private static double Real(string value) => double.Parse(value, CultureInfo.InvariantCulture);
}
