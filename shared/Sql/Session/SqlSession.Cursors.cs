using System.Globalization;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Parse;
using SharedStorage.Sql.Plan;
using Pg = PgQuery;

namespace SharedStorage.Sql.Session;

/// <summary>PREPARE, EXECUTE, cursors, EXPLAIN (prepare.c, portalcmds.c).</summary>
public sealed partial class SqlSession
{
    private const int OptionNoScroll = 0x0004, OptionHold = 0x0020;

    private string RunPrepare(PreparedStatement outer, Pg.PrepareStmt s)
    {
        if (_statements.ContainsKey(s.Name))
        {
            throw new PgException(SqlStates.DuplicatePreparedStatement, $"prepared statement \"{s.Name}\" already exists");
        }

        var raw = new RawStatement(outer.Raw!.Source, s.Query, 0, 0);
        var statement = new PreparedStatement(s.Name, raw, outer.Text) { FromSql = true };
        if (!statement.IsQuery)
        {
            throw PgException.NotSupported("PREPARE of a command");
        }

        List<Oid> types = WithCatalog(catalog =>
        {
            var analyzer = new Analyzer(NewContext(catalog, raw.Source, [], false, null));
            return s.Argtypes.Select(a => analyzer.ResolveType(a.TypeName).Type).ToList();
        });
        AnalyzePrepared(statement, types);
        _statements[s.Name] = statement;
        return "PREPARE";
    }

    private string RunDeallocate(Pg.DeallocateStmt s)
    {
        if (s.Name.Length == 0)
        {
            _statements.Clear();
            return "DEALLOCATE ALL";
        }

        FindStatement(s.Name);
        _statements.Remove(s.Name);
        return "DEALLOCATE";
    }

    private ExecuteResult RunExecute(Portal portal, Pg.ExecuteStmt s, long maxRows, IResultSink sink)
    {
        PreparedStatement statement = FindStatement(s.Name);
        if (s.Params.Count != statement.ParameterTypes.Length)
        {
            throw new PgException(SqlStates.SyntaxError, $"wrong number of parameters for prepared statement \"{s.Name}\"")
            {
                Detail = $"Expected {statement.ParameterTypes.Length} parameters but got {s.Params.Count}.",
            };
        }

        Datum[] values = s.Params.Count == 0 ? [] : EvaluateArguments(portal, s, statement);
        var inner = new Portal("", statement) { Parameters = values, Formats = portal.Formats, Depth = _savepoints.Count };
        try
        {
            // Rows beyond a limit of the wire protocol are rare here: the whole result is sent.
            _ = maxRows;
            return Run(inner, 0, sink);
        }
        finally
        {
            EndPortal(inner);
            inner.ForgetRows();
        }
    }

    private Datum[] EvaluateArguments(Portal portal, Pg.ExecuteStmt s, PreparedStatement statement) => WithCatalog(catalog =>
    {
        var analyzer = new Analyzer(NewContext(catalog, portal.Statement.Raw!.Source, [], false, null));
        var values = new Datum[s.Params.Count];
        for (int i = 0; i < values.Length; i++)
        {
            Expr e = analyzer.AnalyzeStandalone(s.Params[i], statement.ParameterTypes[i], -1, $"${i + 1}");
            values[i] = EvaluateNow(e);
        }

        return values;
    });

    /// <summary>The value of an expression without columns.</summary>
    internal Datum EvaluateNow(Expr e)
    {
        var context = new ExecContext(_node.Engine, _eval, _cancel, _spill) { Catalog = CurrentCatalog!, Transaction = Current };
        return NewCompiler(context).Compile(e, new Env(null, null)).Eval();
    }

    private string RunDeclare(PreparedStatement outer, Datum[] parameters, Pg.DeclareCursorStmt s)
    {
        bool hold = (s.Options & OptionHold) != 0;
        if (!hold)
        {
            RequireBlock("DECLARE CURSOR");
        }

        if (s.Portalname.Length == 0)
        {
            throw new PgException(SqlStates.InvalidCursorName, "invalid cursor name: must not be empty");
        }

        if (_portals.ContainsKey(s.Portalname))
        {
            throw new PgException(SqlStates.DuplicateCursor, $"cursor \"{s.Portalname}\" already exists");
        }

        var raw = new RawStatement(outer.Raw!.Source, s.Query, 0, 0);
        var statement = new PreparedStatement("", raw, outer.Text) { ParameterTypes = outer.ParameterTypes };
        var cursor = new Portal(s.Portalname, statement)
        {
            Parameters = parameters,
            IsCursor = true,
            CanScroll = (s.Options & OptionNoScroll) == 0,
            WithHold = hold,
            Depth = _savepoints.Count,
        };
        try
        {
            Open(cursor);
            cursor.Description = cursor.Plan!.Description;
            statement.Description = cursor.Description;
            cursor.KeepRows(_spill);
            if (hold)
            {
                ReadTo(cursor, long.MaxValue);
            }
        }
        catch
        {
            EndPortal(cursor);
            cursor.ForgetRows();
            throw;
        }

        _portals[s.Portalname] = cursor;
        return "DECLARE CURSOR";
    }

