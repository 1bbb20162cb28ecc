using System.Text;
using Mono.Unix.Native;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Segments;

/// <summary>Where the log lies, how large its segments are and whose it is. Immutable; it opens nothing by itself.</summary>
public sealed class WalDirectory
{
    /// <param name="path">The folder of the segments ("pg_wal" in the data directory).</param>
    /// <param name="segmentSize">Bytes: a power of two from 1 MiB to 1 GiB.</param>
    /// <param name="systemIdentifier">What each segment must carry; 0 accepts any.</param>
    /// <exception cref="ArgumentOutOfRangeException">No valid segment size.</exception>
    public WalDirectory(string path, int segmentSize, ulong systemIdentifier)
    {
        if (!WalLayout.IsValidSegmentSize((uint)segmentSize))
        {
            throw new ArgumentOutOfRangeException(nameof(segmentSize), segmentSize, "a segment is a power of two from 1 MiB to 1 GiB");
        }

        Path = path;
        SegmentSize = segmentSize;
        SystemIdentifier = systemIdentifier;
    }

    public string Path { get; }
    public int SegmentSize { get; }
    public ulong SystemIdentifier { get; }

    /// <summary>How segments are opened; tests put failing files in their place.</summary>
    public BlockFileOpener Opener { get; init; } = DirectFile.TryOpen;

    public string SegmentPath(TimelineId timeline, ulong segment) =>
        System.IO.Path.Combine(Path, new WalSegmentName(timeline, segment).ToFileName(SegmentSize));

    public string HistoryPath(TimelineId timeline) => System.IO.Path.Combine(Path, WalSegmentName.HistoryFileName(timeline));

    /// <summary>Opens a file of the folder; null when it is missing. A rename by another host can make the name stale for a moment: that is tried again.</summary>
    internal IBlockFile? TryOpen(string path, BlockFileMode mode)
    {
        const int attempts = 8;
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return Opener(path, mode);
            }
            catch (StorageException e) when (e.Errno == NativeConvert.FromErrno(Errno.ESTALE) && attempt < attempts)
            {
                Thread.Sleep(1 << attempt);
            }
        }
    }

    /// <summary>The mode of a new file: the group may read where it may read the folder (initdb --allow-group-access).</summary>
    internal FilePermissions ModeOfNewFiles()
    {
        const FilePermissions owner = FilePermissions.S_IRUSR | FilePermissions.S_IWUSR;
        return Syscall.stat(Path, out Stat stat) == 0 && (stat.st_mode & FilePermissions.S_IRGRP) != 0 ? owner | FilePermissions.S_IRGRP : owner;
    }

    /// <summary>The segments that are there, by segment, then timeline.</summary>
    public List<WalSegmentName> List()
    {
        var found = new List<WalSegmentName>();
        foreach (string file in Directory.EnumerateFiles(Path))
        {
            if (WalSegmentName.TryParse(System.IO.Path.GetFileName(file), SegmentSize, out WalSegmentName name))
            {
                found.Add(name);
            }
        }

        found.Sort((a, b) => a.Segment != b.Segment ? a.Segment.CompareTo(b.Segment) : a.Timeline.Value.CompareTo(b.Timeline.Value));
        return found;
    }

    /// <summary>The history of a timeline; one without a file has no ancestors.</summary>
    /// <exception cref="StorageException">The file is damaged.</exception>
    public TimelineHistory ReadHistory(TimelineId timeline)
    {
        string path = HistoryPath(timeline);
        return timeline.Value > 1 && File.Exists(path)
            ? TimelineHistory.Parse(timeline, File.ReadAllText(path))
            : TimelineHistory.WithoutAncestors(timeline);
    }

    /// <summary>The newest timeline that descends from <paramref name="from"/> by a chain of history files without a gap (findNewestTimeLine).</summary>
    public TimelineId NewestTimeline(TimelineId from)
    {
        TimelineId newest = from;
        for (TimelineId next = new(from.Value + 1); File.Exists(HistoryPath(next)); next = new TimelineId(next.Value + 1))
        {
            newest = next;
        }

        return newest;
    }

    /// <summary>
    /// Makes the first segment of a new timeline: a copy of the old one's up to the switch point, zero behind it. At a segment's start nothing is copied
    /// (PostgreSQL's XLogInitNewTimeline). Durable when it returns.
    /// </summary>
    public void CopyTail(TimelineId from, TimelineId to, Lsn switchPoint)
    {
        int offset = WalLayout.SegmentOffset(switchPoint, SegmentSize);
        if (offset != 0)
        {
            ulong segment = WalLayout.SegmentOf(switchPoint, SegmentSize);
            var files = new WalSegmentFiles(this, to);
            if (!File.Exists(HistoryPath(to)))
            {
                // A promotion that died before its history file was there: the timeline never began, nothing was written on it, and its number is still to be taken.
                files.Delete(segment);
            }

            files.CopyFrom(SegmentPath(from, segment), segment, offset);
        }
    }

    /// <summary>Writes a timeline's history file; durable when it returns. An existing one is never replaced.</summary>
    /// <exception cref="StorageException">The timeline has a history file already: another promotion took it.</exception>
    public void WriteHistory(TimelineHistory history)
    {
        string path = HistoryPath(history.Timeline);
        string temporary = System.IO.Path.Combine(Path, "xlogtemp." + Environment.ProcessId);
        using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write))
        {
            stream.Write(Encoding.UTF8.GetBytes(history.ToString()));
            stream.Flush(flushToDisk: true);
        }

        if (Syscall.chmod(temporary, ModeOfNewFiles()) != 0 || Syscall.link(temporary, path) != 0)
        {
            Errno errno = Stdlib.GetLastError();
            throw new StorageException($"the history file \"{path}\" cannot be made: {Stdlib.strerror(errno)}")
            {
                SqlState = SqlStates.IoError,
                Errno = NativeConvert.FromErrno(errno),
            };
        }

        File.Delete(temporary);
        DurableFile.SyncDirectory(Path);
    }
}
