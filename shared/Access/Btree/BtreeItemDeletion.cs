using System.Runtime.InteropServices;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree;

/// <summary>
/// What goes from one leaf: whole items, and single rows of posting lists (_bt_delitems_vacuum, _bt_delitems_delete). Collected first, then applied and
/// logged in one step. Reused for the next page.
/// </summary>
internal sealed class BtreeItemDeletion(BtreeWriter writer)
{
    private readonly List<ushort> _gone = [];
    private readonly List<ushort> _changed = [];

    /// <summary>For each changed item the number of positions, then the positions.</summary>
    private readonly List<ushort> _positions = [];

    public bool IsEmpty => _gone.Count == 0 && _changed.Count == 0;

    public void Clear()
    {
        _gone.Clear();
        _changed.Clear();
        _positions.Clear();
    }

    /// <summary>The whole item goes. Items are given in ascending order.</summary>
    public void Add(int number) => _gone.Add((ushort)number);

    /// <summary>Some rows of a posting entry go, by their positions in its list, ascending; not all of them.</summary>
    public void Add(int number, ReadOnlySpan<ushort> positions)
    {
        _changed.Add((ushort)number);
        _positions.Add((ushort)positions.Length);
        _positions.AddRange(positions);
    }

    /// <summary>By vacuum: the leaf is latched for cleanup. Its vacuum number goes, since vacuum has now seen it.</summary>
    public void ApplyByVacuum(BtreeBuffer buffer)
    {
        Span<byte> body = stackalloc byte[BtreeVacuum.Size];
        new BtreeVacuum((ushort)_gone.Count, (ushort)_changed.Count).Write(body);
        Apply(buffer, BtreeOp.Vacuum, body, Xid.Invalid, clearCycle: true);
    }

    /// <summary>By a session: <paramref name="latestRemoved"/> is not older than any deleter or failed inserter of the rows (for stock standbys).</summary>
    public void ApplyBySession(BtreeBuffer buffer, Xid latestRemoved, Xid xid)
    {
        Span<byte> body = stackalloc byte[BtreeDelete.Size];
        new BtreeDelete(latestRemoved, (ushort)_gone.Count, (ushort)_changed.Count).Write(body);
        Apply(buffer, BtreeOp.Delete, body, xid, clearCycle: false);
    }

    private void Apply(BtreeBuffer buffer, byte op, ReadOnlySpan<byte> body, Xid xid, bool clearCycle)
    {
        ReadOnlySpan<ushort> gone = CollectionsMarshal.AsSpan(_gone);
        ReadOnlySpan<ushort> changed = CollectionsMarshal.AsSpan(_changed);
        ReadOnlySpan<ushort> positions = CollectionsMarshal.AsSpan(_positions);
        Span<byte> made = stackalloc byte[Page.Size];
        using Invariant.CriticalSection critical = Invariant.EnterCritical();
        try
        {
            Page page = buffer.Page;
            ReadOnlySpan<ushort> rest = positions;
            foreach (ushort number in changed)
            {
                int count = rest[0];
                int size = PostingList.Remove(BtreePage.Tuple(page, number), rest.Slice(1, count), made);
                IndexPage.TryOverwrite(page, number, made[..size]);
                rest = rest[(count + 1)..];
            }

            if (gone.Length > 0)
            {
                IndexPage.DeleteMany(page, gone);
            }

            ref BtreeOpaque opaque = ref buffer.Opaque;
            opaque.Flags &= ~BtreePageFlags.HasGarbage;
            opaque.CycleId = clearCycle ? (ushort)0 : opaque.CycleId;
            buffer.Pin.MarkDirty();
            WalRecordBuilder record = writer.Begin(xid);
            BtreeWriter.AddBlock(record, 0, buffer, WalBlockFlags.Standard);
            record.AddData(body);
            record.AddBlockData(0, MemoryMarshal.AsBytes(gone));
            record.AddBlockData(0, MemoryMarshal.AsBytes(changed));
            record.AddBlockData(0, MemoryMarshal.AsBytes(positions));
            BtreeWriter.SetLsn(writer.Insert(record, op), buffer);
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }
}
