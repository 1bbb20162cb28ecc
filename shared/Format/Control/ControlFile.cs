using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Control;

/// <summary>The state of a cluster as pg_control tells it (DBState).</summary>
public enum ClusterState
{
    StartingUp = 0,
    ShutDown = 1,
    ShutDownInRecovery = 2,
    ShuttingDown = 3,
    InCrashRecovery = 4,
    InArchiveRecovery = 5,
    InProduction = 6,
}

public enum WalLevel
{
    Minimal = 0,
    Replica = 1,
    Logical = 2,
}

/// <summary>
/// The content of <c>global/pg_control</c> (ControlFileData, pg_control.h): 296 bytes with their CRC-32C, in a file of 8192. All in one sector, so a write of it is whole or not at all.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public unsafe struct ControlFile
{
    public const int Size = 296;
    public const int FileSize = 8192;
    public const string FileName = "global/pg_control";
    public const uint ControlVersion = 1300;
    public const uint CatalogVersion = 202209061;
    private const int CrcOffset = 288;
    private const double FloatFormatMark = 1234567.0;

    [FieldOffset(0)] public ulong SystemIdentifier;
    [FieldOffset(8)] public uint Version;
    [FieldOffset(12)] public uint Catalog;
    [FieldOffset(16)] public ClusterState State;

    /// <summary>Of the last update, seconds since 1970.</summary>
    [FieldOffset(24)] public long Time;

    [FieldOffset(32)] private ulong _checkPointAt;
    [FieldOffset(40)] public CheckPoint CheckPoint;
    [FieldOffset(128)] private ulong _unloggedLsn;
    [FieldOffset(136)] private ulong _minRecoveryPoint;
    [FieldOffset(144)] private uint _minRecoveryTimeline;
    [FieldOffset(152)] private ulong _backupStart;
    [FieldOffset(160)] private ulong _backupEnd;
    [FieldOffset(168)] private byte _backupEndRequired;
    [FieldOffset(172)] public WalLevel WalLevel;
    [FieldOffset(176)] private byte _walLogHints;
    [FieldOffset(180)] public int MaxConnections;
    [FieldOffset(184)] public int MaxWorkerProcesses;
    [FieldOffset(188)] public int MaxWalSenders;
    [FieldOffset(192)] public int MaxPreparedTransactions;
    [FieldOffset(196)] public int MaxLocksPerTransaction;
    [FieldOffset(200)] private byte _trackCommitTimestamp;
    [FieldOffset(204)] public uint MaxAlign;
    [FieldOffset(208)] public double FloatFormat;
    [FieldOffset(216)] public uint BlockSize;
    [FieldOffset(220)] public uint SegmentBlocks;
    [FieldOffset(224)] public uint WalBlockSize;
    [FieldOffset(228)] public uint WalSegmentSize;
    [FieldOffset(232)] public uint NameLength;
    [FieldOffset(236)] public uint IndexMaxKeys;
    [FieldOffset(240)] public uint ToastChunkSize;
    [FieldOffset(244)] public uint LargeObjectBlock;
    [FieldOffset(248)] private byte _float8ByValue;

    /// <summary>0: pages carry no checksums.</summary>
    [FieldOffset(252)] public uint DataChecksumVersion;

    [FieldOffset(256)] private fixed byte _nonce[32];
    [FieldOffset(CrcOffset)] private uint _crc;

    /// <summary>Where the last checkpoint record begins.</summary>
    public Lsn CheckPointAt
    {
        readonly get => new(_checkPointAt);
        set => _checkPointAt = value.Value;
    }

    public Lsn UnloggedLsn
    {
        readonly get => new(_unloggedLsn);
        set => _unloggedLsn = value.Value;
    }

    /// <summary>A recovery must reach this position on <see cref="MinRecoveryTimeline"/> before the data is consistent; invalid when there is none.</summary>
    public Lsn MinRecoveryPoint
    {
        readonly get => new(_minRecoveryPoint);
        set => _minRecoveryPoint = value.Value;
    }

    public TimelineId MinRecoveryTimeline
    {
        readonly get => new(_minRecoveryTimeline);
        set => _minRecoveryTimeline = value.Value;
    }

    public readonly Lsn BackupStart => new(_backupStart);
    public readonly Lsn BackupEnd => new(_backupEnd);
    public readonly bool BackupEndRequired => _backupEndRequired != 0;

    public bool WalLogHints
    {
        readonly get => _walLogHints != 0;
        set => _walLogHints = value ? (byte)1 : (byte)0;
    }

    public bool TrackCommitTimestamp
    {
        readonly get => _trackCommitTimestamp != 0;
        set => _trackCommitTimestamp = value ? (byte)1 : (byte)0;
    }

    public readonly bool Float8ByValue => _float8ByValue != 0;

    /// <summary>What authentication shows for users that do not exist; 32 bytes.</summary>
    public readonly byte[] MockNonce
    {
        get
        {
            fixed (byte* p = _nonce)
            {
                return new ReadOnlySpan<byte>(p, 32).ToArray();
            }
        }
    }

    /// <summary>Reads and verifies the file's bytes.</summary>
    /// <exception cref="StorageException">XX001: too short, or the CRC does not hold.</exception>
    /// <exception cref="PgException">55000: another version, layout or no checksums; the hint says what to do.</exception>
    public static ControlFile Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < Size)
        {
            throw new StorageException($"\"{FileName}\" has {bytes.Length} bytes, expected at least {Size}");
        }

        ControlFile file = MemoryMarshal.Read<ControlFile>(bytes);
        if (file.Version != ControlVersion)
        {
            throw Incompatible($"the control file has version {file.Version}, this server reads version {ControlVersion} (PostgreSQL 15)");
        }

        if (Crc32C.Compute(bytes[..CrcOffset]) != file._crc)
        {
            throw new StorageException($"incorrect checksum in control file \"{FileName}\"");
        }

        return file;
    }

    /// <summary>Reads the fields without judging them.</summary>
    /// <exception cref="StorageException">XX001: too short.</exception>
    public static ControlFile ReadUnchecked(ReadOnlySpan<byte> bytes, out bool checksumHolds)
    {
        if (bytes.Length < Size)
        {
            throw new StorageException($"\"{FileName}\" has {bytes.Length} bytes, expected at least {Size}");
        }

        ControlFile file = MemoryMarshal.Read<ControlFile>(bytes);
        checksumHolds = Crc32C.Compute(bytes[..CrcOffset]) == file._crc;
        return file;
    }

    /// <summary>Whether this server can serve a directory with this control file.</summary>
    /// <exception cref="PgException">55000: a layout that it was not built for, or no checksums.</exception>
    public readonly void CheckCompatible()
    {
        if (Catalog != CatalogVersion)
        {
            throw Incompatible($"the catalogs have version {Catalog}, this server reads version {CatalogVersion}");
        }

        if (MaxAlign != 8 || FloatFormat != FloatFormatMark || BlockSize != 8192 || SegmentBlocks != 131072 || WalBlockSize != 8192
            || NameLength != 64 || IndexMaxKeys != 32 || ToastChunkSize != 1996 || LargeObjectBlock != 2048 || !Float8ByValue)
        {
            throw Incompatible("the directory was initialized by a PostgreSQL built with other block sizes or limits");
        }

        if (DataChecksumVersion == 0)
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "the data directory has no data checksums")
            {
                Hint = "Stop the server and enable them with: pg_checksums --enable -D DIRECTORY",
            };
        }
    }

    /// <summary>The file's 8192 bytes, with a fresh CRC.</summary>
    public void Write(Span<byte> file)
    {
        file.Clear();
        MemoryMarshal.Write(file, in this);
        _crc = Crc32C.Compute(file[..CrcOffset]);
        MemoryMarshal.Write(file, in this);
    }

    private static PgException Incompatible(string detail) =>
        new(SqlStates.ObjectNotInPrerequisiteState, "database files are incompatible with server") { Detail = detail };
}