    private string RunFetch(Portal portal, Pg.FetchStmt s)
    {
        Portal cursor = _portals.GetValueOrDefault(s.Portalname) ?? throw new PgException(SqlStates.InvalidCursorName, $"cursor \"{s.Portalname}\" does not exist");
        if (s.Ismove)
        {
            return string.Create(CultureInfo.InvariantCulture, $"MOVE {FetchRows(cursor, s, null)}");
        }

        portal.Description = cursor.Description ?? cursor.Statement.Description;
        portal.Tag = string.Create(CultureInfo.InvariantCulture, $"FETCH {FetchRows(cursor, s, portal.KeepRows(_spill))}");
        return portal.Tag;
    }

    /// <summary>Reads on until so many rows are kept, or the end.</summary>
    private static void ReadTo(Portal cursor, long rows)
    {
        if (cursor.Executor is not { } executor)
        {
            return;
        }

        int columns = cursor.Description!.Count;
        while (!cursor.AtEnd && cursor.Rows!.Count < rows)
        {
            if (!executor.Root.Next())
            {
                cursor.AtEnd = true;
                EndPortal(cursor);
                break;
            }

            cursor.Rows.Add(executor.Root.Output.Values.AsSpan(0, columns).ToArray());
        }
    }

    // Position p: the current row is p, counted from 1; 0 is before the first, the number of rows and one is after the last.
    private static long FetchRows(Portal cursor, Pg.FetchStmt s, RowStore? into)
    {
        RowStore all = cursor.Rows!;
        bool one = s.Direction is Pg.FetchDirection.FetchAbsolute or Pg.FetchDirection.FetchRelative;
        long position = cursor.Position;
        bool backward = s.Direction switch
        {
            Pg.FetchDirection.FetchBackward => s.HowMany > 0,
            Pg.FetchDirection.FetchForward => s.HowMany < 0,
            Pg.FetchDirection.FetchRelative => s.HowMany < 0,
            _ => s.HowMany < 0 || s.HowMany < position,
        };
        if (backward && !cursor.CanScroll)
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "cursor can only scan forward") { Hint = "Declare it with SCROLL option to enable backward scan." };
        }

        long count = Math.Abs(s.HowMany == long.MinValue ? long.MaxValue : s.HowMany);
        if (one || count == 0)
        {
            long target = s.Direction == Pg.FetchDirection.FetchAbsolute && count != 0 && s.HowMany > 0 ? s.HowMany : position + s.HowMany;
            if (s.Direction == Pg.FetchDirection.FetchAbsolute && s.HowMany <= 0)
            {
                ReadTo(cursor, long.MaxValue);
                target = s.HowMany == 0 ? 0 : all.Count + 1 + s.HowMany;
            }

            ReadTo(cursor, target);
            cursor.Position = Math.Clamp(target, 0, all.Count + 1L);
            if (cursor.Position < 1 || cursor.Position > all.Count)
            {
                return 0;
            }

            into?.Add(cursor.Reader[cursor.Position - 1]);
            return 1;
        }

        long rows = 0;
        while (rows < count)
        {
            if (!backward)
            {
                ReadTo(cursor, cursor.Position + 1);
            }

            cursor.Position = Math.Clamp(cursor.Position + (backward ? -1 : 1), 0, all.Count + 1L);
            if (cursor.Position < 1 || cursor.Position > all.Count)
            {
                break;
            }

            into?.Add(cursor.Reader[cursor.Position - 1]);
            rows++;
        }

        return rows;
    }

    private string RunClose(Pg.ClosePortalStmt s)
    {
        if (s.Portalname.Length == 0)
        {
            foreach (Portal p in _portals.Values.Where(p => p.IsCursor).ToArray())
            {
                ClosePortal(p.Name);
            }

            return "CLOSE CURSOR ALL";
        }

        if (!_portals.ContainsKey(s.Portalname))
        {
            throw new PgException(SqlStates.InvalidCursorName, $"cursor \"{s.Portalname}\" does not exist");
        }

        ClosePortal(s.Portalname);
        return "CLOSE CURSOR";
    }

    private (RowDescription Description, List<Datum[]> Rows) ExplainRows(PreparedStatement outer, Pg.ExplainStmt s, Datum[] parameters)
    {
        bool analyze = s.Options.Any(o => o.DefElem.Defname == "analyze" && SettingText(o.DefElem.Arg) is "" or "on" or "true" or "1");
        if (analyze)
        {
            throw PgException.NotSupported("EXPLAIN ANALYZE");
        }

        if (!Analyzer.IsQuery(s.Query))
        {
            throw PgException.NotSupported("EXPLAIN of a command");
        }

        _ = parameters;
        CachedPlan plan = MakePlan(s.Query, outer.Raw!.Source, [.. outer.ParameterTypes], false);
        bool costs = !s.Options.Any(o => o.DefElem.Defname == "costs" && SettingText(o.DefElem.Arg) is "off" or "false" or "0");
        var lines = new List<string>();
        Describe(plan.Plan, 0, lines, costs);
        return (TextColumn("QUERY PLAN"), [.. lines.Select(l => new[] { Datum.FromText(l) })]);
    }

    private static void Describe(PlanNode node, int depth, List<string> lines, bool costs)
    {
        string indent = depth == 0 ? "" : new string(' ', (depth * 6) - 4) + "->  ";
        string estimate = costs ? string.Create(CultureInfo.InvariantCulture, $"  (cost={node.Cost:F2} rows={Math.Round(node.Rows)})") : "";
        lines.Add(indent + node.Title + estimate);
        string detail = new(' ', (depth * 6) + 2);
        lines.AddRange(node.Details.Select(d => detail + d));
        foreach (PlanNode input in node.Inputs)
        {
            Describe(input, depth + 1, lines, costs);
        }
    }
}
