using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Whether a table's rows can be longer than a quarter of a page, so that it needs a TOAST table (heapam_relation_needs_toast_table).</summary>
internal static class ToastNeed
{
    /// <summary>TOAST_TUPLE_THRESHOLD: four rows to a page.</summary>
    private const int Threshold = 2032;

    private const int MaxUtf8Bytes = 4;

    public static bool NeedsToast(TupleDesc desc)
    {
        int length = 0;
        bool unlimited = false, toastable = false;
        foreach (TupleAttribute a in desc.Attributes)
        {
            if (a.IsDropped)
            {
                continue;
            }

            length = (length + a.Alignment - 1) & -a.Alignment;
            if (a.Length > 0)
            {
                length += a.Length;
                continue;
            }

            int most = MaximumSize(a);
            unlimited |= most < 0;
            length += Math.Max(most, 0);
            toastable |= a.Storage != 'p';
        }

        return toastable
            && (unlimited || Page.AlignUp(HeapTupleHeader.Size + ((desc.Count + 7) / 8)) + Page.AlignUp(length) > Threshold);
    }

    /// <summary>The most bytes that a value can have by its type modifier, header included; -1 is unknown (type_maximum_size).</summary>
    private static int MaximumSize(TupleAttribute a) => a.TypeModifier < 0 ? -1 : a.TypeId.Value switch
    {
        PgTypes.BpChar or PgTypes.VarChar => ((a.TypeModifier - 4) * MaxUtf8Bytes) + 4,
        PgTypes.Numeric => NumericMaximumSize(a.TypeModifier),
        PgTypes.Bit or PgTypes.VarBit => ((a.TypeModifier + 7) / 8) + 8,
        _ => -1,
    };

    private static int NumericMaximumSize(int modifier)
    {
        // Four decimal digits to a word; a word at each end may be used in part.
        int precision = ((modifier - 4) >> 16) & 0xFFFF;
        int words = (precision + 6) / 4;
        return 8 + (words * 2);
    }
}
