using SharedStorage.Format.Tuples;

namespace SharedStorage.Catalog;

/// <summary>The orders of the types that index columns of system catalogs have. Names and text are in the collation C there.</summary>
public static class BuiltInComparators
{
    /// <summary>By type number.</summary>
    public static Comparison<Datum>? ForType(uint type) => type switch
    {
        PgTypes.Int2 or PgTypes.Int4 or PgTypes.Int8 or PgTypes.Bool => Signed,
        PgTypes.Oid or PgTypes.RegProc => Unsigned,
        PgTypes.Char => UnsignedByte,
        PgTypes.Name => CompareNames,
        PgTypes.Text => CompareBytes,
        PgTypes.OidVector => CompareOidVectors,
        PgTypes.Float4 => Singles,
        _ => null,
    };

    /// <summary>By pg_proc.prosrc of the support function.</summary>
    public static Comparison<Datum>? ForFunction(string source) => source switch
    {
        "btint2cmp" or "btint4cmp" or "btint8cmp" or "btboolcmp" or "btint24cmp" or "btint28cmp" or "btint42cmp" or "btint48cmp" or "btint82cmp" or "btint84cmp" => Signed,
        "btoidcmp" => Unsigned,
        "btcharcmp" => UnsignedByte,
        "btnamecmp" => CompareNames,
        "btoidvectorcmp" => CompareOidVectors,
        "btfloat4cmp" => Singles,
        _ => null,
    };

    private static readonly Comparison<Datum> Signed = static (a, b) => a.Int64.CompareTo(b.Int64);
    private static readonly Comparison<Datum> Unsigned = static (a, b) => a.UInt32.CompareTo(b.UInt32);
    private static readonly Comparison<Datum> UnsignedByte = static (a, b) => ((byte)a.Bits).CompareTo((byte)b.Bits);

    // NaN sorts after everything in PostgreSQL and before everything in .NET.
    private static readonly Comparison<Datum> Singles = static (a, b) =>
        float.IsNaN(a.Single) ? (float.IsNaN(b.Single) ? 0 : 1) : float.IsNaN(b.Single) ? -1 : a.Single.CompareTo(b.Single);

    // A name ends at its first zero; the C collation compares bytes.
    private static int CompareNames(Datum a, Datum b) => CutAtZero(a.Bytes).SequenceCompareTo(CutAtZero(b.Bytes));

    private static ReadOnlySpan<byte> CutAtZero(ReadOnlySpan<byte> name)
    {
        int zero = name.IndexOf((byte)0);
        return zero < 0 ? name : name[..zero];
    }

    private static int CompareBytes(Datum a, Datum b) => a.Bytes.AsSpan().SequenceCompareTo(b.Bytes);

    // Shorter vectors come first, as btoidvectorcmp has it.
    private static int CompareOidVectors(Datum a, Datum b)
    {
        Primitives.Oid[] x = ArrayCodec.ReadOids(a), y = ArrayCodec.ReadOids(b);
        if (x.Length != y.Length)
        {
            return x.Length - y.Length;
        }

        for (int i = 0; i < x.Length; i++)
        {
            int c = x[i].CompareTo(y[i]);
            if (c != 0)
            {
                return c;
            }
        }

        return 0;
    }
}
