using SharedStorage.Primitives;

namespace SharedStorage.Hosting.Node;

/// <summary>A node's command line: <c>--data DIR --local DIR [--setting value ...]</c>; dashes in a setting's name stand for underscores.</summary>
public sealed record NodeArguments(string DataDirectory, string LocalDirectory, IReadOnlyList<KeyValuePair<string, string>> Settings)
{
    public const string Usage = "usage: --data DIR --local DIR [--SETTING VALUE ...]   (settings: SHOW ALL, or README.md)";

    /// <exception cref="PgException">22023: not of this form.</exception>
    public static NodeArguments Parse(string[] args)
    {
        string? data = null;
        string? local = null;
        var settings = new List<KeyValuePair<string, string>>();
        for (int i = 0; i < args.Length; i += 2)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length)
            {
                throw new PgException(SqlStates.InvalidParameterValue, $"\"{args[i]}\" is not understood; {Usage}");
            }

            string name = args[i][2..].Replace('-', '_');
            switch (name)
            {
                case "data":
                    data = Path.GetFullPath(args[i + 1]);
                    break;
                case "local":
                    local = Path.GetFullPath(args[i + 1]);
                    break;
                default:
                    settings.Add(new(name, args[i + 1]));
                    break;
            }
        }

        if (data is null || local is null)
        {
            throw new PgException(SqlStates.InvalidParameterValue, Usage);
        }

        return new NodeArguments(data, local, settings);
    }
}
