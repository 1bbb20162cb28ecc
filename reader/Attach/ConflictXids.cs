using System.Buffers.Binary;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Reader.Attach;

/// <summary>
/// Which records remove what an old snapshot may still need, and the newest xid whose row versions they remove: those whose redo calls
/// ResolveRecoveryConflictWithSnapshot in PostgreSQL. A snapshot for which that xid, or one before it, had not ended conflicts with the record.
/// </summary>
internal static class ConflictXids
{
    private const byte GistDelete = 0x10;
    private const byte GistPageReuse = 0x20;
    private const byte HashVacuumOnePage = 0xC0;
    private const byte SpgistVacuumRedirect = 0x80;

    /// <summary>The newest xid removed; invalid when the record removes nothing that anyone may need.</summary>
    public static Xid NewestRemoved(WalRecord record) => record.Rmgr switch
    {
        Rmgr.Heap2 => OfHeap2(record),
        Rmgr.Btree when record.OpCode == BtreeOp.Delete => BtreeDelete.Read(record.MainData).LatestRemoved,
        Rmgr.Btree when record.OpCode == BtreeOp.ReusePage => BtreeReusePage.Read(record.MainData).LatestRemoved.Xid,
        Rmgr.Gist when record.OpCode == GistDelete => XidAt(record, 0),

        // Behind the relation (12 bytes) and the block (4).
        Rmgr.Gist when record.OpCode == GistPageReuse => XidAt(record, 16),
        Rmgr.Hash when record.OpCode == HashVacuumOnePage => XidAt(record, 0),
        Rmgr.Spgist when record.OpCode == SpgistVacuumRedirect => XidAt(record, 4),
        _ => Xid.Invalid,
    };

    private static Xid OfHeap2(WalRecord record) => HeapInfo.Heap2Op(record.Info) switch
    {
        Heap2Op.Prune => HeapPruneRecord.Read(record.MainData).LatestRemovedXid,

        // The cutoff is the first xid that is not frozen; the one before it may be.
        Heap2Op.FreezePage => HeapFreezePageRecord.Read(record.MainData).CutoffXid is { IsNormal: true } cutoff ? cutoff.Previous() : Xid.Invalid,
        Heap2Op.Visible => HeapVisibleRecord.Read(record.MainData).CutoffXid,
        _ => Xid.Invalid,
    };

    private static Xid XidAt(WalRecord record, int offset) =>
        record.MainData.Length >= offset + sizeof(uint) ? new Xid(BinaryPrimitives.ReadUInt32LittleEndian(record.MainData[offset..])) : throw record.Malformed("too short");
}
