using System.Globalization;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Tools;

/// <summary>Finds where the log lies and which part is meant: by path, by names of segments, by positions (as pg_waldump does).</summary>
internal static class WaldumpLocation
{
    private const int NameLength = 24;

    public static void Resolve(WaldumpOptions options, string? path, IReadOnlyList<string> segments)
    {
        if (path is not null && ProblemWith(path) is { } problem)
        {
            throw WaldumpArguments.Wrong($"could not open directory \"{path}\": {problem}");
        }

        if (segments.Count == 0)
        {
            (options.Directory, options.SegmentSize) = Identify(path, null);
        }
        else
        {
            int slash = segments[0].LastIndexOf('/');
            if (path is null && slash >= 0)
            {
                path = segments[0][..slash];
                problem = ProblemWith(path);
                if (problem is not null)
                {
                    throw new ToolException($"could not open directory \"{path}\": {problem}");
                }
            }

            (options.Directory, options.SegmentSize) = Identify(path, Path.GetFileName(segments[0]));
            ApplySegments(options, segments);
        }

        if (!options.Start.IsValid)
        {
            throw WaldumpArguments.Wrong("no start WAL location given");
        }
    }

    private static string? ProblemWith(string folder)
    {
        try
        {
            using IEnumerator<string> entries = Directory.EnumerateFileSystemEntries(folder).GetEnumerator();
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return "Permission denied";
        }
        catch (Exception e) when (e is IOException or ArgumentException)
        {
            return File.Exists(folder) ? "Not a directory" : "No such file or directory";
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
        IEnumerable<string> files = file is null
            ? Directory.EnumerateFiles(folder).Where(f => Path.GetFileName(f) is { Length: NameLength } name && !name.AsSpan().ContainsAnyExcept("0123456789ABCDEF"))
            : [Path.Combine(folder, file)];
        foreach (string candidate in files)
        {
            if (FirstPageSize(candidate) is not { } size)
            {
                continue;
            }

            if (WalLayout.IsValidSegmentSize(size))
            {
                return (int)size;
            }

            // A segment that is only prepared carries no header yet; another one may.
            if (file is not null || size != 0)
            {
                throw new ToolException(
                    $"WAL segment size must be a power of two between 1 MB and 1 GB, but the WAL file \"{Path.GetFileName(candidate)}\" header specifies {(int)size} byte{(size == 1 ? "" : "s")}");
            }
        }

        return null;
    }

    /// <summary>The segment size that a file's first page says; null when there is no such file.</summary>
    private static uint? FirstPageSize(string path)
    {
        string name = Path.GetFileName(path);
        try
        {
            byte[] page = new byte[WalLayout.PageSize];
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            int read = stream.ReadAtLeast(page, page.Length, throwOnEndOfStream: false);
            return read == page.Length
                ? MemoryMarshal.AsRef<WalPageHeader>(page).SegmentSize
                : throw new ToolException($"could not read file \"{name}\": read {read} of {page.Length}");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            throw Directory.Exists(path)
                ? new ToolException($"could not read file \"{name}\": Is a directory")
                : new ToolException($"could not open file \"{name}\": Permission denied");
        }
    }

    private static void ApplySegments(WaldumpOptions options, IReadOnlyList<string> segments)
    {
        string first = Path.GetFileName(segments[0]);
        WalSegmentName start = Parse(options, first);
        options.Timeline = start.Timeline.Value;
        if (!options.Start.IsValid)
        {
            options.Start = WalLayout.SegmentStart(start.Segment, options.SegmentSize);
        }
        else if (WalLayout.SegmentOf(options.Start, options.SegmentSize) != start.Segment)
        {
            throw WaldumpArguments.Wrong($"start WAL location {options.Start} is not inside file \"{first}\"");
        }

        WalSegmentName end = start;
        if (segments.Count > 1)
        {
            string last = Path.GetFileName(segments[1]);
            if (!File.Exists(Path.Combine(options.Directory, last)))
            {
                throw new ToolException($"could not open file \"{last}\"");
            }

            end = Parse(options, last);
            options.Timeline = end.Timeline.Value;
            if (end.Segment < start.Segment)
            {
                throw new ToolException($"ENDSEG {segments[1]} is before STARTSEG {segments[0]}");
            }
        }

        Lsn after = WalLayout.SegmentStart(end.Segment + 1, options.SegmentSize);
        if (!options.End.IsValid)
        {
            options.End = after;
        }
        else if (options.End != after && WalLayout.SegmentOf(options.End, options.SegmentSize) != end.Segment)
        {
            throw WaldumpArguments.Wrong($"end WAL location {options.End} is not inside file \"{segments[^1]}\"");
        }
    }

    /// <summary>A segment's name may have more behind it: ".partial" of one that was cut off by a promotion.</summary>
    private static WalSegmentName Parse(WaldumpOptions options, string name)
    {
        string digits = name.Length > NameLength ? name[..NameLength] : name;
        return WalSegmentName.TryParse(digits, options.SegmentSize, out WalSegmentName parsed)
            ? parsed
            : throw new ToolException(string.Create(CultureInfo.InvariantCulture, $"\"{name}\" is not the name of a WAL file"));
    }
}
