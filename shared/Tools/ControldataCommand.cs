using System.CommandLine;
using System.Text;
using SharedStorage.Format.Control;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Describe;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Tools;

/// <summary><c>controldata</c>: the control file as text, in the words of PostgreSQL's <c>pg_controldata</c>.</summary>
internal static class ControldataCommand
{
    private static readonly Option<string?> Data = new("--pgdata", "-D") { Description = "data directory" };
    private static readonly Argument<string?> Folder = new("DATADIR") { Arity = ArgumentArity.ZeroOrOne, Description = "data directory (default: $PGDATA)" };

    public static Command Create()
    {
        var command = new Command("controldata", "Displays control information of a data directory (output as pg_controldata)") { Data, Folder };
        command.SetAction(parsed => Run(parsed.GetValue(Data) ?? parsed.GetValue(Folder) ?? Environment.GetEnvironmentVariable("PGDATA")));
        return command;
    }

    private static int Run(string? directory)
    {
        if (directory is null)
        {
            Console.Error.WriteLine("controldata: error: no data directory specified");
            return 1;
        }

        try
        {
            ControlFile file = new ControlFileStore(directory).ReadUnchecked(out bool sound);
            Console.Out.Write(Text(in file, sound));
            return 0;
        }
        catch (StorageException e)
        {
            Console.Error.WriteLine($"controldata: error: {e.Message}");
            return 1;
        }
    }

    private static string Text(in ControlFile file, bool sound)
    {
        LocalClock.UseEnvironmentLocale();
        var text = new StringBuilder();
        if (!sound)
        {
            text.Append("WARNING: Calculated CRC checksum does not match value stored in file.\n");
            text.Append("Either the file is corrupt, or it has a different layout than this program\n");
            text.Append("is expecting.  The results below are untrustworthy.\n\n");
        }

        int segmentSize = (int)file.WalSegmentSize;
        bool validSize = WalLayout.IsValidSegmentSize(file.WalSegmentSize);
        if (!validSize)
        {
            text.Append("WARNING: invalid WAL segment size\n");
            text.Append($"The WAL segment size stored in the file, {segmentSize} byte{(segmentSize == 1 ? "" : "s")}, is not a power of two\n");
            text.Append("between 1 MB and 1 GB.  The file is corrupt and the results below are\nuntrustworthy.\n\n");
        }

        AppendState(in file, validSize, text);
        AppendCheckPoint(in file, text);
        AppendSettings(in file, text);
        AppendLayout(in file, text);
        return text.ToString();
    }

    private static void AppendState(in ControlFile file, bool validSize, StringBuilder text)
    {
        CheckPoint c = file.CheckPoint;
        int segmentSize = (int)file.WalSegmentSize;
        string walFile = validSize
            ? new WalSegmentName(c.Timeline, WalLayout.SegmentOf(c.Redo, segmentSize)).ToFileName(segmentSize)
            : "???";
        Line(text, "pg_control version number:", file.Version);
        Line(text, "Catalog version number:", file.Catalog);
        Line(text, "Database system identifier:", file.SystemIdentifier);
        Line(text, "Database cluster state:", StateName(file.State));
        Line(text, "pg_control last modified:", LocalClock.Format(file.Time, "%c"));
        Line(text, "Latest checkpoint location:", file.CheckPointAt);
        Line(text, "Latest checkpoint's REDO location:", c.Redo);
        Line(text, "Latest checkpoint's REDO WAL file:", walFile);
    }

