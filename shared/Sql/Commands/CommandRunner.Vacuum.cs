using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>VACUUM and ANALYZE (vacuum.c): each table in a transaction of its own.</summary>
internal sealed partial class CommandRunner
{
    private sealed class VacuumOptions
    {
        public bool Vacuum { get; init; }
        public bool Analyze { get; set; }
        public bool Full { get; set; }
        public bool Verbose { get; set; }
        public bool SkipLocked { get; set; }
        public bool ProcessToast { get; set; } = true;
        public HeapVacuumOptions Heap { get; set; } = new();
    }

    private string Vacuum(Pg.VacuumStmt s)
    {
        string command = s.IsVacuumcmd ? "VACUUM" : "ANALYZE";
        VacuumOptions options = ReadOptions(s);
        if (options.Vacuum)
        {
            Session.CheckNoBlock("VACUUM");
        }

        List<(PgClass Table, string[] Columns)> tables = Session.Resolve(catalog => TablesToVacuum(catalog, s));
        // ANALYZE within a block works in the block's transaction.
        bool ownTransactions = options.Vacuum || (!Session.InBlock && tables.Count > 1);
        foreach ((PgClass table, string[] columns) in tables)
        {
            if (options.Vacuum)
            {
                Session.NextTransaction();
                if (options.Full)
                {
                    VacuumFull(table.Oid, options);
                }
                else
                {
                    VacuumTable(table.Oid, options, s.Rels.Count > 0);
                }
            }

            if (options.Analyze && table.RelKind is 'r' or 'm')
            {
                if (ownTransactions)
                {
                    Session.NextTransaction();
                }

                AnalyzeTable(table.Oid, columns, options);
            }
        }

        if (options.Vacuum)
        {
            Session.NextTransaction();
            UpdateDatabase();
        }

        return command;
    }

    private VacuumOptions ReadOptions(Pg.VacuumStmt s)
    {
        var result = new VacuumOptions { Vacuum = s.IsVacuumcmd, Analyze = !s.IsVacuumcmd, Heap = HeapOptions() };
        foreach (Pg.DefElem o in s.Options.Select(n => n.DefElem))
        {
            string text = o.Arg is null ? "on" : SqlSession.SettingText(o.Arg);
            bool on = o.Defname is "index_cleanup" or "parallel"
                || (SessionSettings.ParseBool(text) ?? throw new PgException(SqlStates.SyntaxError, $"{o.Defname} requires a Boolean value"));
            switch (o.Defname)
            {
                case "full":
                    result.Full = on;
                    break;
                case "parallel":
                    break;
                case "freeze":
                    result.Heap = result.Heap with { Freeze = on };
                    break;
                case "verbose":
                    result.Verbose = on;
                    break;
                case "analyze":
                    result.Analyze |= on;
                    break;
                case "disable_page_skipping":
                    result.Heap = result.Heap with { DisablePageSkipping = on };
                    break;
                case "skip_locked":
                    result.SkipLocked = on;
                    break;
                case "truncate":
                    result.Heap = result.Heap with { Truncate = on };
                    break;
                case "process_toast":
                    result.ProcessToast = on;
                    break;
                case "index_cleanup":
                    result.Heap = result.Heap with { IndexCleanup = text.Equals("auto", StringComparison.OrdinalIgnoreCase) ? null : SessionSettings.ParseBool(text) };
                    break;
                default:
                    throw new PgException(SqlStates.SyntaxError, $"unrecognized {(s.IsVacuumcmd ? "VACUUM" : "ANALYZE")} option \"{o.Defname}\"");
            }
        }

        return result;
    }

    private List<(PgClass, string[])> TablesToVacuum(SessionCatalog catalog, Pg.VacuumStmt s)
    {
        var result = new List<(PgClass, string[])>();
        if (s.Rels.Count == 0)
        {
            foreach (PgClass row in catalog.View.Scan(SystemCatalogs.Class))
            {
                if (row.RelKind is 'r' or 'm' && row.RelPersistence != 't')
                {
                    result.Add((row, []));
                }
            }

            return result;
        }

        Analyzer analyzer = Session.NewAnalyzer(catalog, Source);
        foreach (Pg.VacuumRelation rel in s.Rels.Select(r => r.VacuumRelation))
        {
            PgClass row = analyzer.ResolveRelation(rel.Relation);
            if (row.RelKind is not ('r' or 'm' or 't'))
            {
                Session.SendNotice("WARNING", SqlStates.Warning, $"skipping \"{row.RelName}\" --- cannot {(s.IsVacuumcmd ? "vacuum" : "analyze")} non-tables or special system tables");
                continue;
            }

            result.Add((row, [.. rel.VaCols.Select(Text)]));
        }

        return result;
    }

