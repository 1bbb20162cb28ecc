using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>REINDEX, CLUSTER, VACUUM FULL (indexcmds.c, cluster.c). All give relations new files; scans that run, here and on readers, keep the old ones (I5).</summary>
internal sealed partial class CommandRunner
{
    /// <summary>Compiles expressions and predicates of indexes that are filled anew; what they work with lives as long as this.</summary>
    private sealed class IndexExpressionCompiler(CommandRunner runner, CatalogWriter writer) : IDisposable
    {
        private readonly List<Snapshot> _snapshots = [];

        public IIndexExpressions? For(IndexInfo index)
        {
            if (!index.HasExpressions && !index.HasPredicate)
            {
                return null;
            }

            SessionCatalog catalog = runner.Session.Refresh(writer);
            PgIndex row = catalog.IndexRow(index.Relation.Id)!;
            IReadOnlyList<Expr> expressions = row.IndExprs is null ? [] : NodeTreeReader.ReadExprs(catalog, row.IndExprs);
            IReadOnlyList<Expr> tests = row.IndPred is null ? [] : NodeTreeReader.ReadExprs(catalog, row.IndPred);
            Expr? predicate = tests.Count switch { 0 => null, 1 => tests[0], _ => new BoolExpr(BoolOperation.And, [.. tests]) };
            (Execute.ExecContext _, ExprCompiler compiler, Snapshot snapshot) = runner.Session.NewExecution();
            _snapshots.Add(snapshot);
            return new IndexExpressions(compiler, catalog.Relation(index.TableId)!, expressions, predicate);
        }

        public void Dispose()
        {
            foreach (Snapshot snapshot in _snapshots)
            {
                snapshot.Dispose();
            }
        }
    }

    private string Reindex(Pg.ReindexStmt s)
    {
        foreach (Pg.DefElem option in s.Params.Select(p => p.DefElem))
        {
            bool on = option.Arg is null || SessionSettings.ParseBool(SqlSession.SettingText(option.Arg)) != false;
            if (option.Defname != "verbose" && on)
            {
                throw option.Defname is "concurrently" or "tablespace" ? PgException.NotSupported($"REINDEX ({option.Defname})")
                    : Error(SqlStates.SyntaxError, $"unrecognized REINDEX option \"{option.Defname}\"", option.Location);
            }
        }

        switch (s.Kind)
        {
            case Pg.ReindexObjectType.ReindexObjectIndex:
                ReindexIndex(s.Relation);
                break;
            case Pg.ReindexObjectType.ReindexObjectTable:
                PgClass table = Session.Resolve(catalog => LockToReindex(catalog, Session.NewAnalyzer(catalog, Source).ResolveRelation(s.Relation)));
                ReindexTable(table.Oid);
                break;
            case Pg.ReindexObjectType.ReindexObjectSchema:
                Session.CheckNoBlock("REINDEX SCHEMA");
                ReindexSchema(s.Name);
                break;
            default:
                throw PgException.NotSupported(s.Kind == Pg.ReindexObjectType.ReindexObjectSystem ? "REINDEX SYSTEM" : "REINDEX DATABASE");
        }

        return "REINDEX";
    }

    private void ReindexIndex(Pg.RangeVar name)
    {
        PgClass index = Session.Resolve(catalog =>
        {
            PgClass row = Session.NewAnalyzer(catalog, Source).ResolveRelation(name);
            if (row.RelKind != 'i')
            {
                throw row.RelKind == 'I' ? PgException.NotSupported("an index of a partitioned table") : new PgException(SqlStates.WrongObjectType, $"\"{row.RelName}\" is not an index");
            }

            RefuseCatalog(row, "REINDEX");

            // The table first: its writers are kept out, its readers are not.
            Session.LockRelation(catalog, catalog.IndexRow(row.Oid)!.IndRelId, LockMode.Share);
            Session.LockRelation(catalog, row.Oid, LockMode.AccessExclusive);
            return row;
        });
        Session.ChangeCatalogs(writer =>
        {
            using var expressions = new IndexExpressionCompiler(this, writer);
            writer.Reindex(index.Oid, expressions.For);
            return true;
        });
    }

    private PgClass LockToReindex(SessionCatalog catalog, PgClass row)
    {
        if (row.RelKind is not ('r' or 't'))
        {
            throw row.RelKind is 'p' or 'm' ? PgException.NotSupported("REINDEX of this kind of table") : new PgException(SqlStates.WrongObjectType, $"\"{row.RelName}\" is not a table or materialized view");
        }

        RefuseCatalog(row, "REINDEX");
        Session.LockRelation(catalog, row.Oid, LockMode.Share);
        return row;
    }

    private static void RefuseCatalog(PgClass row, string command)
    {
        // A catalog's files are read in the middle of their own replacement; that is not there.
        if (row.Oid.Value < Oid.FirstNormal.Value)
        {
            throw PgException.NotSupported($"{command} of system catalog \"{row.RelName}\"");
        }
    }

    private void ReindexTable(Oid table) => Session.ChangeCatalogs(writer =>
    {
        using var expressions = new IndexExpressionCompiler(this, writer);
        Oid toast = writer.View.ClassById(table)!.RelToastRelId;
        foreach (Oid relation in toast.IsValid ? [table, toast] : new[] { table })
        {
            foreach (Oid index in writer.IndexesOf(relation))
            {
                Session.LockRelation(new SessionCatalog(writer.View), index, LockMode.AccessExclusive);
                writer.Reindex(index, expressions.For);
            }
        }

        return true;
    });

