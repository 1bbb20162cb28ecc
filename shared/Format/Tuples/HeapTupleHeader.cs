using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Tuples;

/// <summary>The first 23 bytes of a row version on a heap page (PostgreSQL's HeapTupleHeaderData, htup_details.h); the null bitmap follows.</summary>
[StructLayout(LayoutKind.Explicit, Size = Size, Pack = 1)]
public struct HeapTupleHeader
{
    /// <summary>Bytes before the null bitmap (SizeofHeapTupleHeader).</summary>
    public const int Size = 23;

    [FieldOffset(0)] public uint RawXmin;
    [FieldOffset(4)] public uint RawXmax;

    /// <summary>cmin, cmax or a combo command id; xvac in rows of before 9.0.</summary>
    [FieldOffset(8)] public uint RawCommandId;

    [FieldOffset(12)] public ushort CtidBlockHigh;
    [FieldOffset(14)] public ushort CtidBlockLow;
    [FieldOffset(16)] public ushort CtidOffset;
    [FieldOffset(18)] public HeapInfoMask2 InfoMask2;
    [FieldOffset(20)] public HeapInfoMask InfoMask;
    [FieldOffset(22)] public byte HeaderLength;

    public Tid Ctid
    {
        readonly get => new(new BlockNumber(((uint)CtidBlockHigh << 16) | CtidBlockLow), CtidOffset);
        set
        {
            CtidBlockHigh = (ushort)(value.Block.Value >> 16);
            CtidBlockLow = (ushort)value.Block.Value;
            CtidOffset = value.Offset;
        }
    }

    public readonly int AttributeCount => (int)(InfoMask2 & HeapInfoMask2.AttributeCountMask);
    public readonly bool XminCommitted => (InfoMask & HeapInfoMask.XminCommitted) != 0;
    public readonly bool XminInvalid => (InfoMask & HeapInfoMask.XminFrozen) == HeapInfoMask.XminInvalid;
    public readonly bool XminFrozen => (InfoMask & HeapInfoMask.XminFrozen) == HeapInfoMask.XminFrozen;

    /// <summary>The inserter; a frozen row's is FrozenTransactionId whatever its bytes say.</summary>
    public readonly Xid Xmin => XminFrozen ? Xid.Frozen : new Xid(RawXmin);

    /// <summary>Xmax as stored: a transaction or, with <see cref="HeapInfoMask.XmaxIsMulti"/>, a multixact.</summary>
    public readonly Xid Xmax => new(RawXmax);

    public readonly bool XmaxIsMulti => (InfoMask & HeapInfoMask.XmaxIsMulti) != 0;

    /// <summary>The row is only locked by xmax, not deleted or updated (HEAP_XMAX_IS_LOCKED_ONLY).</summary>
    public readonly bool XmaxIsLockedOnly =>
        (InfoMask & HeapInfoMask.XmaxLockOnly) != 0
        || (InfoMask & (HeapInfoMask.XmaxIsMulti | HeapInfoMask.LockMask)) == HeapInfoMask.XmaxExclusiveLock;

    public readonly bool IsHotUpdated =>
        (InfoMask2 & HeapInfoMask2.HotUpdated) != 0 && (InfoMask & HeapInfoMask.XmaxInvalid) == 0 && !XminInvalid;

    public readonly bool IsHeapOnly => (InfoMask2 & HeapInfoMask2.OnlyTuple) != 0;
}

[Flags]
public enum HeapInfoMask : ushort
{
    None = 0,
    HasNull = 0x0001,
    HasVarWidth = 0x0002,
    HasExternal = 0x0004,
    HasOidOld = 0x0008,
    XmaxKeyShareLock = 0x0010,
    ComboCid = 0x0020,
    XmaxExclusiveLock = 0x0040,
    XmaxLockOnly = 0x0080,
    XmaxShareLock = XmaxExclusiveLock | XmaxKeyShareLock,
    LockMask = XmaxShareLock,
    XminCommitted = 0x0100,
    XminInvalid = 0x0200,
    XminFrozen = XminCommitted | XminInvalid,
    XmaxCommitted = 0x0400,
    XmaxInvalid = 0x0800,
    XmaxIsMulti = 0x1000,
    Updated = 0x2000,
    MovedOff = 0x4000,
    MovedIn = 0x8000,
    Moved = MovedOff | MovedIn,
    XactMask = 0xFFF0,
    XmaxBits = XmaxCommitted | XmaxInvalid | XmaxIsMulti | LockMask | XmaxLockOnly,
}

[Flags]
public enum HeapInfoMask2 : ushort
{
    None = 0,
    AttributeCountMask = 0x07FF,
    KeysUpdated = 0x2000,
    HotUpdated = 0x4000,
    OnlyTuple = 0x8000,
    XactMask = 0xE000,
}
