using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Describe;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Tools;

/// <summary>The run of <c>waldump</c>: read, filter, print or count.</summary>
internal sealed class Waldump(WaldumpOptions options, Stream output, CancellationToken cancel)
{
    private const int FlushAt = 1 << 16;

    private readonly WalStatistics _statistics = new();
    private readonly StringBuilder _text = new();

    public int Run()
    {
        var directory = new WalDirectory(options.Directory, options.SegmentSize, 0);
        TimelineHistory history = directory.ReadHistory(new TimelineId(options.Timeline)).AcceptingAnyOlder();
        using WalReader reader = WalReader.Open(directory, history, options.Start);
        reader.Limit = options.End.IsValid ? options.End : Lsn.Max;
        var record = new WalRecord();
        if (!reader.SeekFirst(options.Start, record))
        {
            ThrowIfMissing(directory, history, reader.End);
            throw new ToolException($"could not find a valid record after {options.Start}");
        }

        Lsn first = reader.Position;
        if (first != options.Start && WalLayout.SegmentOffset(options.Start, options.SegmentSize) != 0)
        {
            ulong skipped = first - options.Start;
            _text.Append($"first record is after {options.Start}, at {first}, skipping over {skipped} byte{(skipped == 1 ? "" : "s")}\n");
        }

        _statistics.Start = first;
        WalRead result = ReadAll(reader, record);
        if (result == WalRead.End)
        {
            Flush();
            ThrowIfMissing(directory, history, reader.End);
        }

        if (options.Stats && !options.Quiet)
        {
            _statistics.Print(options.StatsPerRecord, _text);
        }

        Flush();
        if (result == WalRead.End && !cancel.IsCancellationRequested)
        {
            throw new ToolException($"error in WAL record at {reader.End!.LastRecord}: {reader.End.Message}");
        }

        return 0;
    }

    /// <summary>The log ends since there is no file for what follows: that is another message, and there are no statistics then.</summary>
    private void ThrowIfMissing(WalDirectory directory, TimelineHistory history, WalEnd? end)
    {
        if (end is null)
        {
            return;
        }

        Lsn at = end.MissingContinuation.IsValid ? end.MissingContinuation : end.Position;
        string path = directory.SegmentPath(history.At(at), WalLayout.SegmentOf(at, options.SegmentSize));
        if (!File.Exists(path))
        {
            throw new ToolException($"could not find file \"{Path.GetFileName(path)}\": No such file or directory");
        }
    }

    private WalRead ReadAll(WalReader reader, WalRecord record)
    {
        int shown = 0;
        while (!cancel.IsCancellationRequested)
        {
            WalRead result = reader.Read(record);
            if (result != WalRead.Record)
            {
                if (!options.Follow || result == WalRead.AtLimit)
                {
                    return result;
                }

                Flush();
                cancel.WaitHandle.WaitOne(TimeSpan.FromSeconds(1));
                reader.Refresh();
                continue;
            }

            if (!Matches(record))
            {
                continue;
            }

            if (!options.Quiet)
            {
                Show(record);
            }

            if (++shown >= options.Limit)
            {
                break;
            }
        }

        return WalRead.AtLimit;
    }

    private void Show(WalRecord record)
    {
        if (options.Stats)
        {
            _statistics.Add(record);
            return;
        }

        WalDescription.Line(record, options.Details, _text);
        if (_text.Length > FlushAt)
        {
            Flush();
        }
    }

    private bool Matches(WalRecord record) =>
        (options.Rmgrs is null || options.Rmgrs.Contains(record.Rmgr))
        && (options.Xid is null || options.Xid == record.Xid.Value)
        && MatchesBlock(record)
        && (!options.FullPageOnly || HasImage(record));

    private bool MatchesBlock(WalRecord record)
    {
        if (options.Relation is null && options.Fork is null)
        {
            return true;
        }

        for (int i = 0; i < record.BlockCount; i++)
        {
            if (record.HasBlock(i) && record.Block(i).Tag is var tag
                && (options.Fork is null || options.Fork == tag.Fork)
                && (options.Relation is null || options.Relation == tag.Rel)
                && (options.Block is null || options.Block == tag.Block.Value))
            {
                return true;
            }
        }

        return false;
    }

    private static bool HasImage(WalRecord record)
    {
        for (int i = 0; i < record.BlockCount; i++)
        {
            if (record.HasBlock(i) && record.Block(i).HasImage)
            {
                return true;
            }
        }

        return false;
    }

    private void Flush()
    {
        foreach (ReadOnlyMemory<char> chunk in _text.GetChunks())
        {
            output.Write(Encoding.UTF8.GetBytes(chunk.ToArray()));
        }

        output.Flush();
        _text.Clear();
    }
}
