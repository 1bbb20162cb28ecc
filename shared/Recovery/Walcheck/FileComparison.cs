using System.Globalization;
using SharedStorage.Buffers;
using SharedStorage.Format.Control;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Slru;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Tail;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Slru;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>
/// At the end of the log: what it makes of the base against the files of PostgreSQL's clean stop. Relations (main forks, init forks, visibility maps) page by page and in
/// size, pg_xact and pg_multixact and relation maps bit by bit. Not compared, since the log does not say what is in them: free space maps, unlogged and temporary
/// relations, pg_subtrans; and relations outside the two built-in tablespaces, whose records stop replay anyway.
/// </summary>
internal sealed class FileComparison(
    WalcheckOptions options, BufferPool pool, TransactionManager transactions, ReplayEffects effects, PageDump dump, WalcheckReport report)
{
    private readonly string _against = options.Against!;
    private readonly FileReport _files = new();
    private readonly byte[] _ours = new byte[Page.Size];
    private readonly byte[] _theirs = new byte[Page.Size];

    /// <summary>The files must be those of a clean stop whose checkpoint is the log's last record.</summary>
    /// <exception cref="StorageException">They are not.</exception>
    public void CheckEnd(Lsn lastRecord)
    {
        ControlFile control = new ControlFileStore(_against).Read();
        if (control.State != ClusterState.ShutDown)
        {
            throw new StorageException($"\"{_against}\" was not stopped cleanly: its state is {control.State}");
        }

        if (control.CheckPointAt != lastRecord)
        {
            throw new StorageException($"the last record replayed is at {lastRecord}, but the clean stop of \"{_against}\" was logged at {control.CheckPointAt}");
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

        CompareSlru("pg_xact", transactions.Clog.Cache);
        CompareSlru("pg_multixact/offsets", transactions.MultiXacts.Offsets);
        CompareSlru("pg_multixact/members", transactions.MultiXacts.Members);
        CompareMap(Oid.Invalid, "global/pg_filenode.map");
        foreach (string folder in Directory.EnumerateDirectories(Path.Combine(_against, "base")).Order(StringComparer.Ordinal))
        {
            if (uint.TryParse(Path.GetFileName(folder), out uint database))
            {
                CompareMap(new Oid(database), Path.Combine("base", Path.GetFileName(folder), "pg_filenode.map"));
            }
        }

        return _files;
    }

    private static void Collect(string data, HashSet<(RelFileNode Rel, ForkNumber Fork)> into)
    {
        Collect(Path.Combine(data, "global"), RelFileNode.GlobalTablespace, Oid.Invalid, into);
        foreach (string folder in Directory.EnumerateDirectories(Path.Combine(data, "base")))
        {
            if (uint.TryParse(Path.GetFileName(folder), out uint database))
            {
                Collect(folder, RelFileNode.DefaultTablespace, new Oid(database), into);
            }
        }
    }

    private static void Collect(string folder, Oid tablespace, Oid database, HashSet<(RelFileNode Rel, ForkNumber Fork)> into)
    {
        foreach (string path in Directory.EnumerateFiles(folder))
        {
            // Temporary relations ("t3_16400") and further segments ("16400.1") do not parse.
            string[] parts = Path.GetFileName(path).Split('_');
            ForkNumber? fork = parts.Length == 1 ? ForkNumber.Main : parts[1] switch
            {
                "fsm" => ForkNumber.FreeSpaceMap,
                "vm" => ForkNumber.VisibilityMap,
                "init" => ForkNumber.Init,
                _ => null,
            };
            if (fork is not null && uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out uint relation))
            {
                into.Add((new RelFileNode(tablespace, database, new Oid(relation)), fork.Value));
            }
        }
    }

    private void CompareFork(RelationFiles files, RelFileNode rel, ForkNumber fork)
    {
        string path = RelationFiles.RelativePath(rel, fork);
        bool there = files.Exists(rel, fork);
        bool databaseGone = effects.DatabasesDropped.Any(d => d.Database == rel.Database && d.Tablespace == rel.Tablespace)
            && !effects.DatabasesMade.Any(d => d.Database == rel.Database && d.Tablespace == rel.Tablespace);
        if (databaseGone || effects.FilesToRemove.Contains(rel))
        {
            if (there)
            {
                _files.Problems.Add($"\"{path}\" is there, though the log drops it");
            }

            return;
        }

        uint expected = pool.BlockCount(rel, fork);
        uint actual = files.BlockCount(rel, fork);
        if (expected > actual)
        {
            _files.Problems.Add(there ? $"\"{path}\" has {actual} blocks, by the log it has {expected}" : $"\"{path}\" is missing, by the log it has {expected} blocks");
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

    private void CompareSlru(string area, SlruCache cache)
    {
        var files = new SlruFiles(_against, area, readOnly: true);
        foreach (uint segment in files.Segments())
        {
            for (uint page = segment * SlruLayout.PagesPerSegment; page < (segment + 1) * SlruLayout.PagesPerSegment; page++)
            {
                if (!files.TryRead(page, _theirs))
                {
                    continue;
                }

                _files.SlruPages++;
                ReadOnlySpan<byte> ours = cache.Get(page, SlruMissing.ReadsAsZero).Content;
                int offset = ours.CommonPrefixLength(_theirs);
                if (offset < SlruLayout.PageSize)
                {
                    _files.DifferingSlruPages++;
                    bool describe = report.Details.Count < options.MaxDetails;
                    string name = string.Create(CultureInfo.InvariantCulture, $"end_{area.Replace('/', '_')}_{page}");
                    Note(new PageMismatch(
                        Lsn.Invalid, string.Create(CultureInfo.InvariantCulture, $"{area} page {page}"), offset,
                        $"{WalChecker.Bytes(ours, offset)} should be {WalChecker.Bytes(_theirs, offset)}",
                        describe ? dump.Write(name, ".ours", ours) : null, describe ? dump.Write(name, ".file", _theirs) : null));
                }
            }
        }
    }

    private void CompareMap(Oid database, string file)
    {
        byte[] theirs = File.ReadAllBytes(Path.Combine(_against, file));
        string inBase = Path.Combine(options.Base, file);
        byte[]? logged = effects.MapsToWrite.Where(m => m.Key.Database == database).Select(m => m.Value).FirstOrDefault();
        byte[] ours = logged ?? (File.Exists(inBase) ? File.ReadAllBytes(inBase) : []);
        _files.Maps++;
        if (!ours.AsSpan().SequenceEqual(theirs))
        {
            _files.DifferingMaps++;
            Note(new PageMismatch(Lsn.Invalid, $"\"{file}\"", ours.AsSpan().CommonPrefixLength(theirs), "the relation map differs", null, null));
        }
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
            (x.Rel.Database.Value, x.Rel.Relation.Value, x.Fork).CompareTo((y.Rel.Database.Value, y.Rel.Relation.Value, y.Fork));
    }
}
