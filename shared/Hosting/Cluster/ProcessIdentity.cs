using System.Globalization;

namespace SharedStorage.Hosting.Cluster;

/// <summary>
/// Names a process for ever: the host's boot, the process number and when it started (in clock ticks since the boot). A process number alone is used again.
/// </summary>
public sealed record ProcessIdentity(string BootId, int ProcessId, ulong StartTime)
{
    public static ProcessIdentity Current { get; } =
        new(ReadBootId(), Environment.ProcessId, ReadStartTime(Environment.ProcessId) ?? 0);

    /// <summary>True: dead for certain (it ran under this boot of this host, and no such process runs). Null: it ran elsewhere, so nothing is known.</summary>
    public bool? IsDead()
    {
        if (!string.Equals(BootId, Current.BootId, StringComparison.Ordinal))
        {
            return null;
        }

        return ReadStartTime(ProcessId) != StartTime;
    }

    private static string ReadBootId() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    /// <summary>Field 22 of /proc/PID/stat; null when there is no such process, or only its corpse.</summary>
    private static ulong? ReadStartTime(int processId)
    {
        try
        {
            string stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/stat"));

            // The second field is the command in parentheses, which may hold spaces and parentheses itself.
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : ulong.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