    private static void AppendCheckPoint(in ControlFile file, StringBuilder text)
    {
        CheckPoint c = file.CheckPoint;
        Line(text, "Latest checkpoint's TimeLineID:", c.Timeline);
        Line(text, "Latest checkpoint's PrevTimeLineID:", c.PreviousTimeline);
        Line(text, "Latest checkpoint's full_page_writes:", OnOff(c.FullPageWrites));
        Line(text, "Latest checkpoint's NextXID:", c.NextXid);
        Line(text, "Latest checkpoint's NextOID:", c.NextOid);
        Line(text, "Latest checkpoint's NextMultiXactId:", c.NextMulti);
        Line(text, "Latest checkpoint's NextMultiOffset:", c.NextMultiOffset);
        Line(text, "Latest checkpoint's oldestXID:", c.OldestXid);
        Line(text, "Latest checkpoint's oldestXID's DB:", c.OldestXidDatabase);
        Line(text, "Latest checkpoint's oldestActiveXID:", c.OldestActiveXid);
        Line(text, "Latest checkpoint's oldestMultiXid:", c.OldestMulti);
        Line(text, "Latest checkpoint's oldestMulti's DB:", c.OldestMultiDatabase);
        Line(text, "Latest checkpoint's oldestCommitTsXid:", c.OldestCommitTsXid);
        Line(text, "Latest checkpoint's newestCommitTsXid:", c.NewestCommitTsXid);
        Line(text, "Time of latest checkpoint:", LocalClock.Format(c.Time, "%c"));
        Line(text, "Fake LSN counter for unlogged rels:", file.UnloggedLsn);
        Line(text, "Minimum recovery ending location:", file.MinRecoveryPoint);
        Line(text, "Min recovery ending loc's timeline:", file.MinRecoveryTimeline);
        Line(text, "Backup start location:", file.BackupStart);
        Line(text, "Backup end location:", file.BackupEnd);
        Line(text, "End-of-backup record required:", file.BackupEndRequired ? "yes" : "no");
    }

    private static void AppendSettings(in ControlFile file, StringBuilder text)
    {
        string level = file.WalLevel switch
        {
            WalLevel.Minimal => "minimal",
            WalLevel.Replica => "replica",
            WalLevel.Logical => "logical",
            _ => "unrecognized wal_level",
        };
        Line(text, "wal_level setting:", level);
        Line(text, "wal_log_hints setting:", OnOff(file.WalLogHints));
        Line(text, "max_connections setting:", file.MaxConnections);
        Line(text, "max_worker_processes setting:", file.MaxWorkerProcesses);
        Line(text, "max_wal_senders setting:", file.MaxWalSenders);
        Line(text, "max_prepared_xacts setting:", file.MaxPreparedTransactions);
        Line(text, "max_locks_per_xact setting:", file.MaxLocksPerTransaction);
        Line(text, "track_commit_timestamp setting:", OnOff(file.TrackCommitTimestamp));
    }

    private static void AppendLayout(in ControlFile file, StringBuilder text)
    {
        Line(text, "Maximum data alignment:", file.MaxAlign);
        Line(text, "Database block size:", file.BlockSize);
        Line(text, "Blocks per segment of large relation:", file.SegmentBlocks);
        Line(text, "WAL block size:", file.WalBlockSize);
        Line(text, "Bytes per WAL segment:", file.WalSegmentSize);
        Line(text, "Maximum length of identifiers:", file.NameLength);
        Line(text, "Maximum columns in an index:", file.IndexMaxKeys);
        Line(text, "Maximum size of a TOAST chunk:", file.ToastChunkSize);
        Line(text, "Size of a large-object chunk:", file.LargeObjectBlock);
        Line(text, "Date/time type storage:", "64-bit integers");
        Line(text, "Float8 argument passing:", file.Float8ByValue ? "by value" : "by reference");
        Line(text, "Data page checksum version:", file.DataChecksumVersion);
        Line(text, "Mock authentication nonce:", Convert.ToHexStringLower(file.MockNonce));
    }

    private static void Line<T>(StringBuilder text, string label, T value) => text.Append($"{label,-38}{value}\n");

    private static string OnOff(bool on) => on ? "on" : "off";

    private static string StateName(ClusterState state) => state switch
    {
        ClusterState.StartingUp => "starting up",
        ClusterState.ShutDown => "shut down",
        ClusterState.ShutDownInRecovery => "shut down in recovery",
        ClusterState.ShuttingDown => "shutting down",
        ClusterState.InCrashRecovery => "in crash recovery",
        ClusterState.InArchiveRecovery => "in archive recovery",
        ClusterState.InProduction => "in production",
        _ => "unrecognized status code",
    };
}
