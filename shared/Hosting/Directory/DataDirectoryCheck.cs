using System.Globalization;
using System.Runtime.InteropServices;
using Mono.Unix.Native;
using SharedStorage.Primitives;

namespace SharedStorage.Hosting.Directory;

/// <summary>
/// Whether a data directory may be served at all: what PostgreSQL's checkDataDir and CreateDataDirLockFile check, and what sharing asks for besides. The control file
/// is checked where it is read.
/// </summary>
public static partial class DataDirectoryCheck
{
    public const string SupportedVersion = "15";
    private const long TmpfsMagic = 0x01021994;

    /// <exception cref="PgException">The directory is refused; message and hint say what to do.</exception>
    public static void Check(string dataDirectory, bool allowTmpfs)
    {
        if (Syscall.stat(dataDirectory, out Stat stat) != 0)
        {
            throw Refuse($"data directory \"{dataDirectory}\" cannot be read: {Stdlib.strerror(Stdlib.GetLastError())}");
        }

        if ((stat.st_mode & FilePermissions.S_IFMT) != FilePermissions.S_IFDIR)
        {
            throw Refuse($"\"{dataDirectory}\" is not a directory");
        }

        if (stat.st_uid != Syscall.geteuid())
        {
            throw Refuse($"data directory \"{dataDirectory}\" has wrong ownership", "The server must be started by the user that owns the data directory.");
        }

        if ((stat.st_mode & (FilePermissions.S_IRWXO | FilePermissions.S_IWGRP)) != 0)
        {
            throw Refuse(
                $"data directory \"{dataDirectory}\" has invalid permissions",
                "Permissions should be u=rwx (0700) or u=rwx,g=rx (0750).");
        }

        CheckVersion(dataDirectory);
        if (!allowTmpfs && FileSystemType(dataDirectory) == TmpfsMagic)
        {
            throw Refuse(
                $"data directory \"{dataDirectory}\" is on tmpfs, where nothing is durable",
                "Use a cluster filesystem, or a local one; sharedstorage.allow_tmpfs = on is for tests.");
        }
    }

    /// <summary>Refuses a directory that a stock postmaster serves. Its lock file names the process; a dead one's is stale.</summary>
    /// <param name="dataDirectory">The data directory.</param>
    /// <param name="isOurs">Whether a live process with this number is a node of ours that wrote the file.</param>
    public static void CheckNoPostmaster(string dataDirectory, Func<int, bool> isOurs)
    {
        string path = Path.Combine(dataDirectory, "postmaster.pid");
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (FileNotFoundException)
        {
            return;
        }

        if (lines.Length == 0 || !int.TryParse(lines[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int pid) || pid == 0)
        {
            throw Refuse($"lock file \"{path}\" has no process number", "Remove it if no server runs on the directory.");
        }

        pid = Math.Abs(pid);
        bool alive = pid != Environment.ProcessId && (Syscall.kill(pid, 0) == 0 || Stdlib.GetLastError() == Errno.EPERM);
        if (alive && !isOurs(pid))
        {
            throw new PgException(SqlStates.LockFileExists, $"lock file \"postmaster.pid\" already exists")
            {
                Hint = $"Is another postmaster (PID {pid}) running in data directory \"{dataDirectory}\"?",
            };
        }
    }

    /// <summary>Refuses a directory that waits for the recovery of a base backup or is a standby's: that recovery is PostgreSQL's to do.</summary>
    public static void CheckNoBackup(string dataDirectory)
    {
        foreach (string name in new[] { "backup_label", "recovery.signal", "standby.signal" })
        {
            if (File.Exists(Path.Combine(dataDirectory, name)))
            {
                throw new PgException(SqlStates.FeatureNotSupported, $"recovery by \"{name}\" is not supported yet")
                {
                    Hint = "Start and stop PostgreSQL 15 on the directory once: it carries out the recovery.",
                };
            }
        }
    }

    private static void CheckVersion(string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, "PG_VERSION");
        string version;
        try
        {
            version = File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Refuse($"\"{dataDirectory}\" is not a valid data directory: file \"{path}\" is missing", "Make one with initdb --data-checksums.");
        }

        if (version != SupportedVersion)
        {
            throw Refuse(
                "database files are incompatible with server",
                $"The data directory was initialized by PostgreSQL version {version}, which is not compatible with this version {SupportedVersion}.");
        }
    }

    private static long FileSystemType(string path)
    {
        Span<byte> buffer = stackalloc byte[256];
        return statfs(path, buffer) == 0 ? MemoryMarshal.Read<long>(buffer) : 0;
    }

    private static PgException Refuse(string message, string? hint = null) =>
        new(SqlStates.ObjectNotInPrerequisiteState, message) { Hint = hint };

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statfs(string path, Span<byte> buffer);
}
