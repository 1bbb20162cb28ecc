using System.Buffers.Binary;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

/// <summary>What an entry of an SP-GiST page is; the lowest two bits of it.</summary>
public enum SpgistTupleState : byte
{
    Live = 0,

    /// <summary>Scans under way go on elsewhere; becomes a placeholder when none can need it.</summary>
    Redirect = 1,

    /// <summary>The last of its chain, to which a downlink still points.</summary>
    Dead = 2,

    /// <summary>Keeps the numbers of those behind it; to be used again.</summary>
    Placeholder = 3,
}

/// <summary>
/// Entries of SP-GiST pages over their bytes (PostgreSQL's spgist_private.h). All begin with 32 bits, of which two are the state. Leaf: 30 bits size, 16 bits of which 14 are the number of
/// the next in the chain, the row's place, columns. Inner: 1 bit "all the same", 13 bits number of nodes, 16 bits size of the prefix, 16 bits size; prefix; nodes, each laid out as
/// an <see cref="IndexTuple"/>. Dead ones (all but live): as a leaf, with a place in the index and an xid.
/// </summary>
public static class SpgistTuple
{
    /// <summary>The size of a dead entry; no leaf entry is smaller, so that each can become one in place (SGDTSIZE).</summary>
    public const int DeadSize = 16;

    /// <summary>What all entries have: state and size; for leaves the next one, for inner ones the prefix.</summary>
    public const int MinSize = 8;

    private const int InnerHeaderSize = MinSize;
    private const int NextAt = 4;
    private const int PlaceAt = 6;
    private const int XidAt = 12;
    private const ushort NextMask = 0x3FFF;
    private const uint NodeCountMask = 0x1FFF;
    private const uint StateMask = 3;

    public static SpgistTupleState State(ReadOnlySpan<byte> entry) => (SpgistTupleState)(entry[0] & StateMask);

    /// <summary>The stored size of the leaf entry that begins here.</summary>
    /// <exception cref="StorageException">It does not lie within the bytes.</exception>
    public static int LeafSize(ReadOnlySpan<byte> bytes) =>
        Checked(bytes.Length < DeadSize ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(bytes) >> 2, DeadSize, bytes.Length);

    /// <summary>The stored size of the inner entry that begins here.</summary>
    /// <exception cref="StorageException">It does not lie within the bytes.</exception>
    public static int InnerSize(ReadOnlySpan<byte> bytes) =>
        Checked(bytes.Length < InnerHeaderSize ? 0u : BinaryPrimitives.ReadUInt16LittleEndian(bytes[NextAt..]), InnerHeaderSize, bytes.Length);

    /// <summary>The next in the chain of leaf entries; its two flags stay.</summary>
    public static void SetNext(Span<byte> leaf, ushort next)
    {
        ushort old = BinaryPrimitives.ReadUInt16LittleEndian(leaf[NextAt..]);
        BinaryPrimitives.WriteUInt16LittleEndian(leaf[NextAt..], (ushort)((old & ~NextMask) | (next & NextMask)));
    }

    /// <summary>Makes an entry that is not live (spgFormDeadTuple). Only a redirection has a place and an xid.</summary>
    public static void WriteDead(Span<byte> entry, SpgistTupleState state, Tid place, Xid xid)
    {
        bool redirect = state == SpgistTupleState.Redirect;
        BinaryPrimitives.WriteUInt32LittleEndian(entry, (DeadSize << 2) | (uint)state);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[NextAt..], 0);
        IndexTuple.WriteTid(entry[PlaceAt..], redirect ? place : Tid.Invalid);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[XidAt..], redirect ? xid.Value : Xid.Invalid.Value);
    }

    /// <summary>Turns a redirection into a placeholder where it lies; its xid stays.</summary>
    public static void RedirectToPlaceholder(Span<byte> entry)
    {
        entry[0] = (byte)((entry[0] & ~StateMask) | (uint)SpgistTupleState.Placeholder);
        IndexTuple.WriteTid(entry[PlaceAt..], Tid.Invalid);
    }

    /// <summary>Sets the downlink of a node of an inner entry (spgUpdateNodeLink).</summary>
    /// <exception cref="StorageException">The entry has no such node, or its nodes do not fit it.</exception>
    public static void SetNodeLink(Span<byte> inner, int node, Tid link)
    {
        if (inner.Length < InnerHeaderSize)
        {
            throw Damaged($"an inner entry of {inner.Length} bytes");
        }

        uint header = BinaryPrimitives.ReadUInt32LittleEndian(inner);
        uint nodes = (header >> 3) & NodeCountMask;
        if (node >= nodes)
        {
            throw Damaged($"node {node} of an inner entry with {nodes}");
        }

        int at = InnerHeaderSize + (int)(header >> 16);
        for (int i = 0; ; i++)
        {
            if (at > inner.Length - IndexTuple.HeaderSize)
            {
                throw Damaged($"node {i} lies at {at} of an inner entry of {inner.Length} bytes");
            }

            if (i == node)
            {
                IndexTuple.WriteTid(inner[at..], link);
                return;
            }

            int size = IndexTuple.StoredSize(inner[at..]);
            if (size < IndexTuple.HeaderSize)
            {
                throw Damaged($"node {i} has {size} bytes");
            }

            at += size;
        }
    }

    private static int Checked(uint size, int least, int have)
    {
        if (size < least || size > have)
        {
            throw Damaged($"an entry of {size} bytes in {have} bytes");
        }

        return (int)size;
    }

    private static StorageException Damaged(string what) => new($"damaged SP-GiST entry: {what}") { SqlState = SqlStates.IndexCorrupted };
}
