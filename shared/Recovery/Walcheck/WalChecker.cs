using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.Recovery.Replay;
using SharedStorage.Recovery.Tail;
using SharedStorage.Transactions;
using SharedStorage.Wal;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>
/// Replays a log of stock PostgreSQL over a base copy with the machinery of a node that applies (tail, index, pool, redo table), and compares: each page for which a record carries an
/// image for checking (wal_consistency_checking), as a pin gives it at that record; and at the end each file with those of PostgreSQL's clean stop.
/// </summary>
public sealed class WalChecker : IDisposable
{
    private readonly WalcheckOptions _options;
    private readonly TimeProvider _time;
    private readonly OfflineReplay _replay;
    private readonly PageDump _dump;
    private readonly DatabaseCopies _copies;
    private readonly WalcheckReport _report = new();
    private readonly HashSet<BufferTag> _spoiled = [];
    private readonly Dictionary<BufferTag, byte[]> _mapBitsNotLogged = [];
    private readonly HashSet<(RelFileNode Rel, ForkNumber Fork)> _forksMet = [];
    private readonly byte[] _ours = new byte[Page.Size];
    private readonly byte[] _theirs = new byte[Page.Size];
    private (RelFileNode Rel, ForkNumber Fork) _lastFork;

    /// <exception cref="StorageException">The base was not stopped cleanly, or the log does not begin at its checkpoint.</exception>
    /// <exception cref="PgException">The base is of another version.</exception>
    public WalChecker(WalcheckOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _dump = new PageDump(options.Output);
        _replay = new OfflineReplay(new ReplayOptions { Base = options.Base, Wal = options.Wal, To = options.To, Frames = options.Frames, RecordApplied = Check }, time);
        _report.Start = _replay.Start;
        _copies = new DatabaseCopies(options, _replay.Files, _replay.Pool, Effects);
        Effects.DatabaseCopied = record => _copies.Copy(record, _forksMet);
    }

    /// <summary>The routines that are being checked; a test puts a broken one in another's place.</summary>
    public RedoTable Redo => _replay.Redo;

    /// <summary>Transactions, locks and prepared transactions where replay stands.</summary>
    public TransactionManager Transactions => _replay.Transactions;

    public ReplayEffects Effects => _replay.Effects;

    /// <summary>Runs the check. Once.</summary>
    public WalcheckReport Run(CancellationToken cancel)
    {
        long began = _time.GetTimestamp();
        try
        {
            Replay(cancel);
        }
        catch (StorageException e)
        {
            _report.Failure = e.Message;
        }

        _report.End = _replay.Tail.Position;
        _report.Records = _replay.Tail.Records;
        _report.Redone = _replay.Pool.Counters.RecordsRedone;
        _report.Elapsed = _time.GetElapsedTime(began);
        return _report;
    }

    public void Dispose()
    {
        _copies.Dispose();
        _replay.Dispose();
    }

    private void Replay(CancellationToken cancel)
    {
        try
        {
            _replay.Follow(cancel);
        }
        finally
        {
            _report.EndReason = _replay.Tail.End?.Message;
        }

        if (_options.Against is not null)
        {
            var comparison = new FileComparison(_options, _replay.Pool, _replay.Files, _copies, Transactions, Effects, _dump, _report);
            comparison.CheckEnd(_replay.Tail.LastRecord);
            _report.Files = comparison.Run(_forksMet, cancel);
        }
    }

    private void Check(WalRecord record)
    {
        _report.CountRecord(record);
        for (int id = 0; id < record.BlockCount; id++)
        {
            if (!record.HasBlock(id))
            {
                continue;
            }

            ref readonly WalBlock block = ref record.Block(id);
            if (_lastFork != (block.Tag.Rel, block.Tag.Fork))
            {
                _lastFork = (block.Tag.Rel, block.Tag.Fork);
                _forksMet.Add(_lastFork);
            }

            if (block.ApplyImage || block.WillInit)
            {
                _spoiled.Remove(block.Tag);
            }

            if (block.HasImage && !block.ApplyImage && record.Start >= _options.From)
            {
                CheckImage(record, id, block.Tag);
            }
        }
    }

