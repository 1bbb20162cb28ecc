using SharedStorage.Primitives;

namespace SharedStorage.Transactions;

/// <summary>
/// Pairs of commands that inserted and deleted the same row in one transaction (PostgreSQL's combocid.c): the row has room for one number, so it gets the
/// pair's. Known to this transaction only; nobody else asks for the commands of its rows.
/// </summary>
internal sealed class ComboCommands
{
    private readonly Dictionary<(uint Min, uint Max), uint> _numbers = [];
    private readonly List<(uint Min, uint Max)> _pairs = [];

    internal CommandId Get(CommandId min, CommandId max)
    {
        if (!_numbers.TryGetValue((min.Value, max.Value), out uint number))
        {
            number = (uint)_pairs.Count;
            _pairs.Add((min.Value, max.Value));
            _numbers.Add((min.Value, max.Value), number);
        }

        return new CommandId(number);
    }

    internal CommandId Min(CommandId combo) => new(_pairs[(int)combo.Value].Min);
    internal CommandId Max(CommandId combo) => new(_pairs[(int)combo.Value].Max);
}
