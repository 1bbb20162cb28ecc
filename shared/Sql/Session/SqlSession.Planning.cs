using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Parse;
using SharedStorage.Sql.Plan;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;

namespace SharedStorage.Sql.Session;

/// <summary>From a statement to an executor tree, through the plan cache.</summary>
public sealed partial class SqlSession : ITypeInput
{
    private object? _searchPathVersion;
    private IReadOnlyList<Oid> _searchPath = [];
    private PlanPaths _disabledPaths;
    private object? _databaseSeenAt;

    Datum ITypeInput.Input(Oid type, string text, int typmod) => Types.TypeRegistry.Get(type, _eval.Catalogs).InputText(text, typmod, _eval);
    string ITypeInput.Output(Oid type, Datum value) => Types.TypeRegistry.Get(type, _eval.Catalogs).OutputText(value, _eval);

    /// <summary>The catalogs of the statement that runs; functions that ask catalogs see these.</summary>
    internal SessionCatalog? CurrentCatalog { get; private set; }

    /// <summary>The names in search_path.</summary>
    internal IReadOnlyList<string> SearchPathNames
    {
        get
        {
            var names = new List<string>();
            foreach (string part in SplitIdentifiers(_settings.Get("search_path")!))
            {
                names.Add(part);
            }

            return names;
        }
    }

    internal IReadOnlyList<Oid> SearchPath(CatalogView view)
    {
        if (!ReferenceEquals(_searchPathVersion, view.Version))
        {
            _searchPath = view.ResolveSearchPath(SearchPathNames, _user.RolName);
            _searchPathVersion = view.Version;
        }

        return _searchPath;
    }

    internal static IEnumerable<string> SplitIdentifiers(string list)
    {
        int i = 0;
        while (i < list.Length)
        {
            while (i < list.Length && (list[i] == ',' || char.IsWhiteSpace(list[i])))
            {
                i++;
            }

            if (i >= list.Length)
            {
                yield break;
            }

            var name = new System.Text.StringBuilder();
            if (list[i] == '"')
            {
                i++;
                while (i < list.Length && (list[i] != '"' || (i + 1 < list.Length && list[i + 1] == '"')))
                {
                    i += list[i] == '"' ? 1 : 0;
                    name.Append(list[i++]);
                }

                i++;
            }
            else
            {
                while (i < list.Length && list[i] != ',' && !char.IsWhiteSpace(list[i]))
                {
                    name.Append(char.ToLowerInvariant(list[i++]));
                }
            }

            yield return name.ToString();
        }
    }

    private AnalyzeContext NewContext(SessionCatalog catalog, SourceText source, List<Oid> parameters, bool infer, Action<Oid, LockMode>? lockTable) => new()
    {
        Catalog = catalog,
        Types = this,
        Source = source,
        SearchPath = SearchPath(catalog.View),
        DatabaseName = _databaseRow.DatName,
        ParameterTypes = parameters,
        InferParameters = infer,
        LockTable = lockTable,
    };

    private LockTag TagOf(SessionCatalog catalog, Oid table) =>
        LockTag.Relation(catalog.Class(table) is { RelIsShared: true } ? Oid.Invalid : _databaseRow.Oid, table);

    /// <summary>
    /// Runs <paramref name="resolve"/> against the catalogs: on a writer as they are now, and when they changed while it waited for a lock, it is run again, so that
    /// it never works with what a change it waited for has replaced. On a reader as the statement's snapshot has them: no lock keeps them there.
    /// </summary>
    private T WithCatalog<T>(Func<SessionCatalog, T> resolve)
    {
        for (int attempt = 0; ; attempt++)
        {
            using Snapshot snapshot = _node.IsReader ? TakeSnapshot() : Current.TakeSnapshot();
            SessionCatalog catalog = CatalogAt(snapshot);
            T result = With(catalog, resolve);
            if (_node.IsReader || Current.HasInvalidations || attempt >= 20 || catalog.View.IsCurrent)
            {
                return result;
            }
        }
    }

    private T With<T>(SessionCatalog catalog, Func<SessionCatalog, T> resolve)
    {
        SessionCatalog? before = CurrentCatalog;
        CurrentCatalog = catalog;
        try
        {
            return resolve(catalog);
        }
        finally
        {
            CurrentCatalog = before;
        }
    }

    private CachedPlan MakePlan(RawStatement raw, List<Oid> parameters, bool infer) => MakePlan(raw.Tree, raw.Source, parameters, infer);

    private CachedPlan MakePlan(PgQuery.Node tree, SourceText source, List<Oid> parameters, bool infer) =>
        WithCatalog(catalog => MakePlan(catalog, tree, source, parameters, infer));

    private CachedPlan MakePlan(SessionCatalog catalog, PgQuery.Node tree, SourceText source, List<Oid> parameters, bool infer)
    {
        var locks = new List<(LockTag, LockMode)>();
        AnalyzeContext context = NewContext(catalog, source, parameters, infer, (table, mode) =>
        {
            LockTag tag = TagOf(catalog, table);
            _node.Engine.Locks.Acquire(Current, tag, mode);
            locks.Add((tag, mode));
        });
        Query query = new Analyzer(context).Analyze(tree);
        RowPlan plan = NewPlanner(catalog).Plan(query);
        return new CachedPlan(query, plan, catalog.Version, _settings.Get("search_path")!, _disabledPaths, [.. locks], Describe(catalog, query));
    }

    private Planner NewPlanner(SessionCatalog catalog) => new(catalog, r => _node.Engine.Buffers.BlockCount(r.Node, ForkNumber.Main), _disabledPaths);

