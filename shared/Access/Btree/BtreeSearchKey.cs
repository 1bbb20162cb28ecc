using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>
/// What a descent looks for: values of the first columns, and of an entry to be inserted its row's place as the last key part (PostgreSQL's
/// BTScanInsert). Reused: fields are set anew for each search.
/// </summary>
internal sealed class BtreeSearchKey(BtreeSchema schema)
{
    public BtreeSchema Schema { get; } = schema;
    public KeyPart[] Parts { get; } = new KeyPart[schema.KeyCount];
    public int Count { get; set; }

    /// <summary>False: find the first entry at or after the key; true: the first after it.</summary>
    public bool NextKey { get; set; }

    /// <summary>The key is a pivot's own: an equal pivot whose place was cut off is a match, not less.</summary>
    public bool PivotSearch { get; set; }

    public bool HasTid { get; set; }
    public Tid RowTid { get; set; }
    public bool AnyNulls { get; set; }

    /// <summary>The order of this key against an item: below 0 the key comes first. Columns cut off a pivot are minus infinity (_bt_compare).</summary>
    public int CompareTo(Page page, in BtreeOpaque opaque, int number)
    {
        // The first child of an inner page has no lower bound.
        if (!opaque.IsLeaf && number == opaque.FirstDataItem)
        {
            return 1;
        }

        IndexTuple tuple = BtreePage.Tuple(page, number);
        bool pivot = tuple.IsPivot;
        int columns = pivot ? tuple.PivotColumns : Schema.KeyCount;
        int compared = Math.Min(columns, Count);
        for (int i = 0; i < compared; i++)
        {
            int order = Schema.CompareKeyToColumn(i, tuple, Parts[i]);
            if (order != 0)
            {
                return order;
            }
        }

        if (Count > columns)
        {
            return 1;
        }

        bool hasTid = tuple.TryGetHeapTid(out Tid tid);
        if (!HasTid)
        {
            // A key that ends where the pivot was cut: all rows with such a key lie right of the pivot.
            return !PivotSearch && !hasTid && Count == columns ? 1 : 0;
        }

        if (!hasTid)
        {
            return 1;
        }

        int place = RowTid.CompareTo(tid);
        if (place <= 0 || !tuple.IsPosting)
        {
            return place;
        }

        // A place within a posting list is equal to it: the list must be split for it.
        return RowTid.CompareTo(tuple.MaxHeapTid) > 0 ? 1 : 0;
    }

    /// <summary>The first item at or after the key (after it, with <see cref="NextKey"/>), perhaps one past the last; on an inner page the item before that.</summary>
    public int Find(Page page, in BtreeOpaque opaque)
    {
        int low = opaque.FirstDataItem;
        int high = page.ItemCount + 1;
        if (high <= low)
        {
            return low;
        }

        int bound = NextKey ? 0 : 1;
        while (high > low)
        {
            int middle = low + ((high - low) / 2);
            if (CompareTo(page, opaque, middle) >= bound)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return opaque.IsLeaf ? low : low - 1;
    }
}
