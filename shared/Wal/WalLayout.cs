using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Wal;

/// <summary>The 24 bytes that begin each record (xlogrecord.h). The checksum covers what follows the header first, then the header before itself.</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct WalRecordHeader
{
    public const int Size = 24;
    public const int CrcOffset = 20;

    [FieldOffset(0)] public uint TotalLength;
    [FieldOffset(4)] public uint Xid;
    [FieldOffset(8)] public ulong Previous;
    [FieldOffset(16)] public byte Info;
    [FieldOffset(17)] public byte Rmgr;
    [FieldOffset(CrcOffset)] public uint Crc;
}

/// <summary>The header of each 8 KiB page of the log; the first page of a segment has the long form (xlog_internal.h).</summary>
[StructLayout(LayoutKind.Explicit, Size = LongSize)]
public struct WalPageHeader
{
    public const int ShortSize = 24;
    public const int LongSize = 40;

    /// <summary>PostgreSQL 15's version of the log.</summary>
    public const ushort ExpectedMagic = 0xD110;

    [FieldOffset(0)] public ushort Magic;
    [FieldOffset(2)] public WalPageFlags Flags;
    [FieldOffset(4)] public uint Timeline;
    [FieldOffset(8)] public ulong PageAddress;

    /// <summary>Bytes of the record that began on an earlier page and still follow here (XLP_FIRST_IS_CONTRECORD).</summary>
    [FieldOffset(16)] public uint RemainingLength;

    [FieldOffset(24)] public ulong SystemIdentifier;
    [FieldOffset(32)] public uint SegmentSize;
    [FieldOffset(36)] public uint BlockSize;

    public readonly int HeaderSize => (Flags & WalPageFlags.LongHeader) != 0 ? LongSize : ShortSize;
}

[Flags]
public enum WalPageFlags : ushort
{
    None = 0,
    FirstIsContinuation = 1,
    LongHeader = 2,
    BackupBlocksRemovable = 4,
    FirstIsOverwriteContinuation = 8,
    All = 15,
}

/// <summary>The arithmetic of positions: pages of 8 KiB, segments of a size that <c>initdb</c> chose, records aligned to 8 bytes.</summary>
public static class WalLayout
{
    public const int PageSize = 8192;
    public const int Alignment = 8;
    public const int DefaultSegmentSize = 16 << 20;

    public static bool IsValidSegmentSize(uint size) => size is >= 1 << 20 and <= 1 << 30 && (size & (size - 1)) == 0;

    public static Lsn PageStart(Lsn lsn) => new(lsn.Value & ~(ulong)(PageSize - 1));
    public static int PageOffset(Lsn lsn) => (int)(lsn.Value & (PageSize - 1));
    public static ulong SegmentOf(Lsn lsn, int segmentSize) => lsn.Value / (uint)segmentSize;

    /// <summary>The segment that holds the byte before <paramref name="lsn"/>.</summary>
    public static ulong SegmentBefore(Lsn lsn, int segmentSize) => (lsn.Value - 1) / (uint)segmentSize;

    public static Lsn SegmentStart(ulong segment, int segmentSize) => new(segment * (uint)segmentSize);
    public static int SegmentOffset(Lsn lsn, int segmentSize) => (int)(lsn.Value & (uint)(segmentSize - 1));
    public static int AlignUp(int n) => (n + (Alignment - 1)) & ~(Alignment - 1);
    public static ulong AlignUp(ulong n) => (n + (Alignment - 1)) & ~(ulong)(Alignment - 1);
}
