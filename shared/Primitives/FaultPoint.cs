using System.Collections.Concurrent;

namespace SharedStorage.Primitives;

/// <summary>
/// Named places where a test makes the node pause, fail or die. They are there in Release too; one that is not armed costs a read of a static field.
/// Armed by the setting <c>sharedstorage.fault_points</c>: "name=kill", "name=error", "name=wait:/path" (until the file exists), several with commas.
/// </summary>
public static class FaultPoint
{
    private static volatile bool _armed;
    private static readonly ConcurrentDictionary<string, string> Actions = new(StringComparer.Ordinal);

    public static void Hit(string name)
    {
        if (_armed && Actions.TryGetValue(name, out string? action))
        {
            Act(name, action);
        }
    }

    /// <exception cref="ArgumentException">An item is not name=action.</exception>
    public static void Arm(string spec)
    {
        Actions.Clear();
        foreach (string item in spec.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            int eq = item.IndexOf('=', StringComparison.Ordinal);
            if (eq < 1)
            {
                throw new ArgumentException($"fault point \"{item}\" is not of the form name=action", nameof(spec));
            }

            Actions[item[..eq]] = item[(eq + 1)..];
        }

        _armed = !Actions.IsEmpty;
    }

    private static void Act(string name, string action)
    {
        if (action == "kill")
        {
            System.Diagnostics.Process.GetCurrentProcess().Kill();
            Thread.Sleep(Timeout.Infinite);
        }
        else if (action == "error")
        {
            throw new StorageException($"fault point {name}") { SqlState = SqlStates.IoError };
        }
        else if (action.StartsWith("wait:", StringComparison.Ordinal))
        {
            while (!System.IO.File.Exists(action[5..]))
            {
                Thread.Sleep(5);
            }
        }
        else
        {
            throw new InvalidOperationException($"fault point {name}: unknown action \"{action}\"");
        }
    }
}
