using System.Globalization;
using System.Text;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Segments;

/// <summary>
/// How a timeline came to be: which timeline each stretch of the log belongs to (PostgreSQL's timeline.c and its NNNNNNNN.history files).
/// Immutable.
/// </summary>
public sealed class TimelineHistory
{
    /// <summary>A stretch of the log: from <paramref name="Begin"/> to before <paramref name="End"/> (<see cref="Lsn.Max"/> for the last).</summary>
    public readonly record struct Entry(TimelineId Timeline, Lsn Begin, Lsn End, string Reason);

    private readonly Entry[] _entries;
    private bool _acceptsAnyOlder;

    private TimelineHistory(Entry[] entries) => _entries = entries;

    /// <summary>Oldest first; the last is the timeline itself.</summary>
    public IReadOnlyList<Entry> Entries => _entries;

    public TimelineId Timeline => _entries[^1].Timeline;

    /// <summary>Where this timeline began; invalid for one without ancestors.</summary>
    public Lsn Begin => _entries[^1].Begin;

    public static TimelineHistory WithoutAncestors(TimelineId timeline) =>
        new([new Entry(timeline, Lsn.Invalid, Lsn.Max, "")]);

    /// <summary>The history of a new timeline that leaves this one at <paramref name="switchPoint"/>.</summary>
    public TimelineHistory Fork(TimelineId next, Lsn switchPoint, string reason)
    {
        var entries = new Entry[_entries.Length + 1];
        _entries.CopyTo(entries, 0);
        entries[^2] = entries[^2] with { End = switchPoint, Reason = reason };
        entries[^1] = new Entry(next, switchPoint, Lsn.Max, "");
        return new TimelineHistory(entries);
    }

    /// <summary>The timeline that the byte at a position belongs to.</summary>
    public TimelineId At(Lsn lsn)
    {
        foreach (Entry entry in _entries)
        {
            if (lsn < entry.End)
            {
                return entry.Timeline;
            }
        }

        return Timeline;
    }

    /// <summary>The same, for tools that read a log whose history file may be gone: any older timeline's pages are taken.</summary>
    public TimelineHistory AcceptingAnyOlder() => new(_entries) { _acceptsAnyOlder = true };

    /// <summary>Whether a page of this timeline may occur in the log.</summary>
    public bool Contains(TimelineId timeline)
    {
        if (_acceptsAnyOlder && timeline.Value <= Timeline.Value)
        {
            return true;
        }

        foreach (Entry entry in _entries)
        {
            if (entry.Timeline == timeline)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Where the log leaves <paramref name="timeline"/>; <see cref="Lsn.Max"/> when it is the last one.</summary>
    /// <exception cref="StorageException">The timeline is not in this history.</exception>
    public Lsn EndOf(TimelineId timeline)
    {
        foreach (Entry entry in _entries)
        {
            if (entry.Timeline == timeline)
            {
                return entry.End;
            }
        }

        throw new StorageException($"timeline {timeline} is not in the history of timeline {Timeline}");
    }

    /// <summary>Reads the text of a history file: lines of parent timeline, switch point and reason; "#" begins a comment.</summary>
    /// <exception cref="StorageException">A line is not of that form, or the timelines do not rise.</exception>
    public static TimelineHistory Parse(TimelineId timeline, string text)
    {
        var entries = new List<Entry>();
        Lsn begin = Lsn.Invalid;
        foreach (string raw in text.Split('\n'))
        {
            string line = raw.Trim();
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            string[] parts = line.Split((char[])['\t', ' '], 3, StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length < 2 || !uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out uint parent)
                || !Lsn.TryParse(parts[1], out Lsn end))
            {
                throw new StorageException($"syntax error in the history file of timeline {timeline}: \"{line}\"");
            }

            if (parent >= timeline.Value || (entries.Count > 0 && entries[^1].Timeline.Value >= parent))
            {
                throw new StorageException($"the history file of timeline {timeline} names timeline {parent} out of order");
            }

            entries.Add(new Entry(new TimelineId(parent), begin, end, parts.Length > 2 ? parts[2] : ""));
            begin = end;
        }

        entries.Add(new Entry(timeline, begin, Lsn.Max, ""));
        return new TimelineHistory([.. entries]);
    }

    /// <summary>The text of the history file, as PostgreSQL writes it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        foreach (Entry entry in _entries.AsSpan(0, _entries.Length - 1))
        {
            text.Append(CultureInfo.InvariantCulture, $"{entry.Timeline.Value}\t{entry.End}\t{entry.Reason}\n");
        }

        return text.ToString();
    }
}
