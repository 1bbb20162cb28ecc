using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>A position that one thread moves forward and many read: applied, consistent. Reads acquire, writes release.</summary>
public sealed class LsnCell(Lsn value = default)
{
    private ulong _value = value.Value;

    public Lsn Value => new(Volatile.Read(ref _value));

    /// <summary>Moves forward; a position at or below the present one changes nothing. By one thread at a time.</summary>
    public void Advance(Lsn to)
    {
        if (to.Value > _value)
        {
            Volatile.Write(ref _value, to.Value);
        }
    }

    /// <summary>Sets it whatever it was: a node that discards its state and joins anew.</summary>
    public void Reset(Lsn to) => Volatile.Write(ref _value, to.Value);
}
