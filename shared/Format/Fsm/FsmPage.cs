using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;

namespace SharedStorage.Format.Fsm;

/// <summary>
/// A page of a free space map (PostgreSQL's fsm_internals.h, fsmpage.c): after the page header the slot where the next search begins (4 bytes), then a binary
/// tree of bytes in an array, in which each inner node is the larger of its children. A leaf is the free space of one page, in steps of 32 bytes.
/// </summary>
public readonly ref struct FsmPage(Page page)
{
    private const int NodesOffset = PageHeader.Size + sizeof(int);
    private const int NodeCount = Page.Size - NodesOffset;
    private const int InnerCount = (Page.Size / 2) - 1;

    /// <summary>Leaves of a page: 4069.</summary>
    public const int Slots = NodeCount - InnerCount;

    private readonly Span<byte> _nodes = page.Bytes[NodesOffset..];
    private readonly Span<byte> _bytes = page.Bytes;

    /// <summary>The largest leaf.</summary>
    public byte Max => _nodes[0];

    public byte Get(int slot) => _nodes[InnerCount + slot];

    private ref int NextSlot => ref Unsafe.As<byte, int>(ref MemoryMarshal.GetReference(_bytes[PageHeader.Size..]));

    /// <summary>Sets a leaf and the nodes above it; tells whether the page changed.</summary>
    public bool Set(int slot, byte value)
    {
        int node = InnerCount + slot;
        if (_nodes[node] == value && value <= _nodes[0])
        {
            return false;
        }

        _nodes[node] = value;
        while (node > 0)
        {
            node = (node - 1) / 2;
            byte larger = LargerChild(node);
            if (_nodes[node] == larger)
            {
                break;
            }

            _nodes[node] = larger;
        }

        // A node above that was too low (a torn page) is found only now.
        if (value > _nodes[0])
        {
            Rebuild();
        }

        return true;
    }

    /// <summary>A leaf of at least this value, or -1. Searches from the slot after the last one found, so that inserters spread.</summary>
    public int Search(byte atLeast, bool advance)
    {
        for (int tries = 0; tries < 2; tries++)
        {
            if (_nodes[0] < atLeast)
            {
                return -1;
            }

            int start = NextSlot;
            int node = InnerCount + (start < 0 || start >= Slots ? 0 : start);

            // Up and to the right until a subtree has it.
            while (node > 0 && _nodes[node] < atLeast)
            {
                node = (RightNeighbor(node) - 1) / 2;
            }

            node = Descend(node, atLeast);
            if (node >= 0)
            {
                int slot = node - InnerCount;
                NextSlot = slot + (advance ? 1 : 0);
                return slot;
            }

            Rebuild();
        }

        return -1;
    }

    /// <summary>Zeroes the leaves from this one on; tells whether one was not zero.</summary>
    public bool Truncate(int firstSlot)
    {
        Span<byte> tail = _nodes[(InnerCount + firstSlot)..];
        bool changed = tail.ContainsAnyExcept((byte)0);
        tail.Clear();
        if (changed)
        {
            Rebuild();
        }

        return changed;
    }

    public void ResetNextSlot() => NextSlot = 0;

    private int Descend(int node, byte atLeast)
    {
        while (node < InnerCount)
        {
            int left = (2 * node) + 1;
            if (left < NodeCount && _nodes[left] >= atLeast)
            {
                node = left;
            }
            else if (left + 1 < NodeCount && _nodes[left + 1] >= atLeast)
            {
                node = left + 1;
            }
            else
            {
                return -1;
            }
        }

        return node;
    }

    private byte LargerChild(int node)
    {
        int left = (2 * node) + 1;
        byte value = left < NodeCount ? _nodes[left] : (byte)0;
        return left + 1 < NodeCount ? Math.Max(value, _nodes[left + 1]) : value;
    }

    private void Rebuild()
    {
        for (int node = InnerCount - 1; node >= 0; node--)
        {
            _nodes[node] = LargerChild(node);
        }
    }

    /// <summary>The next node of the same level; after the last one of a level the first one of it.</summary>
    private static int RightNeighbor(int node)
    {
        node++;
        return ((node + 1) & node) == 0 ? (node - 1) / 2 : node;
    }
}

/// <summary>Free space in the steps that the map knows (freespace.c): 255 is a page that takes the longest row, others are 32 bytes each.</summary>
public static class FsmCategory
{
    private const int Step = 32;
    private const int LargestRow = Page.Size - 32;

    /// <summary>The category that a page with this room has.</summary>
    public static byte OfAvailable(int bytes) => bytes >= LargestRow ? (byte)255 : (byte)Math.Min(bytes / Step, 254);

    /// <summary>The lowest category whose pages have this room for sure.</summary>
    public static byte OfNeeded(int bytes) => bytes == 0 ? (byte)1 : (byte)Math.Min((bytes + Step - 1) / Step, 255);

    public static int Bytes(byte category) => category == 255 ? LargestRow : category * Step;
}

/// <summary>The place of a page in the tree of pages: level 0 is the bottom, 2 the root.</summary>
public readonly record struct FsmAddress(int Level, uint Number)
{
    public const int RootLevel = 2;
    public static readonly FsmAddress Root = new(RootLevel, 0);

    /// <summary>The bottom page that has this heap page's leaf, and the leaf.</summary>
    public static FsmAddress OfHeapBlock(uint block, out int slot)
    {
        slot = (int)(block % FsmPage.Slots);
        return new FsmAddress(0, block / FsmPage.Slots);
    }

    /// <summary>The fork's blocks that remain when the heap is cut to so many: up to the page of the first heap page that goes, which stays when it has leaves in use.</summary>
    public static uint BlocksFor(uint heapBlocks)
    {
        FsmAddress first = OfHeapBlock(heapBlocks, out int slot);
        return slot > 0 ? first.Block + 1 : first.Block;
    }

    public FsmAddress Parent(out int slot)
    {
        slot = (int)(Number % FsmPage.Slots);
        return new FsmAddress(Level + 1, Number / FsmPage.Slots);
    }

    public FsmAddress Child(int slot) => new(Level - 1, (Number * FsmPage.Slots) + (uint)slot);
    public uint HeapBlock(int slot) => (Number * FsmPage.Slots) + (uint)slot;

    /// <summary>The page's block in the fork: pages lie in depth-first order, parents first.</summary>
    public uint Block
    {
        get
        {
            ulong leaf = Number;
            for (int level = 0; level < Level; level++)
            {
                leaf *= FsmPage.Slots;
            }

            ulong pages = 0;
            for (int level = 0; level <= RootLevel; level++)
            {
                pages += leaf + 1;
                leaf /= FsmPage.Slots;
            }

            return (uint)(pages - (ulong)Level - 1);
        }
    }
}
