using System.Collections.Concurrent;
using System.Globalization;

namespace SharedStorage.Primitives;

/// <summary>
/// Named places where a test makes the node pause, fail or die. They are there in Release too; one that is not armed costs a read of a static field. <see cref="FaultPoints"/> lists them.
/// Armed by the setting <c>sharedstorage.fault_points</c> (environment: SHAREDSTORAGE_FAULT_POINTS): several with commas, of the form <c>name=action</c> or <c>name=action@N</c>, which acts
/// at the Nth time only. Actions: <c>kill</c>; <c>error</c>; <c>wait:/path</c>, which passes while <c>/path</c> exists, else makes <c>/path.reached</c> and waits for it.
/// </summary>
public static class FaultPoint
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);
    private static volatile bool _armed;
    private static readonly ConcurrentDictionary<string, Armed> Actions = new(StringComparer.Ordinal);

    public static void Hit(string name)
    {
        if (_armed && Actions.TryGetValue(name, out Armed? armed))
        {
            armed.Hit(name);
        }
    }

    /// <summary>Whether the next <see cref="Hit"/> acts: for a place that has to do something else on its way there. When not, the place was passed, and that counts as its hit.</summary>
    public static bool IsArmed(string name) => _armed && Actions.TryGetValue(name, out Armed? armed) && armed.IsNextOrCounts();

    /// <summary>Arms these points and no others.</summary>
    /// <exception cref="ArgumentException">An item is not name=action, or there is no such point or action.</exception>
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

            if (!FaultPoints.IsDeclared(item[..eq]))
            {
                throw new ArgumentException($"there is no fault point \"{item[..eq]}\": `sharedstorage faultpoints` lists them", nameof(spec));
            }

            Actions[item[..eq]] = Armed.Parse(item[(eq + 1)..]);
        }

        _armed = !Actions.IsEmpty;
    }

    private sealed class Armed(string action, int at)
    {
        private int _hits;

        public static Armed Parse(string text)
        {
            int mark = text.LastIndexOf('@');
            int at = 0;
            if (mark >= 0 && int.TryParse(text.AsSpan(mark + 1), NumberStyles.None, CultureInfo.InvariantCulture, out at))
            {
                text = text[..mark];
            }

            return text is "kill" or "error" || text.StartsWith("wait:", StringComparison.Ordinal)
                ? new Armed(text, at)
                : throw new ArgumentException($"unknown action \"{text}\" of a fault point: kill, error or wait:/path", nameof(text));
        }

        public bool IsNextOrCounts()
        {
            if (at == 0 || Volatile.Read(ref _hits) + 1 == at)
            {
                return true;
            }

            Interlocked.Increment(ref _hits);
            return false;
        }

        public void Hit(string name)
        {
            if (at != 0 && Interlocked.Increment(ref _hits) != at)
            {
                return;
            }

            switch (action)
            {
                case "kill":
                    System.Diagnostics.Process.GetCurrentProcess().Kill();
                    Thread.Sleep(Timeout.Infinite);
                    break;
                case "error":
                    throw new StorageException($"fault point {name}") { SqlState = SqlStates.IoError };
                default:
                    Await(action[5..]);
                    break;
            }
        }

        private static void Await(string path)
        {
            if (System.IO.File.Exists(path))
            {
                // Looked at first: a test that closes an open point is told of those who wait, and of no one who has just passed.
                return;
            }

            System.IO.File.WriteAllText(path + ".reached", "");
            while (!System.IO.File.Exists(path))
            {
                Thread.Sleep(Look);
            }
        }
    }
}
