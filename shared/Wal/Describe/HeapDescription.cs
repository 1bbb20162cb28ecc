using System.Text;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>Heap and Heap2.</summary>
internal static class HeapDescription
{
    public static string? IdentifyHeap(byte info)
    {
        bool init = HeapInfo.IsInit(info);
        string? name = HeapInfo.HeapOp(info) switch
        {
            HeapOp.Insert => "INSERT",
            HeapOp.Update => "UPDATE",
            HeapOp.HotUpdate => "HOT_UPDATE",
            HeapOp.Delete when !init => "DELETE",
            HeapOp.Truncate when !init => "TRUNCATE",
            HeapOp.Confirm when !init => "HEAP_CONFIRM",
            HeapOp.Lock when !init => "LOCK",
            HeapOp.InPlace when !init => "INPLACE",
            _ => null,
        };
        return init && name is not null ? name + "+INIT" : name;
    }

    public static void DescribeHeap(WalRecord record, StringBuilder into)
    {
        ReadOnlySpan<byte> body = record.MainData;
        switch (HeapInfo.HeapOp(record.Info))
        {
            case HeapOp.Insert:
                HeapInsertRecord insert = HeapInsertRecord.Read(body);
                into.Append($"off {insert.Offset} flags 0x{(byte)insert.Flags:X2}");
                break;
            case HeapOp.Delete:
                HeapDeleteRecord delete = HeapDeleteRecord.Read(body);
                into.Append($"off {delete.Offset} flags 0x{(byte)delete.Flags:X2} ");
                InfoBits(delete.Bits, into);
                break;
            case HeapOp.Update:
            case HeapOp.HotUpdate:
                HeapUpdateRecord update = HeapUpdateRecord.Read(body);
                into.Append($"off {update.OldOffset} xmax {update.OldXmax} flags 0x{(byte)update.Flags:X2} ");
                InfoBits(update.OldBits, into);
                into.Append($"; new off {update.NewOffset} xmax {update.NewXmax}");
                break;
            case HeapOp.Truncate:
                Truncate(body, into);
                break;
            case HeapOp.Confirm:
                into.Append($"off {HeapConfirmRecord.Read(body).Offset}");
                break;
            case HeapOp.Lock:
                HeapLockRecord locked = HeapLockRecord.Read(body);
                into.Append($"off {locked.Offset}: xid {locked.Xmax}: flags 0x{(byte)locked.Flags:X2} ");
                InfoBits(locked.Bits, into);
                break;
            case HeapOp.InPlace:
                into.Append($"off {HeapInPlaceRecord.Read(body).Offset}");
                break;
        }
    }

    public static string? IdentifyHeap2(byte info)
    {
        bool init = HeapInfo.IsInit(info);
        return HeapInfo.Heap2Op(info) switch
        {
            Heap2Op.MultiInsert => init ? "MULTI_INSERT+INIT" : "MULTI_INSERT",
            _ when init => null,
            Heap2Op.Prune => "PRUNE",
            Heap2Op.Vacuum => "VACUUM",
            Heap2Op.FreezePage => "FREEZE_PAGE",
            Heap2Op.Visible => "VISIBLE",
            Heap2Op.LockUpdated => "LOCK_UPDATED",
            Heap2Op.NewCid => "NEW_CID",
            Heap2Op.Rewrite => "REWRITE",
            _ => null,
        };
    }

    public static void DescribeHeap2(WalRecord record, StringBuilder into)
    {
        ReadOnlySpan<byte> body = record.MainData;
        switch (HeapInfo.Heap2Op(record.Info))
        {
            case Heap2Op.Prune:
                HeapPruneRecord prune = HeapPruneRecord.Read(body);
                into.Append($"latestRemovedXid {prune.LatestRemovedXid} nredirected {prune.Redirected} ndead {prune.Dead}");
                break;
            case Heap2Op.Vacuum:
                into.Append($"nunused {HeapVacuumRecord.Read(body).Unused}");
                break;
            case Heap2Op.FreezePage:
                HeapFreezePageRecord freeze = HeapFreezePageRecord.Read(body);
                into.Append($"cutoff xid {freeze.CutoffXid} ntuples {freeze.Count}");
                break;
            case Heap2Op.Visible:
                HeapVisibleRecord visible = HeapVisibleRecord.Read(body);
                into.Append($"cutoff xid {visible.CutoffXid} flags 0x{visible.Flags:X2}");
                break;
            case Heap2Op.MultiInsert:
                HeapMultiInsertRecord multi = HeapMultiInsertRecord.Read(body);
                into.Append($"{multi.Count} tuples flags 0x{(byte)multi.Flags:X2}");
                break;
            case Heap2Op.LockUpdated:
                HeapLockRecord locked = HeapLockRecord.Read(body);
                into.Append($"off {locked.Offset}: xmax {locked.Xmax}: flags 0x{(byte)locked.Flags:X2} ");
                InfoBits(locked.Bits, into);
                break;
            case Heap2Op.NewCid:
                NewCid(body, into);
                break;
        }
    }

    private static void Truncate(ReadOnlySpan<byte> body, StringBuilder into)
    {
        HeapTruncateRecord truncate = HeapTruncateRecord.Read(body);
        into.Append((truncate.Flags & 1) != 0 ? "cascade " : "");
        into.Append((truncate.Flags & 2) != 0 ? "restart_seqs " : "");
        into.Append($"nrelids {truncate.Count} relids");
        for (int i = 0; i < truncate.Count; i++)
        {
            into.Append($" {HeapTruncateRecord.Relation(body, i)}");
        }
    }

    private static void NewCid(ReadOnlySpan<byte> body, StringBuilder into)
    {
        var reader = new BodyReader(body);
        reader.Skip(4);
        uint cmin = reader.UInt32();
        uint cmax = reader.UInt32();
        uint combo = reader.UInt32();
        into.Append($"rel {reader.Rel()}; tid {((uint)reader.UInt16() << 16) | reader.UInt16()}/{reader.UInt16()}");
        into.Append($"; cmin: {cmin}, cmax: {cmax}, combo: {combo}");
    }

    private static void InfoBits(HeapInfoBits bits, StringBuilder into)
    {
        into.Append((bits & HeapInfoBits.XmaxIsMulti) != 0 ? "IS_MULTI " : "");
        into.Append((bits & HeapInfoBits.XmaxLockOnly) != 0 ? "LOCK_ONLY " : "");
        into.Append((bits & HeapInfoBits.XmaxExclusiveLock) != 0 ? "EXCL_LOCK " : "");
        into.Append((bits & HeapInfoBits.XmaxKeyShareLock) != 0 ? "KEYSHR_LOCK " : "");
        into.Append((bits & HeapInfoBits.KeysUpdated) != 0 ? "KEYS_UPDATED " : "");
    }
}
