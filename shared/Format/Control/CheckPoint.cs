using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Control;

/// <summary>What a checkpoint record says, and pg_control repeats (PostgreSQL's CheckPoint, pg_control.h).</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct CheckPoint
{
    public const int Size = 88;

    [FieldOffset(0)] private ulong _redo;
    [FieldOffset(8)] private uint _timeline;
    [FieldOffset(12)] private uint _previousTimeline;
    [FieldOffset(16)] private byte _fullPageWrites;
    [FieldOffset(24)] private ulong _nextXid;
    [FieldOffset(32)] private uint _nextOid;
    [FieldOffset(36)] private uint _nextMulti;

    /// <summary>The next free place in pg_multixact/members.</summary>
    [FieldOffset(40)] public uint NextMultiOffset;

    [FieldOffset(44)] private uint _oldestXid;
    [FieldOffset(48)] private uint _oldestXidDatabase;
    [FieldOffset(52)] private uint _oldestMulti;
    [FieldOffset(56)] private uint _oldestMultiDatabase;

    /// <summary>Seconds since 1970.</summary>
    [FieldOffset(64)] public long Time;

    [FieldOffset(72)] private uint _oldestCommitTsXid;
    [FieldOffset(76)] private uint _newestCommitTsXid;
    [FieldOffset(80)] private uint _oldestActiveXid;

    /// <summary>Where recovery begins to read.</summary>
    public Lsn Redo
    {
        readonly get => new(_redo);
        set => _redo = value.Value;
    }

    public TimelineId Timeline
    {
        readonly get => new(_timeline);
        set => _timeline = value.Value;
    }

    /// <summary>Differs from <see cref="Timeline"/> only when the record begins a new timeline.</summary>
    public TimelineId PreviousTimeline
    {
        readonly get => new(_previousTimeline);
        set => _previousTimeline = value.Value;
    }

    public bool FullPageWrites
    {
        readonly get => _fullPageWrites != 0;
        set => _fullPageWrites = value ? (byte)1 : (byte)0;
    }

    public FullXid NextXid
    {
        readonly get => new(_nextXid);
        set => _nextXid = value.Value;
    }

    public Oid NextOid
    {
        readonly get => new(_nextOid);
        set => _nextOid = value.Value;
    }

    public MultiXactId NextMulti
    {
        readonly get => new(_nextMulti);
        set => _nextMulti = value.Value;
    }

    public Xid OldestXid
    {
        readonly get => new(_oldestXid);
        set => _oldestXid = value.Value;
    }

    public Oid OldestXidDatabase
    {
        readonly get => new(_oldestXidDatabase);
        set => _oldestXidDatabase = value.Value;
    }

    public MultiXactId OldestMulti
    {
        readonly get => new(_oldestMulti);
        set => _oldestMulti = value.Value;
    }

    public Oid OldestMultiDatabase
    {
        readonly get => new(_oldestMultiDatabase);
        set => _oldestMultiDatabase = value.Value;
    }

    public Xid OldestCommitTsXid
    {
        readonly get => new(_oldestCommitTsXid);
        set => _oldestCommitTsXid = value.Value;
    }

    public Xid NewestCommitTsXid
    {
        readonly get => new(_newestCommitTsXid);
        set => _newestCommitTsXid = value.Value;
    }

    /// <summary>The oldest transaction that ran; invalid in a shutdown checkpoint.</summary>
    public Xid OldestActiveXid
    {
        readonly get => new(_oldestActiveXid);
        set => _oldestActiveXid = value.Value;
    }

    /// <exception cref="StorageException">Too short.</exception>
    public static CheckPoint Read(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= Size ? MemoryMarshal.Read<CheckPoint>(bytes) : throw new StorageException($"a checkpoint has {Size} bytes, not {bytes.Length}");

    public readonly void Write(Span<byte> bytes) => MemoryMarshal.Write(bytes, in this);
}
