using System.Globalization;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Session;

/// <summary>What kind of value a setting has, so how SET checks it.</summary>
public enum SettingKind
{
    Text, Bool, Int, Real, Enum,
}

/// <summary>A setting that sessions know.</summary>
/// <param name="Unit">"" , "ms", "kB", "8kB", "s", "min": a bare number counts in it.</param>
/// <param name="Reported">Clients are told of changes (ParameterStatus).</param>
/// <param name="Changeable">False: SET gives 55P02.</param>
public sealed record Setting(string Name, SettingKind Kind, string Default, string Unit = "", bool Reported = false, bool Changeable = true, params string[] Values)
{
    public long Min { get; init; } = long.MinValue;
    public long Max { get; init; } = long.MaxValue;
}

/// <summary>
/// The session's settings with SET, SET LOCAL, RESET (PostgreSQL's guc.c): values of transactions and savepoints that roll back come back. Values that
/// types and functions use are kept up to date in the <see cref="EvalContext"/>.
/// </summary>
public sealed class SessionSettings
{
    private static readonly Dictionary<string, Setting> Known = SettingList.All.ToDictionary(s => s.Name, StringComparer.OrdinalIgnoreCase);

    private readonly Dictionary<string, string> _values = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, string> _startup = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<(int Depth, string Name, string? Old, bool Local)> _undo = [];

    /// <summary>Called after a value has changed.</summary>
    public Action<Setting, string>? Changed { get; set; }

    /// <summary>Asked before the transaction's own settings change: throws when that is not allowed now.</summary>
    public Func<string, string, string>? Check { get; set; }

    public IEnumerable<Setting> All => Known.Values.OrderBy(s => s.Name, StringComparer.Ordinal);

    public static Setting? Find(string name) => Known.GetValueOrDefault(name);

    public string? Get(string name)
    {
        if (_values.TryGetValue(name, out string? value))
        {
            return value;
        }

        return _startup.TryGetValue(name, out value) ? value : Known.GetValueOrDefault(name)?.Default;
    }

    /// <summary>A value that RESET goes back to: from the node's files or the startup message.</summary>
    public void SetStartup(string name, string value)
    {
        Setting setting = Known.GetValueOrDefault(name) ?? Unknown(name);
        value = Normalize(setting, value);
        _startup[setting.Name] = value;
        Changed?.Invoke(setting, value);
    }

    /// <param name="value">Null is DEFAULT.</param>
    /// <param name="local">Until the end of the transaction.</param>
    /// <param name="depth">The depth of subtransactions; -1 outside of transactions.</param>
    /// <exception cref="PgException">42704, 22023, 55P02.</exception>
    public string Set(string name, string? value, bool local, int depth)
    {
        Setting setting = Known.GetValueOrDefault(name) ?? Unknown(name);
        if (!setting.Changeable)
        {
            throw new PgException(SqlStates.CantChangeRuntimeParam, setting.Name is "server_version" or "block_size" or "server_encoding" or "lc_collate" or "in_hot_standby" or "data_checksums"
                ? $"parameter \"{setting.Name}\" cannot be changed" : $"parameter \"{setting.Name}\" cannot be changed now");
        }

        string next = value is null ? _startup.GetValueOrDefault(setting.Name) ?? setting.Default : Normalize(setting, value);
        next = Check?.Invoke(setting.Name, next) ?? next;
        if (depth >= 0)
        {
            _undo.Add((depth, setting.Name, _values.GetValueOrDefault(setting.Name), local));
        }

        _values[setting.Name] = next;
        Changed?.Invoke(setting, next);
        return next;
    }

    public void ResetAll(int depth)
    {
        foreach (string name in _values.Keys.ToArray())
        {
            if (name is not ("transaction_isolation" or "transaction_read_only" or "transaction_deferrable"))
            {
                Set(name, null, false, depth);
            }
        }
    }

    /// <summary>The end of a transaction, or of the subtransactions at <paramref name="depth"/> and deeper.</summary>
    public void EndTransaction(bool commit, int depth)
    {
        // A SET after a SET LOCAL stays; a SET LOCAL's old value is restored.
        var kept = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (int i = _undo.Count - 1; i >= 0 && _undo[i].Depth >= depth; i--)
        {
            (int at, string name, string? old, bool local) = _undo[i];
            _undo.RemoveAt(i);
            if (commit && depth > 0)
            {
                // A released savepoint's changes belong to the level above.
                _undo.Insert(i, (depth - 1, name, old, local));
                if (i == 0 || _undo[i - 1].Depth < depth)
                {
                    break;
                }

                continue;
            }

            _ = at;
            if (commit && !local)
            {
                kept.Add(name);
            }
            else if (!kept.Contains(name))
            {
                Restore(name, old);
            }
        }
    }

