using SharedStorage.Sql.Execute.Expressions;

namespace SharedStorage.Sql.Execute;

/// <summary>
/// A node of an executor tree, pulled row by row. <see cref="Open"/> starts it, or starts it again; a tree is kept between executions of its plan.
/// The current row lies in slots that <see cref="Publish"/> makes known.
/// </summary>
public abstract class ExecNode
{
    public abstract void Open();
    public abstract bool Next();

    /// <summary>Ends scans and forgets rows; the node may be opened again.</summary>
    public virtual void Close()
    {
    }

    /// <summary>Tells where the columns of the current row lie.</summary>
    public abstract void Publish(Env env);

    /// <summary>Makes all columns null: the row of an outer join without partner.</summary>
    public abstract void NullExtend();
}

/// <summary>A node whose row is one array: a projection or anything above it. Column i is at i.</summary>
public abstract class RowNode : ExecNode
{
    public Slot Output { get; } = new();

    /// <summary>Columns are known by their place only, to the node above.</summary>
    public override void Publish(Env env)
    {
    }

    public override void NullExtend() => throw new NotSupportedException("a projection is not an input of an outer join");
}

/// <summary>Makes an executor tree of a plan.</summary>
public sealed record PlanBuilder(ExecContext Context, ExprCompiler Compiler, Env? Parent, Env? Lateral)
{
    public Env NewEnv() => new(Parent, Lateral);

    public Env EnvOf(params ReadOnlySpan<ExecNode> inputs)
    {
        Env env = NewEnv();
        foreach (ExecNode input in inputs)
        {
            input.Publish(env);
        }

        return env;
    }
}
