using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions.TwoPhase;

/// <summary>
/// A prepared transaction: what its PREPARE record says, which is also what its file in pg_twophase holds before its CRC (PostgreSQL's twophase.c). The state's tail are the parts of
/// resource managers: locks, statistics, the oldest multixact, predicate locks.
/// </summary>
public sealed class PreparedTransaction
{
    private const uint Magic = 0x57F94534;
    private const int PartHeaderSize = 8;
    private const byte PartEnd = 0;
    private const byte PartLock = 1;
    private const byte PartMultiXact = 3;
    private const byte LastPart = 4;
    private readonly byte[] _state;

    private PreparedTransaction(byte[] state, in XactPrepareRecord header, Lsn start, Lsn end)
    {
        _state = state;
        Xid = header.Xid;
        GlobalId = Encoding.UTF8.GetString(header.GlobalId);
        Database = header.Database;
        Owner = header.Owner;
        PreparedAt = header.Time;
        OriginLsn = header.OriginLsn;
        Children = header.Subtransactions.ToArray();
        Start = start;
        End = end;
        ReadParts(header.Parts);
    }

    public Xid Xid { get; }
    public string GlobalId { get; }
    public Oid Database { get; }
    public Oid Owner { get; }

    /// <summary>Microseconds since 2000-01-01 UTC.</summary>
    public long PreparedAt { get; }

    public Lsn OriginLsn { get; }
    public Xid[] Children { get; }

    /// <summary>Its PREPARE record; invalid when it came from a file.</summary>
    public Lsn Start { get; }

    public Lsn End { get; }

    /// <summary>A file in pg_twophase holds it.</summary>
    public bool IsOnDisk { get; internal set; }

    /// <summary>The oldest multixact that can have one of its xids as a member; invalid for none.</summary>
    public MultiXactId OldestMultiXact { get; private set; }

    /// <summary>The locks that it holds until it ends; not those on its own xids.</summary>
    public IReadOnlyList<(LockTag Tag, LockMode Mode)> Locks { get; private set; } = [];

    /// <summary>The state as the record has it.</summary>
    public ReadOnlySpan<byte> State => _state;

    /// <summary>The state's header, for what a commit or abort does.</summary>
    public XactPrepareRecord Header => XactPrepareRecord.Read(_state);

    /// <exception cref="StorageException">The body is not a state's (I10).</exception>
    public static PreparedTransaction FromRecord(ReadOnlySpan<byte> body, Lsn start, Lsn end) => Read(body.ToArray(), start, end);

    /// <summary>Reads a file of pg_twophase.</summary>
    /// <exception cref="StorageException">Its size, magic number or CRC is wrong.</exception>
    public static PreparedTransaction FromFile(string name, ReadOnlySpan<byte> bytes)
    {
        int length = bytes.Length - sizeof(uint);
        if (length < sizeof(uint) || Crc32C.Compute(bytes[..length]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[length..]))
        {
            throw new StorageException($"the two-phase state file \"{name}\" is damaged: its checksum is wrong");
        }

        PreparedTransaction found = Read(bytes[..length].ToArray(), Lsn.Invalid, Lsn.Invalid);
        found.IsOnDisk = true;
        return found.FileName == name ? found : throw new StorageException($"the two-phase state file \"{name}\" is transaction {found.Xid}'s");
    }

    /// <summary>The name of its file: the xid in eight hexadecimal digits.</summary>
    public string FileName => Xid.Value.ToString("X8", CultureInfo.InvariantCulture);

    public byte[] ToFileBytes()
    {
        byte[] bytes = new byte[_state.Length + sizeof(uint)];
        _state.CopyTo(bytes.AsSpan());
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(_state.Length), Crc32C.Compute(_state));
        return bytes;
    }

    public bool Owns(Xid xid) => xid == Xid || Array.IndexOf(Children, xid) >= 0;

    private static PreparedTransaction Read(byte[] state, Lsn start, Lsn end)
    {
        uint magic = state.Length < 2 * sizeof(uint) ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(state);
        if (magic != Magic || BinaryPrimitives.ReadUInt32LittleEndian(state.AsSpan(sizeof(uint))) != state.Length + sizeof(uint))
        {
            throw new StorageException("the state of a prepared transaction has a wrong magic number or length");
        }

        return new PreparedTransaction(state, XactPrepareRecord.Read(state), start, end);
    }

    private void ReadParts(ReadOnlySpan<byte> parts)
    {
        var locks = new List<(LockTag, LockMode)>();
        while (true)
        {
            if (parts.Length < PartHeaderSize)
            {
                throw new StorageException($"the state of prepared transaction {Xid} has no end");
            }

            int length = BinaryPrimitives.ReadInt32LittleEndian(parts);
            byte kind = parts[4];
            parts = parts[PartHeaderSize..];
            if (kind == PartEnd)
            {
                break;
            }

            int padded = (length + 7) & ~7;
            if (kind > LastPart || length < 0 || padded > parts.Length)
            {
                throw new StorageException($"the state of prepared transaction {Xid} has an unknown or malformed part {kind}");
            }

            if (kind == PartLock && TwoPhaseLock.TryRead(parts[..length]) is { } held)
            {
                locks.Add(held);
            }
            else if (kind == PartMultiXact)
            {
                OldestMultiXact = new MultiXactId(BinaryPrimitives.ReadUInt32LittleEndian(parts));
            }

            parts = parts[padded..];
        }

        Locks = locks;
    }
}

/// <summary>A lock in a prepared transaction's state: LOCKTAG and mode (TwoPhaseLockRecord, lock.c).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal readonly record struct TwoPhaseLock(uint Field1, uint Field2, uint Field3, ushort Field4, byte Kind, byte Method, int Mode)
{
    public const int Size = 20;
    private const byte AdvisoryMethod = 2;

    /// <summary>Null for a lock that needs not be held: the one on a transaction's own xid is not in the lock table here, and virtual ids do not outlive their session.</summary>
    /// <exception cref="StorageException">Malformed.</exception>
    internal static (LockTag Tag, LockMode Mode)? TryRead(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < Size)
        {
            throw new StorageException("a prepared transaction's lock is too short");
        }

        TwoPhaseLock l = MemoryMarshal.Read<TwoPhaseLock>(bytes);
        var database = new Oid(l.Field1);
        LockTag? tag = l.Kind switch
        {
            0 => LockTag.Relation(database, new Oid(l.Field2)),
            1 => LockTag.RelationExtend(database, new Oid(l.Field2)),
            2 => new LockTag(LockKind.Database, database, 0, 0, 0),
            3 => new LockTag(LockKind.Page, database, l.Field2, l.Field3, 0),
            4 => LockTag.Tuple(database, new Oid(l.Field2), new Tid(new BlockNumber(l.Field3), l.Field4)),
            5 or 6 => null,
            8 => LockTag.OfObject(database, new Oid(l.Field2), new Oid(l.Field3), l.Field4),
            10 when l.Method == AdvisoryMethod => LockTag.Advisory(database, l.Field2, l.Field3, l.Field4),
            _ => throw new StorageException($"a prepared transaction holds a lock of unknown kind {l.Kind}"),
        };
        return tag is { } known ? (known, (LockMode)l.Mode) : null;
    }
}
