using SharedStorage.Primitives;

namespace SharedStorage.Format.Tuples;

/// <summary>How the bytes of a column become a datum.</summary>
internal enum ColumnKind : byte
{
    Int8, Int16, Int32, UInt32, Int64,

    /// <summary>A fixed number of bytes, passed by reference (name, uuid, interval).</summary>
    Fixed,
    Varlena,
    CString,
}

/// <summary>What forming and reading a row need of a column, in 12 bytes.</summary>
internal struct ColumnLayout
{
    /// <summary>The offset from the start of the row's data when no column before it is null or of variable width; else -1.</summary>
    public int Offset;
    public short Length;
    public byte Alignment;
    public ColumnKind Kind;
    public bool Packable;
    public bool IsDropped;
}

/// <summary>
/// The column layouts of a row type. Offsets of the fixed-width prefix are known in advance, as in PostgreSQL's attcacheoff (heaptuple.c).
/// </summary>
internal sealed class TupleLayout
{
    // Types whose four bytes are an unsigned number; the others are sign-extended.
    private static readonly HashSet<uint> Unsigned =
        [24, 26, 28, 29, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191];

    public readonly ColumnLayout[] Columns;

    public TupleLayout(IReadOnlyList<TupleAttribute> attributes)
    {
        Columns = new ColumnLayout[attributes.Count];
        int offset = 0;
        for (int i = 0; i < Columns.Length; i++)
        {
            TupleAttribute a = attributes[i];
            ref ColumnLayout c = ref Columns[i];
            c.Length = a.Length;
            c.Alignment = a.Alignment;
            c.Kind = KindOf(a);
            c.Packable = a.Length == -1 && a.Storage != 'p';
            c.IsDropped = a.IsDropped;
            c.Offset = -1;
            if (offset < 0)
            {
                continue;
            }

            int aligned = TupleData.Align(offset, a.Alignment);
            if (a.Length > 0)
            {
                c.Offset = aligned;
                offset = aligned + a.Length;
            }
            else
            {
                // A varlena at an aligned place begins there, whether its header is short or long.
                c.Offset = aligned == offset ? offset : -1;
                offset = -1;
            }
        }
    }

    private static ColumnKind KindOf(TupleAttribute a) => (a.Length, a.ByValue) switch
    {
        (-1, _) => ColumnKind.Varlena,
        (-2, _) => ColumnKind.CString,
        (1, true) => ColumnKind.Int8,
        (2, true) => ColumnKind.Int16,
        (4, true) => Unsigned.Contains(a.TypeId.Value) ? ColumnKind.UInt32 : ColumnKind.Int32,
        (8, true) => ColumnKind.Int64,
        ( > 0, false) => ColumnKind.Fixed,
        _ => throw new StorageException($"column \"{a.Name}\" has length {a.Length}, by value {a.ByValue}: no such type"),
    };
}
