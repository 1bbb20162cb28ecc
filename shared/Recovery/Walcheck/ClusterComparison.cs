using System.Globalization;
using SharedStorage.Format.Control;
using SharedStorage.Format.Slru;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Tail;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Origins;
using SharedStorage.Transactions.Slru;
using SharedStorage.Transactions.TwoPhase;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>
/// What of a cluster is not in relations, at the end of the log, against what PostgreSQL's clean stop left: pg_xact, pg_multixact and pg_commit_ts bit by bit and with the set of
/// their segments; relation maps; the folders of databases and tablespaces; prepared transactions with their files; replication origins; counters and settings of the control file.
/// pg_subtrans does not outlive a restart and is not looked at.
/// </summary>
internal sealed class ClusterComparison(
    WalcheckOptions options, TransactionManager transactions, ReplayEffects effects, DatabaseCopies copies, PageDump dump, WalcheckReport report, FileReport files)
{
    private const string MapName = "pg_filenode.map";
    private readonly string _against = options.Against!;
    private readonly byte[] _theirs = new byte[SlruLayout.PageSize];

    public void Run(in ControlFile control)
    {
        CompareSlru("pg_xact", transactions.Clog.Cache, inBase: true);
        CompareSlru("pg_multixact/offsets", transactions.MultiXacts.Offsets, inBase: true);
        CompareSlru("pg_multixact/members", transactions.MultiXacts.Members, inBase: true);
        CompareSlru("pg_commit_ts", transactions.CommitTimestamps.Cache, inBase: !transactions.CommitTimestamps.Cache.FilesAreVoid);
        CompareMaps();
        CompareFolders();
        ComparePrepared();
        CompareOrigins();
        CompareControl(control);
    }

    private void CompareSlru(string area, SlruCache cache, bool inBase)
    {
        var theirs = new SlruFiles(_against, area, readOnly: true);
        HashSet<uint> there = [.. theirs.Segments()];
        IReadOnlySet<uint> truncated = transactions.TruncatedInReplay(cache.Files);
        HashSet<uint> expected = [.. cache.ChangedPages.Select(SlruLayout.SegmentOf)];
        expected.UnionWith(inBase ? cache.Files.Segments().Where(s => !truncated.Contains(s)) : []);
        foreach (uint segment in there.Except(expected).Order())
        {
            files.Problems.Add($"\"{area}/{SlruLayout.SegmentName(segment)}\" is there, though the log truncates it, or does not make it");
        }

        foreach (uint segment in expected.Except(there).Order())
        {
            files.Problems.Add($"\"{area}/{SlruLayout.SegmentName(segment)}\" is missing");
        }

        HashSet<uint> changed = [.. cache.ChangedPages];
        foreach (uint segment in there.Intersect(expected).Order())
        {
            for (uint page = segment * SlruLayout.PagesPerSegment; page < (segment + 1) * SlruLayout.PagesPerSegment; page++)
            {
                if (theirs.TryRead(page, _theirs))
                {
                    ComparePage(area, cache, page);
                }
                else if (changed.Contains(page))
                {
                    files.Problems.Add($"\"{area}/{SlruLayout.SegmentName(segment)}\" ends before page {page}, which the log makes");
                }
            }
        }
    }

    private void ComparePage(string area, SlruCache cache, uint page)
    {
        files.SlruPages++;
        ReadOnlySpan<byte> ours = cache.Get(page, SlruMissing.ReadsAsZero).Content;
        int offset = ours.CommonPrefixLength(_theirs);
        if (offset < SlruLayout.PageSize)
        {
            files.DifferingSlruPages++;
            bool describe = report.Details.Count < options.MaxDetails;
            string name = string.Create(CultureInfo.InvariantCulture, $"end_{area.Replace('/', '_')}_{page}");
            Note(new PageMismatch(
                Lsn.Invalid, string.Create(CultureInfo.InvariantCulture, $"{area} page {page}"), offset,
                $"{WalChecker.Bytes(ours, offset)} should be {WalChecker.Bytes(_theirs, offset)}",
                describe ? dump.Write(name, ".ours", ours) : null, describe ? dump.Write(name, ".file", _theirs) : null));
        }
    }

    private void CompareMaps()
    {
        foreach ((Oid tablespace, Oid database, string folder) in RelationFolders.Databases(_against))
        {
            string file = Path.Combine(folder, MapName);
            if (!File.Exists(file))
            {
                // A tablespace that is not the database's own holds relations only.
                continue;
            }

            byte[] theirs = File.ReadAllBytes(file);
            string inBase = Path.Combine(copies.FolderOf((tablespace, database)), MapName);
            byte[]? logged = effects.MapsToWrite.GetValueOrDefault((database, tablespace));
            byte[] ours = logged ?? (File.Exists(inBase) ? File.ReadAllBytes(inBase) : []);
            files.Maps++;
            if (!ours.AsSpan().SequenceEqual(theirs))
            {
                files.DifferingMaps++;
                Note(new PageMismatch(
                    Lsn.Invalid, $"\"{Path.GetRelativePath(_against, file)}\"", ours.AsSpan().CommonPrefixLength(theirs), "the relation map differs", null, null));
            }
        }
    }

    private void CompareFolders()
    {
        HashSet<uint> databases = [.. Databases(options.Base)];
        databases.UnionWith(effects.DatabasesMade.Where(InBase).Select(d => d.Database.Value));
        databases.UnionWith(effects.DatabasesCopied.Where(c => InBase((c.Tablespace, c.Database))).Select(c => c.Database.Value));
        databases.ExceptWith(effects.DatabasesDropped.Where(InBase).Select(d => d.Database.Value));
        CompareSets("database", databases, [.. Databases(_against)]);

        HashSet<uint> tablespaces = [.. RelationFolders.Tablespaces(options.Base).Select(t => t.Tablespace.Value)];
        tablespaces.UnionWith(effects.TablespacesMade.Keys.Select(t => t.Value));
        tablespaces.ExceptWith(effects.TablespacesDropped.Select(t => t.Value));
        CompareSets("tablespace", tablespaces, [.. RelationFolders.Tablespaces(_against).Select(t => t.Tablespace.Value)]);

        static bool InBase((Oid Tablespace, Oid Database) d) => d.Tablespace == RelFileNode.DefaultTablespace;
        static IEnumerable<uint> Databases(string data) =>
            RelationFolders.Databases(data).Where(d => d.Tablespace == RelFileNode.DefaultTablespace).Select(d => d.Database.Value);
    }

    private void ComparePrepared()
    {
        string folder = Path.Combine(_against, PreparedTransactions.FolderName);
        Dictionary<string, byte[]> ours = transactions.Prepared.List().ToDictionary(p => p.FileName, p => p.ToFileBytes());
        string[] theirs = [.. Directory.EnumerateFiles(folder).Select(f => Path.GetFileName(f))];
        files.PreparedTransactions = ours.Count;
        CompareSets("prepared transaction", [.. ours.Keys], [.. theirs]);
        foreach (string name in theirs.Where(ours.ContainsKey))
        {
            if (!File.ReadAllBytes(Path.Combine(folder, name)).AsSpan().SequenceEqual(ours[name]))
            {
                files.Problems.Add($"\"{PreparedTransactions.FolderName}/{name}\" differs from what the log says of it");
            }
        }
    }

    private void CompareOrigins()
    {
        string path = Path.Combine(_against, ReplicationOrigins.FileName);
        IEnumerable<(ushort Origin, Lsn Remote)> theirs = File.Exists(path) ? ReplicationOrigins.Parse(File.ReadAllBytes(path)) : [];

        // A session that took an origin, and did nothing, leaves an entry that the log does not know.
        CompareSets(
            "replication origin",
            [.. transactions.Origins.List().Select(o => $"{o.Origin} at {o.Remote}")],
            [.. theirs.Where(o => o.Remote.IsValid).Select(o => $"{o.Origin} at {o.Remote}")]);
    }

    private void CompareControl(in ControlFile control)
    {
        CheckPoint point = control.CheckPoint;
        Transactions.Multi.MultiXactLimits multi = transactions.MultiXacts.Limits;
        CompareValue("the next xid", transactions.NextFullXid, point.NextXid);
        CompareValue("the next OID", effects.NextOid, point.NextOid);
        CompareValue("the next multixact", multi.Next, point.NextMulti);
        CompareValue("the next multixact's offset", multi.NextOffset, point.NextMultiOffset);
        CompareValue("the oldest multixact", multi.Oldest, point.OldestMulti);
        CompareValue("the oldest xid", transactions.OldestXid, point.OldestXid);
        CompareValue("the oldest commit timestamp's xid", transactions.CommitTimestamps.Oldest, point.OldestCommitTsXid);
        CompareValue("the newest commit timestamp's xid", transactions.CommitTimestamps.Newest, point.NewestCommitTsXid);
        CompareValue("track_commit_timestamp", transactions.CommitTimestamps.IsActive, control.TrackCommitTimestamp);
        ControlFile before = new ControlFileStore(options.Base).Read();
        effects.Parameters?.ApplyTo(ref before);
        CompareValue("max_connections", before.MaxConnections, control.MaxConnections);
        CompareValue("max_worker_processes", before.MaxWorkerProcesses, control.MaxWorkerProcesses);
        CompareValue("max_wal_senders", before.MaxWalSenders, control.MaxWalSenders);
        CompareValue("max_prepared_transactions", before.MaxPreparedTransactions, control.MaxPreparedTransactions);
        CompareValue("max_locks_per_transaction", before.MaxLocksPerTransaction, control.MaxLocksPerTransaction);
        CompareValue("wal_level", before.WalLevel, control.WalLevel);
        CompareValue("wal_log_hints", before.WalLogHints, control.WalLogHints);
    }

    private void CompareValue<T>(string name, T ours, T theirs) where T : notnull
    {
        if (!ours.Equals(theirs))
        {
            files.Problems.Add($"{name} is {theirs}, by the log it is {ours}");
        }
    }

    private void CompareSets<T>(string kind, HashSet<T> ours, HashSet<T> theirs)
    {
        files.Problems.AddRange(ours.Except(theirs).Order().Select(o => $"{kind} {o} is missing, by the log it is there"));
        files.Problems.AddRange(theirs.Except(ours).Order().Select(o => $"{kind} {o} is there, by the log it is not"));
    }

    private void Note(PageMismatch mismatch)
    {
        if (report.Details.Count < options.MaxDetails)
        {
            report.Details.Add(mismatch);
        }
    }
}
