using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Tools;

/// <summary>Finds where the log lies and which part is meant: by path, by names of segments, by positions (as pg_waldump does).</summary>
internal static class WaldumpLocation
{
    public static void Resolve(WaldumpOptions options, string? path, string[] segments)
    {
        string? first = segments.Length > 0 ? Path.GetFileName(segments[0]) : null;
        if (first is not null && path is null && Path.GetDirectoryName(segments[0]) is { Length: > 0 } folder)
        {
            path = folder;
        }

        if (path is not null && !Directory.Exists(path))
        {
            throw new ToolException($"could not open directory \"{path}\": No such file or directory");
        }

        (options.Directory, options.SegmentSize) = Identify(path, first);
        if (first is not null)
        {
            ApplySegments(options, first, segments.Length > 1 ? Path.GetFileName(segments[1]) : null);
        }

        if (!options.Start.IsValid)
        {
            throw new ToolException("no start WAL location given");
        }
    }

    private static (string Folder, int SegmentSize) Identify(string? path, string? file)
    {
        string?[] candidates = path is not null
            ? [path, Path.Combine(path, "pg_wal")]
            : [".", "pg_wal", Environment.GetEnvironmentVariable("PGDATA") is { } data ? Path.Combine(data, "pg_wal") : null];
        foreach (string? folder in candidates)
        {
            if (folder is not null && Directory.Exists(folder) && SizeIn(folder, file) is { } size)
            {
                return (folder, size);
            }
        }

        throw new ToolException(file is null ? "could not find any WAL file" : $"could not locate WAL file \"{file}\"");
    }

    private static int? SizeIn(string folder, string? file)
    {
        IEnumerable<string> files = file is null ? Directory.EnumerateFiles(folder) : [Path.Combine(folder, file)];
        foreach (string candidate in files)
        {
            string name = Path.GetFileName(candidate);
            if (name.Length != 24 || name.AsSpan().ContainsAnyExcept("0123456789ABCDEF") || !File.Exists(candidate))
            {
                continue;
            }

            byte[] page = new byte[WalLayout.PageSize];
            using var stream = new FileStream(candidate, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            int read = stream.ReadAtLeast(page, page.Length, throwOnEndOfStream: false);
            if (read < page.Length)
            {
                throw new ToolException($"could not read file \"{name}\": read {read} of {page.Length}");
            }

            uint size = MemoryMarshal.AsRef<WalPageHeader>(page).SegmentSize;
            if (WalLayout.IsValidSegmentSize(size))
            {
                return (int)size;
            }

            // A segment that is only prepared carries no header yet; another one may.
            if (file is not null || size != 0)
            {
                throw new ToolException(
                    $"WAL segment size must be a power of two between 1 MB and 1 GB, but the WAL file \"{name}\" header specifies {size} bytes");
            }
        }

        return null;
    }

    private static void ApplySegments(WaldumpOptions options, string first, string? last)
    {
        WalSegmentName start = Parse(options, first);
        options.Timeline = start.Timeline.Value;
        if (!options.Start.IsValid)
        {
            options.Start = WalLayout.SegmentStart(start.Segment, options.SegmentSize);
        }
        else if (WalLayout.SegmentOf(options.Start, options.SegmentSize) != start.Segment)
        {
            throw new ToolException($"start WAL location {options.Start} is not inside file \"{first}\"");
        }

        WalSegmentName end = last is null ? start : Parse(options, last);
        if (end.Segment < start.Segment)
        {
            throw new ToolException($"ENDSEG {last} is before STARTSEG {first}");
        }

        Lsn after = WalLayout.SegmentStart(end.Segment + 1, options.SegmentSize);
        if (!options.End.IsValid)
        {
            options.End = after;
        }
        else if (options.End != after && WalLayout.SegmentOf(options.End, options.SegmentSize) != end.Segment)
        {
            throw new ToolException($"end WAL location {options.End} is not inside file \"{last ?? first}\"");
        }
    }

    private static WalSegmentName Parse(WaldumpOptions options, string name) =>
        WalSegmentName.TryParse(name, options.SegmentSize, out WalSegmentName parsed)
            ? parsed
            : throw new ToolException($"\"{name}\" is not the name of a WAL file");
}
