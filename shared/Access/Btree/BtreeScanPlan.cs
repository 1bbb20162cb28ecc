using SharedStorage.Format.Index;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>
/// What the keys of a scan mean for its course: where it begins, which items match, and when no later item can match (PostgreSQL's _bt_preprocess_keys,
/// _bt_first and _bt_checkkeys).
/// </summary>
internal sealed class BtreeScanPlan
{
    private readonly record struct Test(int Column, BtreeStrategy Strategy, KeyPart Part, bool EndsForward, bool EndsBackward, bool NullEndsForward, bool NullEndsBackward);

    private readonly BtreeSchema _schema;
    private readonly bool _backward;
    private readonly List<Test> _tests = [];

    public BtreeScanPlan(BtreeSchema schema, IReadOnlyList<BtreeScanKey> keys, bool backward)
    {
        _schema = schema;
        _backward = backward;
        Start = new BtreeSearchKey(schema);
        var sorted = new List<BtreeScanKey>(keys.Count);
        for (int column = 0; column < schema.KeyCount; column++)
        {
            foreach (BtreeScanKey key in keys)
            {
                if (key.Column == column)
                {
                    sorted.Add(key);
                }
            }
        }

        if (sorted.Count != keys.Count)
        {
            throw new ArgumentException("a scan key is for no key column of the index", nameof(keys));
        }

        Prepare(sorted);
        Position(sorted);
    }

    /// <summary>False: a key compares with null, so nothing matches.</summary>
    public bool CanMatch { get; private set; } = true;

    /// <summary>Where the scan begins; without parts it begins at the index's end.</summary>
    public BtreeSearchKey Start { get; }

    /// <summary>The scan begins at the item before the one found.</summary>
    public bool GoBack { get; private set; }

    /// <summary>
    /// Whether the item matches. <paramref name="goesOn"/>: whether items behind it, in the scan's direction, may match. Columns that were cut off (of a high
    /// key) count as matching.
    /// </summary>
    public bool Matches(IndexTuple tuple, int columns, out bool goesOn)
    {
        goesOn = true;
        foreach (ref readonly Test test in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_tests))
        {
            if (test.Column >= columns)
            {
                continue;
            }

            bool isNull = tuple.IsNull(test.Column);
            if (test.Strategy is BtreeStrategy.IsNull or BtreeStrategy.IsNotNull)
            {
                if (isNull == (test.Strategy == BtreeStrategy.IsNull))
                {
                    continue;
                }

                goesOn = !(_backward ? test.EndsBackward : test.EndsForward);
                return false;
            }

            if (isNull)
            {
                goesOn = !(_backward ? test.NullEndsBackward : test.NullEndsForward);
                return false;
            }

            int order = _schema.CompareNotNull(test.Column, tuple, test.Part);
            bool holds = test.Strategy switch
            {
                BtreeStrategy.Less => order < 0,
                BtreeStrategy.LessOrEqual => order <= 0,
                BtreeStrategy.Equal => order == 0,
                BtreeStrategy.GreaterOrEqual => order >= 0,
                _ => order > 0,
            };
            if (!holds)
            {
                goesOn = !(_backward ? test.EndsBackward : test.EndsForward);
                return false;
            }
        }