    /// <summary>Everything up to and with the record is applied, nothing after it: a pin now gives the page that the image must equal.</summary>
    private void CheckImage(WalRecord record, int id, in BufferTag tag)
    {
        if (_spoiled.Contains(tag))
        {
            _report.Skipped++;
            return;
        }

        _report.CountCompared(record);
        try
        {
            using PinnedPage pin = _replay.Pool.Pin(tag);
            pin.Page.Bytes.CopyTo(_ours);
        }
        catch (StorageException e)
        {
            NoteMismatch(record, tag, -1, $"redo failed: {e.Message}");
            return;
        }

        record.RestoreImage(id, _theirs);
        PageKind kind = PageMask.KindOf(record, id);
        int offset = kind == PageKind.VisibilityMap ? FirstMapDifference(tag) : FirstDifference(kind, tag, _ours, _theirs);
        if (offset < Page.Size)
        {
            NoteMismatch(record, tag, offset, $"{Bytes(_ours, offset)} should be {Bytes(_theirs, offset)}");
        }
    }

    /// <summary>
    /// A map page of a database that the log copies begins without the bits of its template, since PostgreSQL logs such pages without their content (a standby lacks those bits too). What the
    /// first image has beyond ours is what was not logged; no later image may have more than that.
    /// </summary>
    private int FirstMapDifference(in BufferTag tag)
    {
        Oid database = tag.Rel.Database;
        if (!Effects.DatabasesMade.Any(d => d.Database == database))
        {
            return FirstBitTooMany(_ours, _theirs);
        }

        if (!_mapBitsNotLogged.TryGetValue(tag, out byte[]? notLogged))
        {
            _mapBitsNotLogged.Add(tag, notLogged = new byte[Page.Size]);
            for (int i = PageHeader.Size; i < Page.Size; i++)
            {
                notLogged[i] = (byte)(_theirs[i] & ~_ours[i]);
            }
        }

        Span<byte> known = stackalloc byte[Page.Size];
        for (int i = 0; i < Page.Size; i++)
        {
            known[i] = (byte)(_ours[i] | notLogged[i]);
        }

        return FirstBitTooMany(known, _theirs);
    }

    /// <summary>
    /// For maps: PostgreSQL clears bits before it logs that, under another page's latch, so an image may lack bits that the log has not cleared yet. A bit that only
    /// the image has is an error.
    /// </summary>
    internal static int FirstBitTooMany(ReadOnlySpan<byte> ours, ReadOnlySpan<byte> theirs)
    {
        for (int i = PageHeader.Size; i < Page.Size; i++)
        {
            if ((theirs[i] & ~ours[i]) != 0)
            {
                return i;
            }
        }

        return Page.Size;
    }

    /// <summary>The first byte that differs under the mask; the page's size when none does. The pages given stay as they are.</summary>
    internal static int FirstDifference(PageKind kind, in BufferTag tag, ReadOnlySpan<byte> ours, ReadOnlySpan<byte> theirs, bool counters = true)
    {
        Span<byte> a = stackalloc byte[Page.Size];
        Span<byte> b = stackalloc byte[Page.Size];
        ours.CopyTo(a);
        theirs.CopyTo(b);
        PageMask.Apply(kind, tag.Block, new Page(a));
        PageMask.Apply(kind, tag.Block, new Page(b));
        if (!counters && kind == PageKind.Sequence)
        {
            PageMask.MaskSequenceCounters(new Page(a));
            PageMask.MaskSequenceCounters(new Page(b));
        }

        return a.CommonPrefixLength(b);
    }

    internal static string Bytes(ReadOnlySpan<byte> page, int offset) => Convert.ToHexString(page.Slice(offset, Math.Min(8, Page.Size - offset)));

    private void NoteMismatch(WalRecord record, in BufferTag tag, int offset, string message)
    {
        _report.CountMismatch(record);
        _spoiled.Add(tag);
        if (_report.Details.Count >= _options.MaxDetails)
        {
            return;
        }

        string name = PageDump.NameOf(record.Start, tag);
        string? ours = offset >= 0 ? _dump.Write(name, ".ours", _ours) : null;
        string? theirs = offset >= 0 ? _dump.Write(name, ".image", _theirs) : null;
        string operation = Wal.Describe.WalDescription.Identify(record.Rmgr, record.Info) ?? $"0x{record.Info:X2}";
        _report.Details.Add(new PageMismatch(record.Start, tag.ToString(), offset, $"{record.Rmgr} {operation}: {message}", ours, theirs));
    }
}
