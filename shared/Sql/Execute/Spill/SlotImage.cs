using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>
/// The current row of a node, wherever its columns lie: taken as one array, and put back later into the same slots, where the expressions above look for it. For rows that
/// wait in a file and then go the way that they would have gone.
/// </summary>
internal sealed class SlotImage
{
    private readonly (Slot Slot, int Width)[] _slots;
    private readonly Datum[][] _own, _restored;
    private readonly int _width;
    private bool _replaced;

    public SlotImage(Env columns)
    {
        _slots = [.. columns.Places.GroupBy(p => p.Slot).Select(g => (g.Key, g.Max(p => p.Index) + 1))];
        _own = new Datum[_slots.Length][];
        _restored = [.. _slots.Select(s => new Datum[s.Width])];
        _width = _slots.Sum(s => s.Width);
    }

    /// <summary>The row behind so many free places.</summary>
    public Datum[] Take(int free)
    {
        var row = new Datum[free + _width];
        int at = free;
        foreach ((Slot slot, int width) in _slots)
        {
            slot.Values.AsSpan(0, width).CopyTo(row.AsSpan(at));
            at += width;
        }

        return row;
    }

    public void PutBack(Datum[] row, int free)
    {
        int at = free;
        for (int i = 0; i < _slots.Length; i++)
        {
            if (!_replaced)
            {
                _own[i] = _slots[i].Slot.Values;
            }

            row.AsSpan(at, _slots[i].Width).CopyTo(_restored[i]);
            _slots[i].Slot.Values = _restored[i];
            at += _slots[i].Width;
        }

        _replaced = true;
    }

    /// <summary>Gives the slots their own arrays back: some nodes never set them again.</summary>
    public void End()
    {
        for (int i = 0; _replaced && i < _slots.Length; i++)
        {
            _slots[i].Slot.Values = _own[i];
        }

        _replaced = false;
    }
}
