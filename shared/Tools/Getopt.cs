namespace SharedStorage.Tools;

/// <summary>Whether an option takes a value.</summary>
internal enum OptionValue
{
    None,
    Required,

    /// <summary>Only as <c>--name=value</c>.</summary>
    Optional,
}

/// <summary>An option by its long name and its letter.</summary>
internal sealed record OptionSpec(string Name, char Letter, OptionValue Value);

/// <summary>
/// Arguments as GNU <c>getopt_long</c> takes them apart, on which PostgreSQL's programs rely: letters in groups, values attached or apart, long names cut short, options and
/// positional arguments in any order, <c>--</c>. A command whose arguments must be another program's to the letter uses this; the others have System.CommandLine.
/// </summary>
internal sealed class Getopt(string program, IReadOnlyList<OptionSpec> specs)
{
    /// <summary>Takes the arguments apart, calls <paramref name="option"/> for each option in order, and gives the rest.</summary>
    /// <exception cref="GetoptException">An option is unknown, ambiguous, or lacks its value; options before it have been handled, as getopt's callers do.</exception>
    public List<string> Parse(IReadOnlyList<string> arguments, Action<char, string?> option)
    {
        var rest = new List<string>();
        for (int i = 0; i < arguments.Count; i++)
        {
            string argument = arguments[i];
            if (argument == "--")
            {
                rest.AddRange(arguments.Skip(i + 1));
                break;
            }

            if (argument.StartsWith("--", StringComparison.Ordinal))
            {
                ParseLong(arguments, ref i, option);
            }
            else if (argument.Length > 1 && argument[0] == '-')
            {
                ParseLetters(arguments, ref i, option);
            }
            else
            {
                rest.Add(argument);
            }
        }

        return rest;
    }

    private void ParseLong(IReadOnlyList<string> arguments, ref int i, Action<char, string?> option)
    {
        string argument = arguments[i];
        int equals = argument.IndexOf('=', StringComparison.Ordinal);
        string name = equals < 0 ? argument[2..] : argument[2..equals];
        string? value = equals < 0 ? null : argument[(equals + 1)..];
        OptionSpec spec = FindLong(name, argument);
        if (spec.Value == OptionValue.None && value is not null)
        {
            throw Wrong($"option '--{spec.Name}' doesn't allow an argument");
        }

        if (spec.Value == OptionValue.Required && value is null)
        {
            value = ++i < arguments.Count ? arguments[i] : throw Wrong($"option '--{spec.Name}' requires an argument");
        }

        option(spec.Letter, value);
    }

    private OptionSpec FindLong(string name, string argument)
    {
        if (specs.FirstOrDefault(s => s.Name == name) is { } exact)
        {
            return exact;
        }

        OptionSpec[] candidates = [.. specs.Where(s => s.Name.StartsWith(name, StringComparison.Ordinal))];
        return candidates.Length switch
        {
            1 => candidates[0],
            0 => throw Wrong($"unrecognized option '{argument}'"),
            _ => throw Wrong($"option '{argument}' is ambiguous; possibilities:{string.Concat(candidates.Select(c => $" '--{c.Name}'"))}"),
        };
    }

    private void ParseLetters(IReadOnlyList<string> arguments, ref int i, Action<char, string?> option)
    {
        string argument = arguments[i];
        for (int at = 1; at < argument.Length; at++)
        {
            char letter = argument[at];
            OptionSpec? spec = letter is '?' ? null : specs.FirstOrDefault(s => s.Letter == letter);
            if (spec is null)
            {
                throw Wrong($"invalid option -- '{letter}'");
            }

            if (spec.Value != OptionValue.Required)
            {
                option(letter, null);
                continue;
            }

            string value = at + 1 < argument.Length ? argument[(at + 1)..]
                : ++i < arguments.Count ? arguments[i] : throw Wrong($"option requires an argument -- '{letter}'");
            option(letter, value);
            return;
        }
    }

    /// <summary>getopt prints its own message, without the word "error".</summary>
    private GetoptException Wrong(string message) => new($"{program}: {message}");
}

/// <summary>The whole line that getopt would print.</summary>
internal sealed class GetoptException(string line) : Exception(line);
