using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>What parts a commit or abort record has, and what its replay is to do besides (XACT_XINFO_* and XACT_COMPLETION_*, xact.h).</summary>
[Flags]
public enum XactInfo : uint
{
    None = 0,
    HasDatabase = 1 << 0,
    HasChildren = 1 << 1,
    HasFiles = 1 << 2,
    HasInvalidations = 1 << 3,
    HasTwoPhase = 1 << 4,
    HasOrigin = 1 << 5,
    HasAccessExclusiveLocks = 1 << 6,
    HasGid = 1 << 7,
    HasDroppedStats = 1 << 8,
    ApplyFeedback = 1u << 29,

    /// <summary>The relcache's init files (pg_internal.init) are stale.</summary>
    RelcacheInitFile = 1u << 30,
    ForceSyncCommit = 1u << 31,
}

/// <summary>
/// The body of a commit or abort record (xl_xact_commit, xl_xact_abort and their optional parts). Spans point into the record, or, for writing, to the
/// transaction's own arrays.
/// </summary>
public ref struct XactEnd
{
    public const byte OpCommit = 0x00;
    public const byte OpPrepare = 0x10;
    public const byte OpAbort = 0x20;
    public const byte OpCommitPrepared = 0x30;
    public const byte OpAbortPrepared = 0x40;
    public const byte OpAssignment = 0x50;
    public const byte OpInvalidations = 0x60;
    public const byte OpMask = 0x70;

    /// <summary>Set in a record's info byte when the body has an <see cref="XactInfo"/>.</summary>
    public const byte HasInfo = 0x80;

    /// <summary>Set in a record's info byte when it removes files (XLR_SPECIAL_REL_UPDATE).</summary>
    public const byte SpecialRelUpdate = 0x01;

    /// <summary>Bytes of one shared invalidation message.</summary>
    public const int InvalidationSize = 16;

    private const int DroppedStatsSize = 12;

    /// <summary>Microseconds since 2000-01-01 UTC.</summary>
    public long Time;

    public XactInfo Info;
    public Oid Database;
    public Oid DatabaseTablespace;
    public ReadOnlySpan<Xid> Children;
    public ReadOnlySpan<RelFileNode> Files;
    public ReadOnlySpan<byte> DroppedStats;
    public ReadOnlySpan<byte> Invalidations;

    /// <summary>The prepared transaction that ends; invalid for a plain commit or abort.</summary>
    public Xid TwoPhaseXid;

    /// <summary>The prepared transaction's name; only with wal_level logical.</summary>
    public ReadOnlySpan<byte> GlobalId;

    /// <summary>Where and when the transaction ended at its origin, with <see cref="XactInfo.HasOrigin"/>.</summary>
    public Lsn OriginLsn;
    public long OriginTime;

    /// <summary>Reads a body.</summary>
    /// <exception cref="StorageException">The body is shorter than its own counts say (I10).</exception>
    public static XactEnd Read(byte info, ReadOnlySpan<byte> body)
    {
        var end = default(XactEnd);
        var reader = new Cursor(body);
        end.Time = BinaryPrimitives.ReadInt64LittleEndian(reader.Take(sizeof(long)));
        if ((info & HasInfo) == 0)
        {
            return end;
        }

        end.Info = (XactInfo)reader.UInt32();
        if ((end.Info & XactInfo.HasDatabase) != 0)
        {
            end.Database = new Oid(reader.UInt32());
            end.DatabaseTablespace = new Oid(reader.UInt32());
        }

        if ((end.Info & XactInfo.HasChildren) != 0)
        {
            end.Children = MemoryMarshal.Cast<byte, Xid>(reader.TakeCounted(Xid.Size));
        }

        if ((end.Info & XactInfo.HasFiles) != 0)
        {
            end.Files = MemoryMarshal.Cast<byte, RelFileNode>(reader.TakeCounted(RelFileNode.Size));
        }

        if ((end.Info & XactInfo.HasDroppedStats) != 0)
        {
            end.DroppedStats = reader.TakeCounted(DroppedStatsSize);
        }

        if ((end.Info & XactInfo.HasInvalidations) != 0)
        {
            end.Invalidations = reader.TakeCounted(InvalidationSize);
        }

        if ((end.Info & XactInfo.HasTwoPhase) != 0)
        {
            end.TwoPhaseXid = new Xid(reader.UInt32());
            if ((end.Info & XactInfo.HasGid) != 0)
            {
                end.GlobalId = reader.Text();
            }
        }

        if ((end.Info & XactInfo.HasOrigin) != 0)
        {
            end.OriginLsn = new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(reader.Take(sizeof(ulong))));
            end.OriginTime = BinaryPrimitives.ReadInt64LittleEndian(reader.Take(sizeof(long)));
        }

        return end;
    }

    /// <summary>
    /// Writes the body into <paramref name="into"/>, which grows as needed, and gives its length; sets the parts' flags in <see cref="Info"/> by what is there,
    /// and <paramref name="info"/> to the op code with its flags.
    /// </summary>
    public int Write(byte op, ref byte[] into, out byte info)
    {
        Info |= (Invalidations.IsEmpty || op is not (OpCommit or OpCommitPrepared) ? 0 : XactInfo.HasDatabase | XactInfo.HasInvalidations)
            | (Children.IsEmpty ? 0 : XactInfo.HasChildren)
            | (Files.IsEmpty ? 0 : XactInfo.HasFiles)
            | (DroppedStats.IsEmpty ? 0 : XactInfo.HasDroppedStats)
            | (TwoPhaseXid.IsValid ? XactInfo.HasTwoPhase : 0);
        int most = 64 + (Children.Length * Xid.Size) + (Files.Length * RelFileNode.Size) + DroppedStats.Length + Invalidations.Length;
        if (into.Length < most)
        {
            into = new byte[most * 2];
        }

        info = (byte)(op | (Files.IsEmpty ? 0 : SpecialRelUpdate) | (Info == 0 ? 0 : HasInfo));
        BinaryPrimitives.WriteInt64LittleEndian(into, Time);
        int at = sizeof(long);
        if (Info == 0)
        {
            return at;
        }

        Put(into, ref at, (uint)Info);
        if ((Info & XactInfo.HasDatabase) != 0)
        {
            Put(into, ref at, Database.Value);
            Put(into, ref at, DatabaseTablespace.Value);
        }

        PutCounted(into, ref at, Children.Length, MemoryMarshal.AsBytes(Children));
        PutCounted(into, ref at, Files.Length, MemoryMarshal.AsBytes(Files));
        PutCounted(into, ref at, DroppedStats.Length / DroppedStatsSize, DroppedStats);
        if ((Info & XactInfo.HasInvalidations) != 0)
        {
            PutCounted(into, ref at, Invalidations.Length / InvalidationSize, Invalidations);
        }

        if (TwoPhaseXid.IsValid)
        {
            Put(into, ref at, TwoPhaseXid.Value);
        }

        return at;
    }

    private static void Put(byte[] into, ref int at, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(into.AsSpan(at), value);
        at += sizeof(uint);
    }

    private static void PutCounted(byte[] into, ref int at, int count, ReadOnlySpan<byte> items)
    {
        if (count != 0)
        {
            Put(into, ref at, (uint)count);
            items.CopyTo(into.AsSpan(at));
            at += items.Length;
        }
    }

    private ref struct Cursor(ReadOnlySpan<byte> rest)
    {
        private ReadOnlySpan<byte> _rest = rest;

        public ReadOnlySpan<byte> Take(int count)
        {
            if (count < 0 || count > _rest.Length)
            {
                throw new StorageException("a commit or abort record is shorter than it says");
            }

            ReadOnlySpan<byte> taken = _rest[..count];
            _rest = _rest[count..];
            return taken;
        }

        public ReadOnlySpan<byte> Text()
        {
            ReadOnlySpan<byte> text = Take(_rest.IndexOf((byte)0));
            Take(1);
            return text;
        }

        public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));

        public ReadOnlySpan<byte> TakeCounted(int size)
        {
            long count = UInt32();
            return Take(count * size > int.MaxValue ? -1 : (int)(count * size));
        }
    }
}
