namespace SharedStorage.Wal.Records;

/// <summary>The heap resource manager's operations (heapam_xlog.h); bit 0x80 of the info byte says that redo makes the page anew.</summary>
public enum HeapOp : byte
{
    Insert = 0x00, Delete = 0x10, Update = 0x20, Truncate = 0x30, HotUpdate = 0x40, Confirm = 0x50, Lock = 0x60, InPlace = 0x70,
}

/// <summary>The second heap resource manager's operations.</summary>
public enum Heap2Op : byte
{
    Rewrite = 0x00, Prune = 0x10, Vacuum = 0x20, FreezePage = 0x30, Visible = 0x40, MultiInsert = 0x50, LockUpdated = 0x60, NewCid = 0x70,
}

public static class HeapInfo
{
    public const byte OpMask = 0x70;

    /// <summary>XLOG_HEAP_INIT_PAGE: the record's row is the first of its page.</summary>
    public const byte InitPage = 0x80;

    public static HeapOp HeapOp(byte info) => (HeapOp)(info & OpMask);
    public static Heap2Op Heap2Op(byte info) => (Heap2Op)(info & OpMask);
    public static bool IsInit(byte info) => (info & InitPage) != 0;
}

[Flags]
public enum HeapInsertFlags : byte
{
    None = 0,
    AllVisibleCleared = 1,
    LastInMulti = 2,
    Speculative = 4,
    ContainsNewTuple = 8,
    OnToastRelation = 16,
    AllFrozenSet = 32,
}

[Flags]
public enum HeapDeleteFlags : byte
{
    None = 0,
    AllVisibleCleared = 1,
    ContainsOldTuple = 2,
    ContainsOldKey = 4,

    /// <summary>A speculative insertion is taken back.</summary>
    Super = 8,
    PartitionMove = 16,
}

[Flags]
public enum HeapUpdateFlags : byte
{
    None = 0,
    OldAllVisibleCleared = 1,
    NewAllVisibleCleared = 2,
    ContainsOldTuple = 4,
    ContainsOldKey = 8,
    ContainsNewTuple = 16,
    PrefixFromOld = 32,
    SuffixFromOld = 64,
}

[Flags]
public enum HeapLockFlags : byte
{
    None = 0,
    AllFrozenCleared = 1,
}

/// <summary>What a record says of xmax in the row's two masks (XLHL_*).</summary>
[Flags]
public enum HeapInfoBits : byte
{
    None = 0,
    XmaxIsMulti = 1,
    XmaxLockOnly = 2,
    XmaxExclusiveLock = 4,
    XmaxKeyShareLock = 8,
    KeysUpdated = 16,
}
