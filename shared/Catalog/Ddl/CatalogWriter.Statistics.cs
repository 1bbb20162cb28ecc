using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>What VACUUM and ANALYZE found of a table (vac_update_relstats). Null fields stay as they are.</summary>
public sealed record TableStatistics
{
    public required int Pages { get; init; }
    public required double Rows { get; init; }
    public required int AllVisiblePages { get; init; }
    public required bool HasIndexes { get; init; }
    public Xid FrozenXid { get; init; }
    public MultiXactId MinMulti { get; init; }

    /// <summary>Within a transaction block relhasindex and the like are not cleared: other statements of it may roll back.</summary>
    public bool InTransactionBlock { get; init; }
}

/// <summary>The results of VACUUM and ANALYZE in pg_class, pg_statistic and pg_database.</summary>
public sealed partial class CatalogWriter
{
    /// <summary>Overwrites the counts in place: they hold whatever becomes of the transaction. relfrozenxid only goes forward.</summary>
    public void UpdateTableStatistics(Oid relation, TableStatistics s)
    {
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, relation);
        PgClass changed = row with { RelPages = s.Pages, RelTuples = (float)s.Rows, RelAllVisible = s.AllVisiblePages };
        if (!s.InTransactionBlock)
        {
            changed = changed with
            {
                RelHasIndex = row.RelHasIndex && s.HasIndexes,
                RelHasRules = row.RelHasRules && View.GetRules(relation).Count > 0,
                RelHasTriggers = row.RelHasTriggers && View.GetTriggers(relation).Count > 0,
            };
        }

        if (s.FrozenXid.IsNormal && (row.RelFrozenXid.Precedes(s.FrozenXid) || _engine.Transactions.NextXid.Precedes(row.RelFrozenXid)))
        {
            changed = changed with { RelFrozenXid = s.FrozenXid };
        }

        if (s.MinMulti.IsValid && new MultiXactId(row.RelMinMxid.Value).Precedes(s.MinMulti))
        {
            changed = changed with { RelMinMxid = new Xid(s.MinMulti.Value) };
        }

        if (changed != row)
        {
            UpdateInPlace(SystemCatalogs.Class, tid, changed);
        }
    }

    /// <summary>Stores or replaces a column's row of pg_statistic.</summary>
    public void StoreStatistic(PgStatistic statistic)
    {
        var rows = View.Search(
            SystemCatalogs.Statistic,
            SystemCatalogs.Statistic.IndexOn("starelid", "staattnum", "stainherit"),
            Datum.FromOid(statistic.StaRelId),
            Datum.FromInt16(statistic.StaAttNum),
            Datum.FromBool(statistic.StaInherit));
        if (rows.Count == 0)
        {
            Insert(SystemCatalogs.Statistic, statistic);
        }
        else
        {
            Update(SystemCatalogs.Statistic, rows[0].Tid, rows[0].Row, statistic);
        }
    }

    /// <summary>
    /// The lowest relfrozenxid and relminmxid of the database's tables go into pg_database (vac_update_datfrozenxid). The caller truncates clog and
    /// multixact by all databases' values.
    /// </summary>
    /// <param name="oldestMulti">The oldest multixact that any transaction may still ask for.</param>
    /// <returns>The values in pg_database now, and whether they changed; no change either when a table's value lies in the future.</returns>
    public (Xid FrozenXid, MultiXactId MinMulti, bool Changed) UpdateDatabaseFrozenXid(MultiXactId oldestMulti, MultiXactId nextMulti)
    {
        Xid frozen = _engine.Transactions.XidHorizon;
        MultiXactId multi = oldestMulti;
        Xid next = _engine.Transactions.NextXid;
        (PgDatabase row, Tid tid) = Get(SystemCatalogs.Database, _database.Id);
        foreach (PgClass c in View.Scan(SystemCatalogs.Class))
        {
            if (c.RelKind is not ('r' or 'm' or 't'))
            {
                continue;
            }

            var minMulti = new MultiXactId(c.RelMinMxid.Value);
            if (next.Precedes(c.RelFrozenXid) || (minMulti.IsValid && nextMulti.Precedes(minMulti)))
            {
                return (row.DatFrozenXid, new MultiXactId(row.DatMinMxid.Value), false);
            }

            frozen = c.RelFrozenXid.IsNormal && c.RelFrozenXid.Precedes(frozen) ? c.RelFrozenXid : frozen;
            multi = minMulti.IsValid && minMulti.Precedes(multi) ? minMulti : multi;
        }

        PgDatabase changed = row with
        {
            DatFrozenXid = row.DatFrozenXid.Precedes(frozen) ? frozen : row.DatFrozenXid,
            DatMinMxid = new MultiXactId(row.DatMinMxid.Value).Precedes(multi) ? new Xid(multi.Value) : row.DatMinMxid,
        };
        if (changed != row)
        {
            UpdateInPlace(SystemCatalogs.Database, tid, changed);
        }

        return (changed.DatFrozenXid, new MultiXactId(changed.DatMinMxid.Value), changed != row);
    }
}