    private void ReindexSchema(string name)
    {
        Oid[] tables = Session.Resolve(catalog =>
        {
            PgNamespace schema = catalog.SchemaByName(name) ?? throw new PgException(SqlStates.InvalidSchemaName, $"schema \"{name}\" does not exist");
            return catalog.View.Scan(SystemCatalogs.Class).Where(c => c.RelNamespace == schema.Oid && c.RelKind == 'r').Select(c => c.Oid).ToArray();
        });
        foreach (Oid table in tables)
        {
            Session.NextTransaction();
            if (Session.Resolve(catalog => catalog.Class(table) is { } row ? LockToReindex(catalog, row) : null) is not null)
            {
                ReindexTable(table);
            }
        }
    }

    private string Cluster(Pg.ClusterStmt s)
    {
        foreach (Pg.DefElem option in s.Params.Select(p => p.DefElem))
        {
            if (option.Defname != "verbose")
            {
                throw Error(SqlStates.SyntaxError, $"unrecognized CLUSTER option \"{option.Defname}\"", option.Location);
            }
        }

        if (s.Relation is not null)
        {
            (PgClass table, Oid index) = Session.Resolve(catalog =>
            {
                PgClass row = Session.NewAnalyzer(catalog, Source).ResolveRelation(s.Relation);
                if (row.RelKind != 'r')
                {
                    throw row.RelKind is 'p' or 'm' ? PgException.NotSupported("CLUSTER of this kind of table") : new PgException(SqlStates.WrongObjectType, $"\"{row.RelName}\" is not a table or materialized view");
                }

                RefuseCatalog(row, "CLUSTER");
                Session.LockRelation(catalog, row.Oid, LockMode.AccessExclusive);
                Relation relation = catalog.Relation(row.Oid)!;
                IndexInfo? index = s.Indexname.Length > 0 ? ClusterIndex(catalog, relation, s.Indexname)
                    : catalog.Indexes(row.Oid).FirstOrDefault(i => catalog.IndexRow(i.Relation.Id)!.IndIsClustered);
                return (row, (index ?? throw new PgException(SqlStates.UndefinedObject, $"there is no previously clustered index for table \"{row.RelName}\"")).Relation.Id);
            });
            CompactTable(table.Oid, index);
            return "CLUSTER";
        }

        Session.CheckNoBlock("CLUSTER");
        (Oid Table, Oid Index)[] all = Session.Resolve(catalog =>
            catalog.View.Scan(SystemCatalogs.Index).Where(i => i.IndIsClustered).Select(i => (i.IndRelId, i.IndexRelId)).ToArray());
        foreach ((Oid table, Oid index) in all)
        {
            Session.NextTransaction();
            bool there = Session.Resolve(catalog =>
            {
                if (catalog.Class(table) is null)
                {
                    return false;
                }

                Session.LockRelation(catalog, table, LockMode.AccessExclusive);
                return catalog.IndexRow(index) is { IndIsClustered: true };
            });
            if (there)
            {
                CompactTable(table, index);
            }
        }

        return "CLUSTER";
    }

    /// <summary>An index of the table that its rows can be ordered by.</summary>
    private static IndexInfo ClusterIndex(SessionCatalog catalog, Relation relation, string name)
    {
        IndexInfo? index = catalog.Indexes(relation.Id).FirstOrDefault(i => i.Relation.Name == name);
        if (index is null)
        {
            throw catalog.ClassByName(name, relation.Namespace) is { RelKind: 'i' }
                ? new PgException(SqlStates.WrongObjectType, $"\"{name}\" is not an index for table \"{relation.Name}\"")
                : new PgException(SqlStates.UndefinedObject, $"index \"{name}\" for table \"{relation.Name}\" does not exist");
        }

        if (index.AccessMethod.Value != PgOids.BtreeAm)
        {
            throw PgException.NotSupported($"CLUSTER by index \"{name}\", which is no btree,");
        }

        return index.HasPredicate ? throw new PgException(SqlStates.FeatureNotSupported, $"cannot cluster on partial index \"{name}\"")
            : !index.IsValid ? throw new PgException(SqlStates.FeatureNotSupported, $"cannot cluster on invalid index \"{name}\"") : index;
    }

    private void CompactTable(Oid table, Oid index) => Session.ChangeCatalogs(writer =>
    {
        using var expressions = new IndexExpressionCompiler(this, writer);
        if (index.IsValid)
        {
            writer.MarkClustered(table, index);
        }

        writer.Compact(table, index, expressions.For);
        Session.NoteNewFiles(table);
        return true;
    });

    /// <summary>VACUUM FULL of one table; the caller is in a transaction of its own for it.</summary>
    private void VacuumFull(Oid table, VacuumOptions options)
    {
        bool there = Session.Resolve(catalog =>
        {
            if (catalog.Class(table) is not { } row)
            {
                return false;
            }

            RefuseCatalog(row, "VACUUM FULL");
            if (row.RelKind != 'r')
            {
                throw PgException.NotSupported("VACUUM FULL of this kind of table");
            }

            if (!options.SkipLocked)
            {
                Session.LockRelation(catalog, table, LockMode.AccessExclusive);
                return true;
            }

            if (!Session.TryLockRelation(catalog, table, LockMode.AccessExclusive))
            {
                Session.SendNotice("WARNING", SqlStates.LockNotAvailable, $"skipping vacuum of \"{row.RelName}\" --- lock not available");
                return false;
            }

            return true;
        });
        if (there)
        {
            CompactTable(table, Oid.Invalid);
        }
    }
}
