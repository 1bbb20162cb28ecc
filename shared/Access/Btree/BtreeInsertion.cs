using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>The state of one insertion: the entry, its key, where it stands. Kept for the next one.</summary>
internal sealed class BtreeInsertion(BtreeSchema schema)
{
    private readonly byte[] _item = new byte[Page.Size];

    public BtreeSearchKey Key { get; } = new(schema);
    public BtreeStack Stack { get; } = new();
    public Datum[] Values { get; } = new Datum[schema.ColumnCount];
    public int Size { get; private set; }
    public IndexTuple Item => new(_item.AsSpan(0, Size));
    public Tid RowTid { get; private set; }
    public Xid Xid { get; set; }

    /// <summary>The leaf, latched exclusively.</summary>
    public BtreeBuffer Leaf { get; set; }

    /// <summary>The bounds that a search of the leaf left: the first item at or after the key, and the first surely after it.</summary>
    public bool BoundsValid { get; set; }
    public int Low { get; private set; }
    public int StrictHigh { get; private set; }

    /// <summary>Where the new place falls into the posting list at the insertion's item; 0 is not, -1 into a list that is marked dead.</summary>
    public int PostingOffset { get; set; }

    public void Start(BtreeTuples tuples, ReadOnlySpan<Datum> values, Tid tid)
    {
        values[..Values.Length].CopyTo(Values);
        for (int i = 0; i < Values.Length; i++)
        {
            Values[i] = IndexValues.ForStorage(Values[i], schema.Desc[i]);
        }

        RowTid = tid;
        Size = tuples.FormLeaf(Values, tid, _item);
        Key.Count = schema.KeyCount;
        Key.NextKey = false;
        Key.PivotSearch = false;
        Key.AnyNulls = false;
        for (int i = 0; i < schema.KeyCount; i++)
        {
            Key.Parts[i] = new KeyPart(IndexValues.Plain(values[i]), null);
            Key.AnyNulls |= values[i].IsNull;
        }

        Key.HasTid = true;
        Key.RowTid = tid;
        BoundsValid = false;
        PostingOffset = 0;
    }

    /// <summary>Forgets the page, not the row: nothing is kept that was read from it.</summary>
    public void ForgetPage()
    {
        Leaf = default;
        BoundsValid = false;
        PostingOffset = 0;
    }

    /// <summary>
    /// Where on the leaf the key belongs; uses and renews the bounds, and notes a posting list that the new place falls into (_bt_binsrch_insert).
    /// </summary>
    public int Find()
    {
        Page page = Leaf.Page;
        ref BtreeOpaque opaque = ref Leaf.Opaque;
        int low = BoundsValid ? Low : opaque.FirstDataItem;
        int high = BoundsValid ? StrictHigh : page.ItemCount + 1;
        if (!BoundsValid && high <= low)
        {
            return low;
        }

        int strictHigh = high;
        while (high > low)
        {
            int middle = low + ((high - low) / 2);
            int order = Key.CompareTo(page, opaque, middle);
            if (order > 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
                strictHigh = order != 0 ? high : strictHigh;
            }

            if (order == 0 && Key.HasTid)
            {
                if (PostingOffset != 0)
                {
                    throw BtreePages.Corrupted(
                        $"table tid from new index tuple {RowTid} cannot find insert offset between offsets {low} and {strictHigh} of block {Leaf.Block} in index \"{schema.Name}\"");
                }

                PostingOffset = FindInPosting(page, middle);
            }
        }

        Low = low;
        StrictHigh = strictHigh;
        BoundsValid = true;
        return low;
    }

    private int FindInPosting(Page page, int number)
    {
        IndexTuple tuple = BtreePage.Tuple(page, number);
        if (!tuple.IsPosting)
        {
            return 0;
        }

        if (page.Item(number).IsDead)
        {
            return -1;
        }

        int low = 0;
        int high = tuple.PostingCount;
        while (high > low)
        {
            int middle = low + ((high - low) / 2);
            int order = RowTid.CompareTo(tuple.PostingTid(middle));
            if (order == 0)
            {
                return middle;
            }

            if (order > 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
