using System.Globalization;
using SharedStorage.Primitives;

namespace SharedStorage.Hosting.Settings;

public enum SettingUnit
{
    None,

    /// <summary>A size; the base unit is one byte. Written with B, kB, MB, GB, TB.</summary>
    Bytes,

    /// <summary>A time; the base unit is one millisecond. Written with us, ms, s, min, h, d.</summary>
    Milliseconds,
}

/// <summary>
/// A setting of the node: name, default with its reason, limits. Numbers without a unit are taken in the unit that PostgreSQL takes them in (<see cref="PlainUnit"/>).
/// </summary>
public sealed record SettingDefinition(string Name, string Default, string Why)
{
    public SettingUnit Unit { get; init; }

    /// <summary>What a number without a unit means, in base units: 8192 for shared_buffers, 1 for milliseconds.</summary>
    public long PlainUnit { get; init; } = 1;

    public long Min { get; init; } = long.MinValue;
    public long Max { get; init; } = long.MaxValue;

    /// <summary>The words that are allowed; empty when the value is a number or free text.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];

    public bool IsNumber { get; init; }
    public bool IsBool { get; init; }

    private static readonly (string Suffix, long Factor)[] Sizes =
        [("kB", 1L << 10), ("MB", 1L << 20), ("GB", 1L << 30), ("TB", 1L << 40), ("B", 1)];

    private static readonly (string Suffix, double Factor)[] Times =
        [("us", 0.001), ("ms", 1), ("min", 60_000), ("s", 1000), ("h", 3_600_000), ("d", 86_400_000)];

    /// <exception cref="PgException">22023: not of the kind, or out of bounds.</exception>
    public void Check(string value)
    {
        if (IsNumber)
        {
            Number(value);
        }
        else if (IsBool)
        {
            Bool(value);
        }
        else if (Words.Count > 0 && !Words.Contains(value, StringComparer.OrdinalIgnoreCase))
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"{Name}\": \"{value}\"")
            {
                Hint = $"Available values: {string.Join(", ", Words)}.",
            };
        }
    }

    /// <summary>The value in base units.</summary>
    public long Number(string text)
    {
        ReadOnlySpan<char> s = text.AsSpan().Trim();
        int digits = 0;
        while (digits < s.Length && (char.IsAsciiDigit(s[digits]) || s[digits] is '-' or '+' or '.'))
        {
            digits++;
        }

        string suffix = s[digits..].Trim().ToString();
        if (!double.TryParse(s[..digits], NumberStyles.Float, CultureInfo.InvariantCulture, out double number) || FactorOf(suffix) is not double factor)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"{Name}\": \"{text}\"")
            {
                Hint = Unit switch
                {
                    SettingUnit.Bytes => "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".",
                    SettingUnit.Milliseconds => "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
                    _ => null,
                },
            };
        }

        double value = Math.Round(number * factor);
        if (value < Min || value > Max)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"{text} is outside the valid range for parameter \"{Name}\" ({Min} .. {Max})");
        }

        return (long)value;
    }

    public bool Bool(string text) => text.ToLowerInvariant() switch
    {
        "on" or "true" or "yes" or "1" or "t" or "y" => true,
        "off" or "false" or "no" or "0" or "f" or "n" => false,
        _ => throw new PgException(SqlStates.InvalidParameterValue, $"parameter \"{Name}\" requires a Boolean value"),
    };

    private double? FactorOf(string suffix)
    {
        if (suffix.Length == 0)
        {
            return PlainUnit;
        }

        if (Unit == SettingUnit.Bytes)
        {
            foreach ((string name, long factor) in Sizes)
            {
                if (suffix == name)
                {
                    return factor;
                }
            }
        }
        else if (Unit == SettingUnit.Milliseconds)
        {
            foreach ((string name, double factor) in Times)
            {
                if (suffix == name)
                {
                    return factor;
                }
            }
        }

        return null;
    }
}
