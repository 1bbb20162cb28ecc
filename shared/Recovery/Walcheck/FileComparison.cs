using System.Globalization;
using SharedStorage.Buffers;
using SharedStorage.Format.Control;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Tail;
using SharedStorage.Transactions;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>
/// At the end of the log: what it makes of the base against the files of PostgreSQL's clean stop. Relations (main forks, init forks, visibility maps) page by page, in size, and whether they
/// are there at all; the rest of the cluster is <see cref="ClusterComparison"/>'s. Not compared, since the log does not say what is in them: free space maps, unlogged and temporary relations.
/// </summary>
internal sealed class FileComparison(
    WalcheckOptions options, BufferPool pool, RelationFiles baseFiles, DatabaseCopies copies, TransactionManager transactions, ReplayEffects effects, PageDump dump, WalcheckReport report)
{
    private readonly string _against = options.Against!;
    private ControlFile _control;
    private readonly FileReport _files = new();
    private readonly byte[] _ours = new byte[Page.Size];
    private readonly byte[] _theirs = new byte[Page.Size];

    /// <summary>The files must be those of a clean stop whose checkpoint is the log's last record.</summary>
    /// <exception cref="StorageException">They are not.</exception>
    public void CheckEnd(Lsn lastRecord)
    {
        _control = new ControlFileStore(_against).Read();
        if (_control.State != ClusterState.ShutDown)
        {
            throw new StorageException($"\"{_against}\" was not stopped cleanly: its state is {_control.State}");
        }

        if (_control.CheckPointAt != lastRecord)
        {
            throw new StorageException($"the last record replayed is at {lastRecord}, but the clean stop of \"{_against}\" was logged at {_control.CheckPointAt}");
        }
    }

    public FileReport Run(HashSet<(RelFileNode Rel, ForkNumber Fork)> met, CancellationToken cancel)
    {
        HashSet<(RelFileNode Rel, ForkNumber Fork)> forks = [.. met];
        Collect(options.Base, forks);
        Collect(_against, forks);
        using var files = new RelationFiles(_against, readOnly: true);
        foreach ((RelFileNode rel, ForkNumber fork) in forks.Order(ForkOrder.Instance))
        {
            cancel.ThrowIfCancellationRequested();
            bool unlogged = fork != ForkNumber.Init && (files.Exists(rel, ForkNumber.Init) || forks.Contains((rel, ForkNumber.Init)));
            if (fork != ForkNumber.FreeSpaceMap && !unlogged)
            {
                CompareFork(files, rel, fork);
            }
        }

        new ClusterComparison(options, transactions, effects, copies, dump, report, _files).Run(_control);
        return _files;
    }

    private static void Collect(string data, HashSet<(RelFileNode Rel, ForkNumber Fork)> into)
    {
        foreach ((Oid tablespace, Oid database, string folder) in RelationFolders.Databases(data))
        {
            RelationFolders.Collect(folder, tablespace, database, into);
        }
    }

    private void CompareFork(RelationFiles files, RelFileNode rel, ForkNumber fork)
    {
        string path = RelationFiles.RelativePath(rel, fork);
        bool there = files.Exists(rel, fork);
        bool databaseGone = effects.DatabasesDropped.Any(d => d.Database == rel.Database && d.Tablespace == rel.Tablespace);
        if (databaseGone || effects.FilesToRemove.Contains(rel))
        {
            if (there)
            {
                _files.Problems.Add($"\"{path}\" is there, though the log drops it");
            }

            return;
        }

        bool made = pool.IsMadeByLog(rel, fork) || baseFiles.Exists(rel, fork);
        uint expected = pool.BlockCount(rel, fork);
        uint actual = files.BlockCount(rel, fork);
        if (expected > actual)
        {
            _files.Problems.Add(there ? $"\"{path}\" has {actual} blocks, by the log it has {expected}" : $"\"{path}\" is missing, by the log it has {expected} blocks");
        }

        else if (made && !there)
        {
            _files.Problems.Add($"\"{path}\" is missing, though the log makes it, or keeps it");
        }
        else if (there && !made && expected == 0 && fork != ForkNumber.VisibilityMap)
        {
            _files.Problems.Add($"\"{path}\" is there, though the log does not make it");
        }

        _files.Relations++;
        using var buffer = new AlignedBuffer(Page.Size);
        for (uint block = 0; block < actual; block++)
        {
            if (files.TryRead(new BufferTag(rel, fork, new BlockNumber(block)), buffer.Span))
            {
                buffer.Span.CopyTo(_theirs);
                ComparePage(new BufferTag(rel, fork, new BlockNumber(block)), path, block < expected);
            }
        }
    }

    private void ComparePage(in BufferTag tag, string path, bool known)
    {
        _files.Pages++;
        string where = string.Create(CultureInfo.InvariantCulture, $"\"{path}\" block {tag.Block.Value}");
        _ours.AsSpan().Clear();
        if (known)
        {
            try
            {
                using PinnedPage pin = pool.Pin(tag);
                pin.Page.Bytes.CopyTo(_ours);
            }
            catch (StorageException e)
            {
                _files.DifferingPages++;
                Note(new PageMismatch(Lsn.Invalid, where, -1, $"redo failed: {e.Message}", null, null));
                return;
            }
        }

        // A page that was added, and initialized or not, but never filled, is not in the log (bulk extension).
        var ours = new Page(_ours);
        var theirs = new Page(_theirs);
        if (ours.IsNew && (theirs.IsNew || (theirs.IsEmpty && theirs.Header.Upper == theirs.Header.Special)))
        {
            return;
        }

        int offset = WalChecker.FirstDifference(PageMask.KindOf(tag, ours), tag, _ours, _theirs, counters: false);
        if (offset < Page.Size && IsCopiedMap(tag) && WalChecker.FirstBitTooMany(_theirs, _ours) == Page.Size)
        {
            _files.MapPagesShort++;
            return;
        }

        if (offset < Page.Size)
        {
            _files.DifferingPages++;
            string name = PageDump.NameOf(Lsn.Invalid, tag);
            bool describe = report.Details.Count < options.MaxDetails;
            Note(new PageMismatch(
                Lsn.Invalid, where, offset, $"{WalChecker.Bytes(_ours, offset)} should be {WalChecker.Bytes(_theirs, offset)}",
                describe ? dump.Write(name, ".ours", _ours) : null, describe ? dump.Write(name, ".file", _theirs) : null));
        }
    }

    /// <summary>
    /// CREATE DATABASE logs the map pages that it copies as if they were ordinary pages, so everything in them counts as hole (RelationCopyStorageUsingBuffer): a standby of
    /// PostgreSQL has empty maps there too. Bits that are missing are allowed, bits too many are not.
    /// </summary>
    private bool IsCopiedMap(in BufferTag tag)
    {
        Oid database = tag.Rel.Database;
        return tag.Fork == ForkNumber.VisibilityMap && effects.DatabasesMade.Any(d => d.Database == database);
    }

    private void Note(PageMismatch mismatch)
    {
        if (report.Details.Count < options.MaxDetails)
        {
            report.Details.Add(mismatch);
        }
    }

    private sealed class ForkOrder : IComparer<(RelFileNode Rel, ForkNumber Fork)>
    {
        public static readonly ForkOrder Instance = new();

        public int Compare((RelFileNode Rel, ForkNumber Fork) x, (RelFileNode Rel, ForkNumber Fork) y) =>
            (x.Rel.Tablespace.Value, x.Rel.Database.Value, x.Rel.Relation.Value, x.Fork).CompareTo((y.Rel.Tablespace.Value, y.Rel.Database.Value, y.Rel.Relation.Value, y.Fork));
    }
}