    /// <summary>The table as it is now, locked; null when it is gone or, with SKIP_LOCKED, locked by others.</summary>
    private (Relation Relation, IReadOnlyList<IndexInfo> Indexes, PgClass Row)? OpenToVacuum(Oid table, VacuumOptions options) => Session.Resolve<(Relation, IReadOnlyList<IndexInfo>, PgClass)?>(catalog =>
    {
        if (catalog.Class(table) is not { } row)
        {
            return null;
        }

        if (options.SkipLocked)
        {
            if (!Session.TryLockRelation(catalog, table, LockMode.ShareUpdateExclusive))
            {
                Session.SendNotice("WARNING", SqlStates.LockNotAvailable, $"skipping {(options.Vacuum ? "vacuum" : "analyze")} of \"{row.RelName}\" --- lock not available");
                return null;
            }
        }
        else
        {
            Session.LockRelation(catalog, table, LockMode.ShareUpdateExclusive);
        }

        return catalog.Relation(table) is { } relation ? (relation, catalog.Indexes(table), row) : null;
    });

    private void VacuumTable(Oid table, VacuumOptions options, bool named)
    {
        _ = named;
        if (OpenToVacuum(table, options) is not { } target)
        {
            return;
        }

        (Relation relation, IReadOnlyList<IndexInfo> indexes, PgClass row) = target;
        if (indexes.Any(i => i.AccessMethod.Value != PgOids.BtreeAm))
        {
            throw PgException.NotSupported($"VACUUM of table \"{row.RelName}\", which has an index that is no btree,");
        }

        // No snapshot is held while it runs: the horizon goes on.
        var start = new HeapVacuumStart(row.RelFrozenXid, new MultiXactId(row.RelMinMxid.Value), (uint)row.RelPages, row.RelTuples);
        Session.Tx.RepairsWraparound = true;
        HeapVacuumResult result = new HeapVacuum(Session.Node.Engine, relation, [.. indexes.Where(i => i.IsReady)], start, Failsafe(options.Heap, row)).Run(Session.Tx);
        Session.ChangeCatalogs(writer =>
        {
            StoreVacuumResult(writer, relation, indexes, result);
            return true;
        });
        Session.NoteVacuumed(relation, result);
        if (options.Verbose)
        {
            Session.SendNotice("INFO", SqlStates.SuccessfulCompletion,
                $"finished vacuuming \"{Session.DatabaseRow.DatName}.{relation.Name}\": index scans: {result.IndexScans}",
                $"pages: {result.PagesRemoved} removed, {result.Pages} remain, {result.PagesScanned} scanned; tuples: {result.TuplesRemoved} removed, {result.Tuples:F0} remain, {result.RecentlyDead} are dead but not yet removable");
        }

        if (options.ProcessToast && relation.ToastRelation.IsValid)
        {
            Session.NextTransaction();
            VacuumTable(relation.ToastRelation, options, false);
        }
    }

    private static void StoreVacuumResult(CatalogWriter writer, Relation relation, IReadOnlyList<IndexInfo> indexes, HeapVacuumResult result)
    {
        writer.UpdateTableStatistics(relation.Id, new TableStatistics
        {
            Pages = (int)result.Pages,
            Rows = result.Tuples,
            AllVisiblePages = (int)result.AllVisible,
            HasIndexes = indexes.Count > 0,
            FrozenXid = result.RelFrozenXid,
            MinMulti = result.RelMinMxid,
        });
        IndexInfo[] ready = [.. indexes.Where(i => i.IsReady)];
        for (int i = 0; i < result.Indexes.Count && i < ready.Length; i++)
        {
            if (result.Indexes[i].Tuples < 0)
            {
                continue;
            }

            writer.UpdateTableStatistics(ready[i].Relation.Id, new TableStatistics
            {
                Pages = (int)result.Indexes[i].Pages,
                Rows = result.Indexes[i].Tuples,
                AllVisiblePages = 0,
                HasIndexes = false,
            });
        }
    }

    private void UpdateDatabase()
    {
        Session.Tx.RepairsWraparound = true;
        Transactions.Multi.MultiXacts multi = Session.Node.Engine.Transactions.MultiXacts;
        Session.ChangeCatalogs(writer => writer.UpdateDatabaseFrozenXid(multi.OldestRunning, multi.Next).Changed);
        Session.Node.VacuumFinished?.Invoke();
    }
}