    private static RowDescription? Describe(SessionCatalog catalog, Query query)
    {
        List<Target>? targets = query.Kind == QueryKind.Select ? query.Targets : query.Returning;
        return targets is null ? null : new RowDescription([.. targets.Where(t => !t.Junk).Select(t => Column(catalog, t.Name, t.Expr.Type, t.Expr.Typmod, t.TableId, t.TableColumn))]);
    }

    private static ResultColumn Column(SessionCatalog catalog, string name, Oid type, int typmod, Oid table = default, short number = 0)
    {
        Catalog.Rows.PgType? row = catalog.Type(type);
        // Clients are told of a domain's base type.
        while (row is { TypType: 'd' })
        {
            (typmod, type) = (row.TypTypMod, row.TypBaseType);
            row = catalog.Type(type);
        }

        return new ResultColumn(name, table, number, type, row?.TypLen ?? -1, typmod);
    }

    /// <summary>The plan of a statement for now: the cached one when nothing it depends on has changed. The caller disposes the snapshot.</summary>
    private CachedPlan PlanFor(PreparedStatement statement, out Snapshot snapshot)
    {
        if (_node.IsReader)
        {
            return PlanOnReader(statement, out snapshot);
        }

        if (statement.Plan is { } cached)
        {
            foreach ((LockTag tag, LockMode mode) in cached.Locks)
            {
                _node.Engine.Locks.Acquire(Current, tag, mode);
            }

            snapshot = TakeSnapshot();
            SessionCatalog catalog = CatalogAt(snapshot);
            if (Holds(cached, catalog))
            {
                CurrentCatalog = catalog;
                return cached;
            }

            snapshot.Dispose();
        }

        Keep(statement, MakePlan(statement.Raw!, [.. statement.ParameterTypes], false));
        snapshot = TakeSnapshot();
        CurrentCatalog = CatalogAt(snapshot);
        return statement.Plan!;
    }

    /// <summary>On a reader one snapshot serves names, plan and rows: the writer's DDL asks nobody here, and what a snapshot needs stays as long as it does (I5, I7).</summary>
    private CachedPlan PlanOnReader(PreparedStatement statement, out Snapshot snapshot)
    {
        snapshot = TakeSnapshot();
        bool planned = false;
        try
        {
            SessionCatalog catalog = CatalogAt(snapshot);
            RequireDatabase(catalog);
            if (statement.Plan is not { } cached || !Holds(cached, catalog))
            {
                Keep(statement, With(catalog, c => MakePlan(c, statement.Raw!.Tree, statement.Raw.Source, [.. statement.ParameterTypes], false)));
            }

            CurrentCatalog = catalog;
            planned = true;
            return statement.Plan!;
        }
        finally
        {
            if (!planned)
            {
                snapshot.Dispose();
            }
        }
    }

    /// <summary>On a reader a drop of the session's database neither waits for it nor ends what it does: it ends with the first snapshot that has the database no more.</summary>
    private void RequireDatabase(SessionCatalog catalog)
    {
        if (ReferenceEquals(_databaseSeenAt, catalog.Version))
        {
            return;
        }

        if (catalog.Database(_databaseRow.Oid) is null)
        {
            throw new PgException(SqlStates.DatabaseDropped, "terminating connection due to conflict with recovery")
            {
                Detail = "User was connected to a database that must be dropped.",
                Fatal = true,
            };
        }

        _databaseSeenAt = catalog.Version;
    }

    private bool Holds(CachedPlan plan, SessionCatalog catalog) => ReferenceEquals(catalog.Version, plan.Version) && plan.Disabled == _disabledPaths && plan.SearchPath == _settings.Get("search_path");

    private static void Keep(PreparedStatement statement, CachedPlan plan)
    {
        if (statement.Description is { } told && plan.Description is { } now && !told.Columns.Select(c => (c.TypeId, c.Name)).SequenceEqual(now.Columns.Select(c => (c.TypeId, c.Name))))
        {
            throw new PgException(SqlStates.FeatureNotSupported, "cached plan must not change result type");
        }

        statement.Plan = plan;
    }

    private Executor NewExecutor(CachedPlan plan)
    {
        if (plan.Idle is { } idle)
        {
            plan.Idle = null;
            return idle;
        }

        return BuildExecutor(b => plan.Plan.BuildRows(b));
    }

    private Executor BuildExecutor(Func<PlanBuilder, RowNode> build)
    {
        SessionCatalog catalog = CurrentCatalog!;
        var context = new ExecContext(_node.Engine, _eval, _cancel, _spill) { Catalog = catalog };
        ExprCompiler compiler = NewCompiler(context);
        return new Executor(context, build(new PlanBuilder(context, compiler, null, null)));
    }

    private ExprCompiler NewCompiler(ExecContext context)
    {
        ExprCompiler? compiler = null;
        compiler = new ExprCompiler(context, (query, env) =>
            new SubPlan(NewPlanner((SessionCatalog)context.Catalog).PlanSelect(query).BuildRows(new PlanBuilder(context, compiler!, env, null)), query.IsCorrelated))
        {
            IsRepeatableRead = () => IsRepeatableRead,
        };
        return compiler;
    }

    private sealed class SubPlan(RowNode plan, bool correlated) : SubPlanRunner
    {
        public override Slot Output => plan.Output;
        public override bool IsCorrelated => correlated;
        public override void Open() => plan.Open();
        public override bool Next() => plan.Next();
    }
}
