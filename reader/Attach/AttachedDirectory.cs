using SharedStorage.Format.Control;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Attach;

/// <summary>Which directories of stock PostgreSQL can be followed: a primary's. A standby's data files are not those of its log's checkpoints, but of its own restart points.</summary>
internal static class AttachedDirectory
{
    /// <exception cref="PgException">55000: the directory cannot be followed.</exception>
    public static void Check(string dataDirectory, in ControlFile control)
    {
        string? signal = Array.Find(["standby.signal", "recovery.signal", "backup_label"], name => File.Exists(Path.Combine(dataDirectory, name)));
        if (signal is not null || control.State is ClusterState.InArchiveRecovery or ClusterState.ShutDownInRecovery)
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "the directory is a standby's or a base backup's; a reader attaches to that of a primary only")
            {
                Detail = signal is null ? $"The control file says that the cluster is {control.State}." : $"It has a file \"{signal}\".",
            };
        }

        CheckWalLevel(control.WalLevel);
    }

    /// <summary>Without the log of bulk loads the log does not say all.</summary>
    /// <exception cref="PgException">55000, with PostgreSQL's words.</exception>
    public static void CheckWalLevel(WalLevel level)
    {
        if (level == WalLevel.Minimal)
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "WAL was generated with wal_level=minimal, cannot continue recovering")
            {
                Detail = "This happens if you temporarily set wal_level=minimal on the server.",
                Hint = "Set wal_level = replica on the server, and start the reader after its next checkpoint.",
            };
        }
    }
}
