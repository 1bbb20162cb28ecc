using System.Globalization;
using SharedStorage.Catalog;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Commands;
using Pg = PgQuery;

namespace SharedStorage.Sql.Session;

/// <summary>Statements that are no queries (utility.c).</summary>
public sealed partial class SqlSession
{
    private ExecuteResult RunUtility(Portal portal, long maxRows, IResultSink sink)
    {
        Pg.Node tree = portal.Statement.Raw!.Tree;
        string? tag = tree.NodeCase switch
        {
            Pg.Node.NodeOneofCase.TransactionStmt => RunTransaction(tree.TransactionStmt),
            Pg.Node.NodeOneofCase.VariableSetStmt => RunSet(tree.VariableSetStmt),
            Pg.Node.NodeOneofCase.VariableShowStmt => Keep(portal, ShowRows(tree.VariableShowStmt.Name), "SHOW"),
            Pg.Node.NodeOneofCase.PrepareStmt => RunPrepare(portal.Statement, tree.PrepareStmt),
            Pg.Node.NodeOneofCase.DeallocateStmt => RunDeallocate(tree.DeallocateStmt),
            Pg.Node.NodeOneofCase.DiscardStmt => RunDiscard(tree.DiscardStmt),
            Pg.Node.NodeOneofCase.DeclareCursorStmt => RunDeclare(portal.Statement, portal.Parameters, tree.DeclareCursorStmt),
            Pg.Node.NodeOneofCase.FetchStmt => RunFetch(portal, tree.FetchStmt),
            Pg.Node.NodeOneofCase.ClosePortalStmt => RunClose(tree.ClosePortalStmt),
            Pg.Node.NodeOneofCase.CheckPointStmt => RunCheckpoint(),
            Pg.Node.NodeOneofCase.LockStmt => RunLock(tree.LockStmt),
            Pg.Node.NodeOneofCase.ExplainStmt => Keep(portal, ExplainRows(portal.Statement, tree.ExplainStmt, portal.Parameters), "EXPLAIN"),
            Pg.Node.NodeOneofCase.ConstraintsSetStmt => "SET CONSTRAINTS",
            Pg.Node.NodeOneofCase.ListenStmt or Pg.Node.NodeOneofCase.NotifyStmt => throw NotOnAnyNode(CommandTags.Of(tree)),
            Pg.Node.NodeOneofCase.UnlistenStmt => "UNLISTEN",
            _ => null,
        };
        if (portal.Rows is not null)
        {
            return SendKept(portal, maxRows, sink);
        }

        if (tag is not null)
        {
            return new ExecuteResult(ExecuteOutcome.Complete, tag);
        }

        if (tree.NodeCase == Pg.Node.NodeOneofCase.ExecuteStmt)
        {
            return RunExecute(portal, tree.ExecuteStmt, maxRows, sink);
        }

        var commands = new CommandRunner(this, portal.Statement.Raw.Source, sink);
        return new ExecuteResult(ExecuteOutcome.Complete, commands.Run(tree));
    }

    private string Keep(Portal portal, (RowDescription Description, List<Datum[]> Rows) result, string tag)
    {
        (portal.Description, portal.Tag) = (result.Description, tag);
        result.Rows.ForEach(portal.KeepRows(_spill).Add);
        return tag;
    }

    private static RowDescription TextColumn(string name) => new([new ResultColumn(name, default, 0, new Oid(PgTypes.Text), -1, -1)]);

    /// <summary>The columns of a command's result; null when it has none.</summary>
    private RowDescription? DescribeUtility(Pg.Node tree)
    {
        switch (tree.NodeCase)
        {
            case Pg.Node.NodeOneofCase.VariableShowStmt:
                return ShowRows(tree.VariableShowStmt.Name).Description;
            case Pg.Node.NodeOneofCase.ExplainStmt:
                return TextColumn("QUERY PLAN");
            case Pg.Node.NodeOneofCase.ExecuteStmt:
                return _statements.GetValueOrDefault(tree.ExecuteStmt.Name)?.Description;
            case Pg.Node.NodeOneofCase.FetchStmt when !tree.FetchStmt.Ismove:
                return _portals.GetValueOrDefault(tree.FetchStmt.Portalname) is { } cursor ? cursor.Description ?? cursor.Statement.Description : null;
            default:
                return null;
        }
    }