    private void Restore(string name, string? old)
    {
        if (old is null)
        {
            _values.Remove(name);
        }
        else
        {
            _values[name] = old;
        }

        Setting setting = Known.GetValueOrDefault(name) ?? new Setting(name, SettingKind.Text, "");
        Changed?.Invoke(setting, Get(name) ?? "");
    }

    private static Setting Unknown(string name)
    {
        // "prefix.name" may be set by anybody.
        if (name.Contains('.', StringComparison.Ordinal))
        {
            return new Setting(name, SettingKind.Text, "");
        }

        throw new PgException(SqlStates.UndefinedObject, $"unrecognized configuration parameter \"{name}\"");
    }

    private static string Normalize(Setting s, string value)
    {
        switch (s.Kind)
        {
            case SettingKind.Bool:
                return ParseBool(value) is { } b ? b ? "on" : "off"
                    : throw new PgException(SqlStates.InvalidParameterValue, $"parameter \"{s.Name}\" requires a Boolean value");
            case SettingKind.Int:
                return NormalizeInt(s, value);
            case SettingKind.Real:
                return !double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double d)
                    ? throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"{s.Name}\": \"{value}\"")
                    : (s.Min == long.MinValue || d >= s.Min) && (s.Max == long.MaxValue || d <= s.Max) ? d.ToString(CultureInfo.InvariantCulture)
                    : throw new PgException(SqlStates.InvalidParameterValue, $"{d.ToString(CultureInfo.InvariantCulture)} is outside the valid range for parameter \"{s.Name}\" ({s.Min} .. {s.Max})");
            case SettingKind.Enum:
                return s.Values.FirstOrDefault(v => v.Equals(value, StringComparison.OrdinalIgnoreCase))
                    ?? (s.Values.Contains("on") && ParseBool(value) is { } flag ? flag ? "on" : "off" : null)
                    ?? throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"{s.Name}\": \"{value}\"")
                    {
                        Hint = $"Available values: {string.Join(", ", s.Values)}.",
                    };
            default:
                return TextSettings.Normalize(s.Name, value);
        }
    }

    internal static bool? ParseBool(string v) => v.ToLowerInvariant() switch
    {
        "on" or "true" or "t" or "tr" or "tru" or "yes" or "y" or "ye" or "1" => true,
        "off" or "of" or "false" or "f" or "fa" or "fal" or "fals" or "no" or "n" or "0" => false,
        _ => null,
    };

    private static string NormalizeInt(Setting s, string value)
    {
        string text = value.Trim();
        int digits = 0;
        while (digits < text.Length && (char.IsAsciiDigit(text[digits]) || text[digits] is '-' or '+' or '.'))
        {
            digits++;
        }

        double factor = Factor(s.Unit, text[digits..].Trim());
        if (digits == 0 || double.IsNaN(factor) || !double.TryParse(text[..digits], NumberStyles.Float, CultureInfo.InvariantCulture, out double number))
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"{s.Name}\": \"{value}\"");
        }

        long n = (long)Math.Round(number * factor);
        if (n < s.Min || n > s.Max)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"{n} is outside the valid range for parameter \"{s.Name}\" ({s.Min} .. {s.Max})");
        }

        return ShowInt(n, s.Unit);
    }

    private static double Factor(string unit, string given) => (unit, given) switch
    {
        (_, "") => 1,
        ("ms", "us") => 0.001,
        ("ms", "ms") or ("s", "s") or ("min", "min") or ("kB", "kB") => 1,
        ("ms", "s") => 1000,
        ("ms", "min") => 60_000,
        ("ms", "h") => 3_600_000,
        ("ms", "d") => 86_400_000,
        ("s", "ms") => 0.001,
        ("s", "min") => 60,
        ("s", "h") => 3600,
        ("min", "h") => 60,
        ("kB", "B") => 1.0 / 1024,
        ("kB", "MB") => 1024,
        ("kB", "GB") => 1024 * 1024,
        ("8kB", "kB") => 1.0 / 8,
        ("8kB", "MB") => 128,
        ("8kB", "GB") => 131_072,
        _ => double.NaN,
    };

    // In the largest unit that the value is a multiple of.
    private static string ShowInt(long n, string unit)
    {
        (long, string)[] units = unit switch
        {
            "ms" => [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")],
            "s" => [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")],
            "min" => [(1440, "d"), (60, "h"), (1, "min")],
            "kB" => [(1_048_576, "GB"), (1024, "MB"), (1, "kB")],
            "8kB" => [(131_072, "GB"), (128, "MB")],
            _ => [],
        };
        if (n > 0)
        {
            foreach ((long size, string name) in units)
            {
                if (n % size == 0)
                {
                    return string.Create(CultureInfo.InvariantCulture, $"{n / size}{name}");
                }
            }

            if (unit == "8kB")
            {
                return string.Create(CultureInfo.InvariantCulture, $"{n * 8}kB");
            }
        }

        return n.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>The bare number of a setting with a unit.</summary>
    internal static string InUnit(Setting s, string value)
    {
        int digits = value.TakeWhile(c => char.IsAsciiDigit(c) || c == '-').Count();
        double factor = Factor(s.Unit, value[digits..]);
        return long.TryParse(value[..digits], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long n) && !double.IsNaN(factor)
            ? ((long)(n * factor)).ToString(CultureInfo.InvariantCulture) : value;
    }

    /// <summary>A duration setting in milliseconds, from its text as SHOW prints it.</summary>
    public long Milliseconds(string name)
    {
        string text = Get(name) ?? "0";
        int digits = text.TakeWhile(c => char.IsAsciiDigit(c) || c == '-').Count();
        return (long)(long.Parse(text[..digits], CultureInfo.InvariantCulture) * Factor("ms", text[digits..]));
    }
}

/// <summary>Settings of text whose values have a form: how SHOW prints them.</summary>
internal static class TextSettings
{
    public static string Normalize(string name, string value)
    {
        switch (name.ToLowerInvariant())
        {
            case "timezone":
                PgTimeZone? zone = value.Equals("local", StringComparison.OrdinalIgnoreCase) || value.Equals("default", StringComparison.OrdinalIgnoreCase) ? PgTimeZone.Utc
                    : double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double hours) ? PgTimeZone.Fixed((int)(hours * 3600))
                    : PgTimeZone.Find(value);
                return zone?.Name ?? throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"TimeZone\": \"{value}\"");
            case "datestyle":
                return DateStyle(value);
            case "client_encoding":
                string plain = value.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal).ToUpperInvariant();
                return plain switch
                {
                    "UTF8" or "UNICODE" => "UTF8",
                    "SQLASCII" => "SQL_ASCII",
                    _ => throw PgException.NotSupported($"client_encoding {value}"),
                };
            default:
                return value;
        }
    }

    /// <summary>"ISO, MDY" from a list of words over the default.</summary>
    private static string DateStyle(string value)
    {
        (string style, string order) = ("ISO", "MDY");
        foreach (string word in value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string upper = word.ToUpperInvariant();
            switch (upper)
            {
                case "ISO" or "SQL":
                    style = upper;
                    break;
                case "POSTGRES" or "POSTGRESQL":
                    style = "Postgres";
                    break;
                case "GERMAN":
                    (style, order) = ("German", "DMY");
                    break;
                case "YMD" or "DMY" or "MDY":
                    order = upper;
                    break;
                case "EURO" or "EUROPEAN" or "EUROS":
                    order = "DMY";
                    break;
                case "US" or "NONEURO" or "NONEUROPEAN":
                    order = "MDY";
                    break;
                case "DEFAULT":
                    break;
                default:
                    throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"DateStyle\": \"{value}\"") { Detail = $"Unrecognized key word: \"{word}\"." };
            }
        }

        return $"{style}, {order}";
    }

    /// <summary>Brings what types and functions use up to date.</summary>
    public static void Apply(EvalContext context, string name, string value)
    {
        switch (name.ToLowerInvariant())
        {
            case "timezone":
                context.TimeZone = PgTimeZone.Find(value) ?? PgTimeZone.Utc;
                break;
            case "datestyle":
                context.DateStyle = value switch
                {
                    _ when value.StartsWith("SQL", StringComparison.Ordinal) => Functions.DateStyle.Sql,
                    _ when value.StartsWith("Postgres", StringComparison.Ordinal) => Functions.DateStyle.Postgres,
                    _ when value.StartsWith("German", StringComparison.Ordinal) => Functions.DateStyle.German,
                    _ => Functions.DateStyle.Iso,
                };
                context.DateOrder = value.EndsWith("DMY", StringComparison.Ordinal) ? DateOrder.Dmy : value.EndsWith("YMD", StringComparison.Ordinal) ? DateOrder.Ymd : DateOrder.Mdy;
                break;
            case "intervalstyle":
                context.IntervalStyle = value switch
                {
                    "postgres_verbose" => IntervalStyle.PostgresVerbose,
                    "sql_standard" => IntervalStyle.SqlStandard,
                    "iso_8601" => IntervalStyle.Iso8601,
                    _ => IntervalStyle.Postgres,
                };
                break;
            case "extra_float_digits":
                context.ExtraFloatDigits = int.Parse(value, CultureInfo.InvariantCulture);
                break;
            case "bytea_output":
                context.ByteaHex = value == "hex";
                break;
            case "quote_all_identifiers":
                context.QuoteAllIdentifiers = value == "on";
                break;
        }
    }
}
