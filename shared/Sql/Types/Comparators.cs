using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Types;

/// <summary>The orders of btree operator classes, by pg_proc.prosrc of support function 1; cross-type ones too.</summary>
public static partial class Comparators
{
    /// <summary>The order, or null when it is not implemented.</summary>
    public static Comparison<Datum>? Find(string supportFunction, Collation? collation)
    {
        Collation text = collation ?? Collation.C;
        return supportFunction switch
        {
            "bttextcmp" => text.IsC ? CompareBytes : (a, b) => text.Compare(a.Bytes, b.Bytes),
            "bpcharcmp" => text.IsC ? CompareBpCharC : (a, b) => text.Compare(TrimBlanks(a.Bytes), TrimBlanks(b.Bytes)),
            "bttext_pattern_cmp" => CompareBytes,
            "btbpchar_pattern_cmp" => CompareBpCharC,
            "btnamecmp" => text.IsC ? CompareNameC : (a, b) => text.Compare(NameBytes(a), NameBytes(b)),
            "btnametextcmp" => (a, b) => text.Compare(NameBytes(a), b.Bytes),
            "bttextnamecmp" => (a, b) => text.Compare(a.Bytes, NameBytes(b)),
            _ => FindFixed(supportFunction),
        };
    }

    public static ReadOnlySpan<byte> TrimBlanks(ReadOnlySpan<byte> text) => text.TrimEnd((byte)' ');

    public static ReadOnlySpan<byte> NameBytes(Datum name)
    {
        ReadOnlySpan<byte> bytes = name.Bytes;
        int end = bytes.IndexOf((byte)0);
        return end < 0 ? bytes : bytes[..end];
    }

    private static Comparison<Datum>? FindFixed(string supportFunction) => supportFunction switch
    {
        "btint2cmp" or "btint4cmp" or "btint8cmp" or "btint24cmp" or "btint42cmp" or "btint28cmp" or "btint82cmp" or "btint48cmp" or "btint84cmp"
            => static (a, b) => a.Bits.CompareTo(b.Bits),
        "date_cmp" or "time_cmp" or "timestamp_cmp" or "btboolcmp" => static (a, b) => a.Bits.CompareTo(b.Bits),
        "btoidcmp" => static (a, b) => a.UInt32.CompareTo(b.UInt32),
        "btcharcmp" => static (a, b) => ((byte)a.Bits).CompareTo((byte)b.Bits),
        "pg_lsn_cmp" or "xid8cmp" => static (a, b) => ((ulong)a.Bits).CompareTo((ulong)b.Bits),
        "byteacmp" or "uuid_cmp" => CompareBytes,
        _ => FindOther(supportFunction),
    };

    private static int CompareBytes(Datum a, Datum b) => a.Bytes.AsSpan().SequenceCompareTo(b.Bytes);
    private static int CompareBpCharC(Datum a, Datum b) => TrimBlanks(a.Bytes).SequenceCompareTo(TrimBlanks(b.Bytes));
    private static int CompareNameC(Datum a, Datum b) => NameBytes(a).SequenceCompareTo(NameBytes(b));
}