    private string RunTransaction(Pg.TransactionStmt s)
    {
        switch (s.Kind)
        {
            case Pg.TransactionStmtKind.TransStmtBegin or Pg.TransactionStmtKind.TransStmtStart:
                BeginBlock(s);
                return s.Kind == Pg.TransactionStmtKind.TransStmtBegin ? "BEGIN" : "START TRANSACTION";
            case Pg.TransactionStmtKind.TransStmtCommit:
                return CommitBlock(s.Chain);
            case Pg.TransactionStmtKind.TransStmtRollback:
                return RollbackBlock(s.Chain);
            case Pg.TransactionStmtKind.TransStmtSavepoint:
                Savepoint(s.SavepointName);
                return "SAVEPOINT";
            case Pg.TransactionStmtKind.TransStmtRelease:
                ReleaseSavepoint(s.SavepointName);
                return "RELEASE";
            case Pg.TransactionStmtKind.TransStmtRollbackTo:
                RollbackToSavepoint(s.SavepointName);
                return "ROLLBACK";
            case Pg.TransactionStmtKind.TransStmtCommitPrepared:
                FinishPrepared(s.Gid, commit: true);
                return "COMMIT PREPARED";
            case Pg.TransactionStmtKind.TransStmtRollbackPrepared:
                FinishPrepared(s.Gid, commit: false);
                return "ROLLBACK PREPARED";
            default:
                throw NotOnAnyNode("PREPARE TRANSACTION");
        }
    }

    /// <summary>A reader refuses by PostgreSQL's error, the writer since it is not there.</summary>
    private PgException NotOnAnyNode(string command)
    {
        RequireWriter(command);
        return PgException.NotSupported(command);
    }

    /// <summary>An argument of SET or of an option, as text.</summary>
    internal static string SettingText(Pg.Node? node) => node?.NodeCase switch
    {
        Pg.Node.NodeOneofCase.AConst => node.AConst.ValCase switch
        {
            Pg.A_Const.ValOneofCase.Sval => node.AConst.Sval.Sval,
            Pg.A_Const.ValOneofCase.Fval => node.AConst.Fval.Fval,
            Pg.A_Const.ValOneofCase.Boolval => node.AConst.Boolval.Boolval ? "on" : "off",
            Pg.A_Const.ValOneofCase.Ival => node.AConst.Ival.Ival.ToString(CultureInfo.InvariantCulture),
            _ => "0",
        },
        Pg.Node.NodeOneofCase.String => node.String.Sval,
        Pg.Node.NodeOneofCase.Integer => node.Integer.Ival.ToString(CultureInfo.InvariantCulture),
        Pg.Node.NodeOneofCase.Float => node.Float.Fval,
        Pg.Node.NodeOneofCase.Boolean => node.Boolean.Boolval ? "on" : "off",
        Pg.Node.NodeOneofCase.TypeCast => SettingText(node.TypeCast.Arg),
        Pg.Node.NodeOneofCase.TypeName => node.TypeName.Names[^1].String.Sval,
        Pg.Node.NodeOneofCase.List => string.Join(", ", node.List.Items.Select(SettingText)),
        _ => "",
    };

    private string RunSet(Pg.VariableSetStmt s)
    {
        bool inBlock = _block is BlockState.Explicit or BlockState.Implicit;
        if (s.IsLocal && !inBlock)
        {
            SendNotice("WARNING", SqlStates.NoActiveSqlTransaction, "SET LOCAL can only be used in transaction blocks");
        }

        int depth = _savepoints.Count;
        switch (s.Kind)
        {
            case Pg.VariableSetKind.VarSetValue:
                // Lists (search_path, DateStyle) are joined; names among them are quoted when they need it.
                bool list = s.Name is "search_path" or "temp_tablespaces";
                string value = string.Join(", ", s.Args.Select(a => list ? TypeNames.Quote(SettingText(a)) : SettingText(a)));
                _settings.Set(s.Name, value, s.IsLocal, depth);
                return "SET";
            case Pg.VariableSetKind.VarSetDefault:
                _settings.Set(s.Name, null, s.IsLocal, depth);
                return "SET";
            case Pg.VariableSetKind.VarReset:
                _settings.Set(s.Name, null, false, depth);
                return "RESET";
            case Pg.VariableSetKind.VarResetAll:
                _settings.ResetAll(depth);
                return "RESET";
            case Pg.VariableSetKind.VarSetCurrent:
                _settings.Set(s.Name, _settings.Get(s.Name), s.IsLocal, depth);
                return "SET";
            default:
                return RunSetMulti(s);
        }
    }

