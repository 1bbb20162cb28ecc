using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Dml;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Nodes;

namespace SharedStorage.Sql.Plan;

/// <summary>INSERT, UPDATE, DELETE over the plan of their rows.</summary>
internal sealed class ModifyPlan(Query query, PlanNode input, IReadOnlyList<Expr> recheck) : RowPlan
{
    public Query Query { get; } = query;
    public override string Title => $"{Query.Kind} on {Query.Entry(Query.ResultEntry).Alias}";
    public override IReadOnlyList<PlanNode> Inputs => [input];

    public override RowNode BuildRows(PlanBuilder b)
    {
        ExecNode node = input.Build(b);
        Env env = b.EnvOf(node);
        Access.Relation table = Query.Entry(Query.ResultEntry).Relation!;
        var writer = new TableWriter(b.Context, b.Compiler, table);
        var newRow = new Slot();
        Evaluator?[] values = [.. Query.NewValues.Select(v => v is null ? null : b.Compiler.Compile(v, env))];
        ModifyNode result;
        if (Query.Kind == QueryKind.Insert)
        {
            result = new InsertNode(b.Context, node, writer, [.. values.Select(v => v!)], newRow);
        }
        else
        {
            SlotRef place = env.Require(Query.ResultEntry, SystemColumn.PackedTid);
            var columns = new SlotRef?[table.Desc.Count];
            for (int i = 0; i < columns.Length; i++)
            {
                columns[i] = env.Find(new VarExpr(Query.ResultEntry, (short)(i + 1), default, -1, 0));
            }

            var target = new TargetRow(place, columns);
            Func<bool> repeatable = () => b.Compiler.IsRepeatableRead();
            bool key = Enumerable.Range(0, values.Length).Any(i => values[i] is not null && writer.KeyColumns.Contains(i + 1));
            ChangeNode change = Query.Kind == QueryKind.Update
                ? new UpdateNode(b.Context, node, writer, target, values, newRow, key, repeatable)
                : new DeleteNode(b.Context, node, writer, target, newRow, repeatable);
            change.Recheck = b.Compiler.CompileAnd(recheck, env);
            result = change;
        }

        if (Query.Returning is { } returning)
        {
            // Columns of the changed table are those of its new row (DELETE: the old one).
            Env after = b.EnvOf(node);
            for (int i = 0; i < table.Desc.Count; i++)
            {
                after.Add(Query.ResultEntry, (short)(i + 1), new SlotRef(newRow, i));
            }

            result.Returning = b.Compiler.CompileAll([.. returning.Select(t => t.Expr)], after);
        }

        return result;
    }
}

public sealed partial class Planner
{
    /// <summary>A plan of any statement that <see cref="Analyzer.Analyze"/> gives.</summary>
    public RowPlan Plan(Query query) => query.Kind == QueryKind.Select ? PlanSelect(query) : PlanModify(query);

    private ModifyPlan PlanModify(Query query)
    {
        if (query.Entries.Count > 62)
        {
            throw PgException.NotSupported("a query level with more than 62 tables");
        }

        var level = new LevelPlanner(this, query);
        RangeEntry target = query.Entry(query.ResultEntry);
        if (query.Kind != QueryKind.Insert)
        {
            level.Usage.Add(query.ResultEntry, SystemColumn.PackedTid);
            for (int i = 0; i < target.Columns.Count; i++)
            {
                if (!target.Columns[i].Dropped)
                {
                    level.Usage.Add(query.ResultEntry, (short)(i + 1));
                }
            }
        }

        PlanNode input = level.PlanFrom([], false, out _);
        return new ModifyPlan(query, input, level.RecheckConditions) { Rows = input.Rows, Cost = input.Cost };
    }
}
