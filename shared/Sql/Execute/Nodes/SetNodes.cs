namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>UNION ALL: one input after the other.</summary>
public sealed class AppendNode(RowNode[] inputs) : RowNode
{
    private int _current;

    public override void Open()
    {
        _current = 0;
        inputs[0].Open();
    }

    public override bool Next()
    {
        while (_current < inputs.Length)
        {
            if (inputs[_current].Next())
            {
                Output.Values = inputs[_current].Output.Values;
                return true;
            }

            inputs[_current].Close();
            if (++_current < inputs.Length)
            {
                inputs[_current].Open();
            }
        }

        return false;
    }

    public override void Close()
    {
        foreach (RowNode input in inputs)
        {
            input.Close();
        }
    }
}
