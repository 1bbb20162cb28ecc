using SharedStorage.Primitives;

namespace SharedStorage.Hosting.Settings;

/// <summary>A setting as a file gives it, with the place for messages.</summary>
public readonly record struct ConfLine(string Name, string Value, string File, int Line);

/// <summary>Reads files of PostgreSQL's form (guc-file.l): <c>name = value</c>, quotes, comments, include, include_if_exists, include_dir.</summary>
public static class ConfFile
{
    /// <summary>PostgreSQL's limit against files that include each other.</summary>
    private const int MaxDepth = 10;

    /// <exception cref="PgException">F0000: a syntax error or a missing file, with file and line.</exception>
    public static IReadOnlyList<ConfLine> Read(string path)
    {
        var lines = new List<ConfLine>();
        ReadInto(lines, path, 0);
        return lines;
    }

    private static void ReadInto(List<ConfLine> lines, string path, int depth)
    {
        if (depth > MaxDepth)
        {
            throw Error(path, 0, "maximum nesting depth exceeded");
        }

        string[] text;
        try
        {
            text = File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PgException(SqlStates.ConfigFileError, $"could not open configuration file \"{path}\": {e.Message}");
        }

        for (int i = 0; i < text.Length; i++)
        {
            if (ParseLine(text[i], path, i + 1) is not var (name, value))
            {
                continue;
            }

            string here = Path.GetDirectoryName(path)!;
            switch (name)
            {
                case "include":
                    ReadInto(lines, Path.Combine(here, value), depth + 1);
                    break;
                case "include_if_exists":
                    if (File.Exists(Path.Combine(here, value)))
                    {
                        ReadInto(lines, Path.Combine(here, value), depth + 1);
                    }

                    break;
                case "include_dir":
                    foreach (string file in System.IO.Directory.GetFiles(Path.Combine(here, value), "*.conf").Order(StringComparer.Ordinal))
                    {
                        ReadInto(lines, file, depth + 1);
                    }

                    break;
                default:
                    lines.Add(new ConfLine(name, value, path, i + 1));
                    break;
            }
        }
    }

    private static (string Name, string Value)? ParseLine(string line, string path, int number)
    {
        ReadOnlySpan<char> rest = line.AsSpan().TrimStart();
        if (rest.IsEmpty || rest[0] == '#')
        {
            return null;
        }

        int length = 0;
        while (length < rest.Length && (char.IsAsciiLetterOrDigit(rest[length]) || rest[length] is '_' or '.' or '$'))
        {
            length++;
        }

        if (length == 0 || char.IsAsciiDigit(rest[0]))
        {
            throw Error(path, number, $"syntax error near token \"{rest[..Math.Min(rest.Length, 20)]}\"");
        }

        string name = rest[..length].ToString().ToLowerInvariant();
        rest = rest[length..].TrimStart();
        if (!rest.IsEmpty && rest[0] == '=')
        {
            rest = rest[1..].TrimStart();
        }

        string value = rest.IsEmpty || rest[0] == '#' ? throw Error(path, number, "syntax error near end of line")
            : rest[0] == '\'' ? Quoted(ref rest, path, number)
            : Bare(ref rest);
        rest = rest.TrimStart();
        return rest.IsEmpty || rest[0] == '#' ? (name, value) : throw Error(path, number, $"syntax error near token \"{rest}\"");
    }

    private static string Bare(ref ReadOnlySpan<char> rest)
    {
        int end = rest.IndexOfAny(" \t#");
        end = end < 0 ? rest.Length : end;
        string value = rest[..end].ToString();
        rest = rest[end..];
        return value;
    }

    private static string Quoted(ref ReadOnlySpan<char> rest, string path, int number)
    {
        var value = new System.Text.StringBuilder();
        for (int i = 1; i < rest.Length; i++)
        {
            char c = rest[i];
            if (c == '\'' && i + 1 < rest.Length && rest[i + 1] == '\'')
            {
                value.Append('\'');
                i++;
            }
            else if (c == '\'')
            {
                rest = rest[(i + 1)..];
                return value.ToString();
            }
            else if (c == '\\' && i + 1 < rest.Length)
            {
                i++;
                value.Append(rest[i] switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', char other => other });
            }
            else
            {
                value.Append(c);
            }
        }

        throw Error(path, number, "unterminated quoted string");
    }

    private static PgException Error(string path, int line, string what) =>
        new(SqlStates.ConfigFileError, $"{what} in file \"{path}\" line {line}");
}
