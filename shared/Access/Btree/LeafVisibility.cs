using SharedStorage.Access.Heap;
using SharedStorage.Buffers;
using SharedStorage.Format.VisibilityMap;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Btree;

/// <summary>
/// Which entries of a scan's leaf need no visit of their row, since the visibility map says that all rows of its page are visible to everyone (nodeIndexonlyscan.c). The map is
/// looked at once a leaf. PostgreSQL keeps the leaf pinned meanwhile, so that vacuum cannot remove an entry before its page is marked; here the leaf is looked at again
/// AFTER the map (R9): an entry that was removed, and whose place may be another row's by now, is met so, and then all rows of the leaf are visited.
/// </summary>
public sealed class LeafVisibility(StorageEngine engine, RelFileNode table)
{
    private readonly VisibilityMap _map = new(engine, table);
    private bool[] _visible = new bool[16];
    private BtreeScan? _scan;
    private long _leaf;

    /// <summary>Whether the row of the scan's current entry is visible to every snapshot that may be in use.</summary>
    public bool IsCurrentVisible(BtreeScan scan)
    {
        if (!ReferenceEquals(_scan, scan) || _leaf != scan.LeafNumber)
        {
            (_scan, _leaf) = (scan, scan.LeafNumber);
            Look(scan);
        }

        return _visible[scan.LeafPosition];
    }

    private void Look(BtreeScan scan)
    {
        FaultPoint.Hit("btree.index-only.before-visibility-map");
        ReadOnlySpan<Tid> rows = scan.LeafRows;
        if (_visible.Length < rows.Length)
        {
            _visible = new bool[Math.Max(rows.Length, _visible.Length * 2)];
        }

        // The pin is not kept for the next leaf: on a node that applies it is a version of the map, which must not be older than the leaf.
        PinnedPage page = default;
        BlockNumber block = BlockNumber.Invalid;
        bool visible = false, any = false;
        try
        {
            for (int i = 0; i < rows.Length; i++)
            {
                if (rows[i].Block != block)
                {
                    block = rows[i].Block;
                    visible = (_map.Get(block, ref page) & VisibilityBits.AllVisible) != 0;
                    any |= visible;
                }

                _visible[i] = visible;
            }
        }
        finally
        {
            page.Dispose();
        }

        if (any && !scan.IsLeafUnchanged())
        {
            _visible.AsSpan(0, rows.Length).Clear();
        }
    }
}