    private string RunSetMulti(Pg.VariableSetStmt s)
    {
        switch (s.Name)
        {
            case "TRANSACTION":
                if (_block is not (BlockState.Explicit or BlockState.Implicit))
                {
                    SendNotice("WARNING", SqlStates.NoActiveSqlTransaction, "SET TRANSACTION can only be used in transaction blocks");
                }

                ApplyModes(s.Args);
                return "SET";
            case "SESSION CHARACTERISTICS":
                foreach (Pg.Node node in s.Args)
                {
                    string name = "default_" + node.DefElem.Defname;
                    string value = SettingText(node.DefElem.Arg);
                    _settings.Set(name, value is "1" ? "on" : value is "0" ? "off" : value, false, _savepoints.Count);
                }

                return "SET";
            default:
                throw PgException.NotSupported($"SET {s.Name}");
        }
    }

    private (RowDescription Description, List<Datum[]> Rows) ShowRows(string name)
    {
        if (name.Equals("all", StringComparison.OrdinalIgnoreCase))
        {
            var text = new Oid(PgTypes.Text);
            var description = new RowDescription([new("name", default, 0, text, -1, -1), new("setting", default, 0, text, -1, -1), new("description", default, 0, text, -1, -1)]);
            return (description, [.. _settings.All.Select(s => new[] { Datum.FromText(s.Name), Datum.FromText(GetSetting(s.Name) ?? ""), Datum.FromText("") })]);
        }

        string value = GetSetting(name) ?? throw new PgException(SqlStates.UndefinedObject, $"unrecognized configuration parameter \"{name}\"");
        return (TextColumn(SessionSettings.Find(name)?.Name ?? name), [[Datum.FromText(value)]]);
    }

    private string RunCheckpoint()
    {
        if (!_user.RolSuper)
        {
            throw new PgException(SqlStates.InsufficientPrivilege, "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT");
        }

        if (_node.IsReader || _node.Checkpoint is null)
        {
            throw new PgException(SqlStates.ReadOnlySqlTransaction, "cannot execute CHECKPOINT during recovery");
        }

        _node.Checkpoint();
        return "CHECKPOINT";
    }

    private string RunLock(Pg.LockStmt s)
    {
        var mode = (Transactions.Locks.LockMode)s.Mode;
        if (mode > Transactions.Locks.LockMode.RowExclusive)
        {
            RequireWriter("LOCK TABLE");
        }

        RequireBlock("LOCK TABLE");

        WithCatalog(catalog =>
        {
            var analyzer = new Analyzer(NewContext(catalog, new Parse.SourceText(""), [], false, null));
            foreach (Pg.Node node in s.Relations)
            {
                Catalog.Rows.PgClass row = analyzer.ResolveRelation(node.RangeVar);
                if (row.RelKind is not ('r' or 'p' or 'v'))
                {
                    throw new PgException(SqlStates.WrongObjectType, $"cannot lock relation \"{row.RelName}\"");
                }

                Transactions.Locks.LockTag tag = TagOf(catalog, row.Oid);
                if (!s.Nowait)
                {
                    _node.Engine.Locks.Acquire(Current, tag, mode);
                }
                else if (!_node.Engine.Locks.TryAcquire(Current, tag, mode))
                {
                    throw new PgException(SqlStates.LockNotAvailable, $"could not obtain lock on relation \"{row.RelName}\"");
                }
            }

            return true;
        });
        return "LOCK TABLE";
    }

    private string RunDiscard(Pg.DiscardStmt s)
    {
        if (s.Target == Pg.DiscardMode.DiscardAll)
        {
            RequireNoBlock("DISCARD ALL");
            CloseAllPortals();
            _settings.ResetAll(-1);
            _node.Engine.Locks.ReleaseAllForSession(_locks);
            _statements.Clear();
            _sequences?.Forget();
            return "DISCARD ALL";
        }

        if (s.Target == Pg.DiscardMode.DiscardSequences)
        {
            _sequences?.Forget();
        }

        foreach (PreparedStatement statement in _statements.Values)
        {
            statement.Plan = s.Target == Pg.DiscardMode.DiscardPlans ? null : statement.Plan;
        }

        return s.Target switch
        {
            Pg.DiscardMode.DiscardPlans => "DISCARD PLANS",
            Pg.DiscardMode.DiscardSequences => "DISCARD SEQUENCES",
            _ => "DISCARD TEMP",
        };
    }
}