        return true;
    }

    /// <summary>The strategy as the index's order sees it: a descending column turns it round.</summary>
    private BtreeStrategy InIndexOrder(in BtreeScanKey key)
    {
        KeyColumn column = _schema.Columns[key.Column];
        return key.Strategy switch
        {
            BtreeStrategy.IsNull => BtreeStrategy.Equal,
            BtreeStrategy.IsNotNull => column.NullsFirst ? BtreeStrategy.Greater : BtreeStrategy.Less,
            BtreeStrategy.Equal => BtreeStrategy.Equal,
            _ when column.Descending => (BtreeStrategy)(6 - (int)key.Strategy),
            _ => key.Strategy,
        };
    }

    /// <summary>
    /// A test ends the scan when it fails for good: all columns before its own are bound to one value each, and it bounds the side that the scan moves to.
    /// </summary>
    private void Prepare(List<BtreeScanKey> keys)
    {
        int bound = 0;
        foreach (BtreeScanKey key in keys)
        {
            bool nullTest = key.Strategy is BtreeStrategy.IsNull or BtreeStrategy.IsNotNull;
            CanMatch &= nullTest || !key.Value.IsNull;
            bool required = key.Column <= bound;
            BtreeStrategy strategy = InIndexOrder(key);
            bool nullsFirst = _schema.Columns[key.Column].NullsFirst;
            _tests.Add(new Test(
                key.Column,
                key.Strategy,
                new KeyPart(nullTest ? Datum.Null : key.Value, key.Compare),
                required && strategy <= BtreeStrategy.Equal,
                required && strategy >= BtreeStrategy.Equal,
                required && !nullsFirst,
                required && nullsFirst));
            if (required && strategy == BtreeStrategy.Equal && key.Column == bound)
            {
                // Further tests of this column are still required: their column equals the old bound.
                bound++;
            }
        }
    }

    private void Position(List<BtreeScanKey> keys)
    {
        BtreeStrategy total = BtreeStrategy.Equal;
        BtreeStrategy strict = _backward ? BtreeStrategy.Less : BtreeStrategy.Greater;
        for (int column = 0; column < _schema.KeyCount; column++)
        {
            if (!TryChoose(keys, column, strict, out KeyPart part, out BtreeStrategy strategy))
            {
                break;
            }

            Start.Parts[Start.Count++] = part;
            if (strategy != BtreeStrategy.Equal)
            {
                total = strategy;
                if (strategy == strict)
                {
                    break;
                }
            }
        }

        Start.NextKey = _backward ? total != BtreeStrategy.Less : total == BtreeStrategy.Greater;
        GoBack = _backward;
    }

    /// <summary>The key of a column that bounds the side where the scan begins: an equality if there is one, else the tightest bound, else the end of the nulls.</summary>
    private bool TryChoose(List<BtreeScanKey> keys, int column, BtreeStrategy strict, out KeyPart part, out BtreeStrategy strategy)
    {
        part = default;
        strategy = 0;
        bool found = false;
        bool impliesNotNull = false;
        foreach (BtreeScanKey key in keys)
        {
            if (key.Column != column)
            {
                continue;
            }

            BtreeStrategy s = InIndexOrder(key);
            impliesNotNull |= key.Strategy != BtreeStrategy.IsNull;
            if (s == BtreeStrategy.Equal)
            {
                part = new KeyPart(key.Strategy == BtreeStrategy.IsNull ? Datum.Null : key.Value, key.Compare);
                strategy = s;
                return true;
            }

            bool bounds = _backward ? s < BtreeStrategy.Equal : s > BtreeStrategy.Equal;
            if (!bounds || key.Strategy == BtreeStrategy.IsNotNull || (found && !IsTighter(key, s, part, strategy, strict)))
            {
                continue;
            }

            part = new KeyPart(key.Value, key.Compare);
            strategy = s;
            found = true;
        }

        if (!found && impliesNotNull && _schema.Columns[column].NullsFirst != _backward)
        {
            part = new KeyPart(Datum.Null, null);
            strategy = strict;
            found = true;
        }

        return found;
    }

    private bool IsTighter(in BtreeScanKey key, BtreeStrategy s, in KeyPart than, BtreeStrategy thanStrategy, BtreeStrategy strict)
    {
        if (key.Compare is not null || than.Compare is not null || key.Value.IsNull || than.Value.IsNull)
        {
            return false;
        }

        int order = _schema.CompareValue(key.Column, key.Value, than.Value);
        return _backward ? order < 0 || (order == 0 && s == strict) : order > 0 || (order == 0 && s == strict && thanStrategy != strict);
    }
}
