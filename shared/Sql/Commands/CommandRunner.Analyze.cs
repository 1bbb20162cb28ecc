using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;

namespace SharedStorage.Sql.Commands;

/// <summary>ANALYZE (analyze.c): a sample of the rows, statistics of each column.</summary>
internal sealed partial class CommandRunner
{
    /// <summary>Rows in the sample for each value that the lists may hold: PostgreSQL's number, from the theory of histograms.</summary>
    private const int RowsPerTarget = 300;

    private void AnalyzeTable(Oid table, string[] columns, VacuumOptions options)
    {
        if (OpenToVacuum(table, options) is not { } target)
        {
            return;
        }

        (Relation relation, IReadOnlyList<IndexInfo> indexes, PgClass row) = target;
        foreach (string name in columns)
        {
            if (relation.Desc.IndexOf(name) < 0)
            {
                throw new PgException(SqlStates.UndefinedColumn, $"column \"{name}\" of relation \"{row.RelName}\" does not exist");
            }
        }

        int standard = int.Parse(Session.Settings.Get("default_statistics_target")!, System.Globalization.CultureInfo.InvariantCulture);
        Session.ChangeCatalogs(writer =>
        {
            IReadOnlyList<PgAttribute> attributes = writer.View.GetAttributes(table);
            var wanted = new List<(int Index, int Target)>();
            for (int i = 0; i < relation.Desc.Count; i++)
            {
                TupleAttribute a = relation.Desc[i];
                int statistics = attributes.FirstOrDefault(x => x.AttNum == i + 1)?.AttStatTarget ?? -1;
                if (!a.IsDropped && statistics != 0 && (columns.Length == 0 || columns.Contains(a.Name)))
                {
                    wanted.Add((i, statistics < 0 ? standard : statistics));
                }
            }

            int sampleSize = RowsPerTarget * wanted.Select(w => w.Target).Append(1).Max();
            // The same rows are drawn for the same number: a run can be repeated.
            var random = new Random(unchecked((int)(Session.EvalContext.StatementTimestamp ^ table.Value)));
            HeapSample sample = HeapSampler.Take(Session.Node.Engine, relation, sampleSize, random, Session.Tx);
            foreach ((int index, int statisticsTarget) in wanted)
            {
                if (sample.Rows.Count > 0 && ColumnStatistics.Compute(new SessionCatalog(writer.View), Session.EvalContext, relation, index, sample, statisticsTarget) is { } statistic)
                {
                    writer.StoreStatistic(statistic);
                }
            }

            StoreCounts(writer, relation, indexes, sample, row);
            Session.NoteAnalyzed(relation, sample, columns.Length == 0);
            return true;
        });
        if (options.Verbose)
        {
            Session.SendNotice("INFO", SqlStates.SuccessfulCompletion, $"\"{relation.Name}\": scanned {sample(relation)} pages");
        }

        uint sample(Relation r) => Session.Node.Engine.Buffers.BlockCount(r.Node, ForkNumber.Main);
    }

    private void StoreCounts(CatalogWriter writer, Relation relation, IReadOnlyList<IndexInfo> indexes, HeapSample sample, PgClass row)
    {
        writer.UpdateTableStatistics(relation.Id, new TableStatistics
        {
            Pages = (int)sample.Pages,
            Rows = sample.LiveRows,
            AllVisiblePages = row.RelAllVisible,
            HasIndexes = indexes.Count > 0,
            InTransactionBlock = Session.InBlock,
        });
        foreach (IndexInfo index in indexes)
        {
            writer.UpdateTableStatistics(index.Relation.Id, new TableStatistics
            {
                Pages = (int)Session.Node.Engine.Buffers.BlockCount(index.Relation.Node, ForkNumber.Main),
                Rows = sample.LiveRows,
                AllVisiblePages = 0,
                HasIndexes = false,
                InTransactionBlock = Session.InBlock,
            });
        }
    }
}
