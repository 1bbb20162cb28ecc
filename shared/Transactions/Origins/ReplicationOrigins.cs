using System.Buffers.Binary;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Origins;

/// <summary>
/// How far each replication origin has been applied here (PostgreSQL's origin.c): the position at the origin, and where its commit ends in our log. Advanced by commit, abort and prepare
/// records that carry an origin and by SET; a checkpoint of the writer leaves it in pg_logical/replorigin_checkpoint.
/// </summary>
public sealed class ReplicationOrigins(string dataDirectory)
{
    public const byte OpSet = 0x00;
    public const byte OpDrop = 0x10;
    public const string FileName = "pg_logical/replorigin_checkpoint";

    private const uint Magic = 0x1257DADE;
    private const int EntrySize = 16;
    private readonly SortedDictionary<ushort, (Lsn Remote, Lsn Local)> _progress = [];
    private readonly Lock _lock = new();

    // What the file holds since this node's last save: a checkpoint without news needs no room.
    private byte[] _saved = [];

    /// <summary>Origin, its position, and the end of the record here that told of it, by origin.</summary>
    public IReadOnlyList<(ushort Origin, Lsn Remote, Lsn Local)> List()
    {
        lock (_lock)
        {
            return [.. _progress.Select(p => (p.Key, p.Value.Remote, p.Value.Local))];
        }
    }

    /// <summary>Reads what the last checkpoint left; it may be ahead of the log's redo, and then the records that follow do not move it back.</summary>
    /// <exception cref="StorageException">The file is damaged.</exception>
    internal void Load()
    {
        byte[]? bytes = DurableFile.TryRead(Path.Combine(dataDirectory, FileName));
        lock (_lock)
        {
            _progress.Clear();
            foreach ((ushort origin, Lsn remote) in bytes is null ? [] : Parse(bytes))
            {
                _progress[origin] = (remote, Lsn.Invalid);
            }
        }
    }

    /// <summary>Moves an origin forward, or where it is told (replorigin_advance).</summary>
    internal void Advance(ushort origin, Lsn remote, Lsn local, bool mayGoBack = false)
    {
        lock (_lock)
        {
            (Lsn knownRemote, Lsn knownLocal) = _progress.GetValueOrDefault(origin);
            _progress[origin] = mayGoBack ? (remote, local) : (Lsn.MaxOf(knownRemote, remote), Lsn.MaxOf(knownLocal, local));
        }
    }

    internal void Drop(ushort origin)
    {
        lock (_lock)
        {
            _progress.Remove(origin);
        }
    }

    /// <summary>A checkpoint's part. The caller has flushed the log beyond every record that told of progress.</summary>
    public void Save()
    {
        byte[] bytes = ToBytes();
        if (!bytes.AsSpan().SequenceEqual(_saved))
        {
            DurableFile.Write(Path.Combine(dataDirectory, FileName), bytes);
            _saved = bytes;
        }
    }

    public byte[] ToBytes()
    {
        lock (_lock)
        {
            byte[] bytes = new byte[sizeof(uint) + (_progress.Count * EntrySize) + sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
            int at = sizeof(uint);
            foreach ((ushort origin, (Lsn remote, _)) in _progress)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), origin);
                BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at + 8), remote.Value);
                at += EntrySize;
            }

            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), Crc32C.Compute(bytes.AsSpan(0, at)));
            return bytes;
        }
    }

    /// <exception cref="StorageException">The bytes are not such a file's.</exception>
    public static IReadOnlyList<(ushort Origin, Lsn Remote)> Parse(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.Length - sizeof(uint);
        if (end < sizeof(uint) || (end - sizeof(uint)) % EntrySize != 0 || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic
            || Crc32C.Compute(bytes[..end]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[end..]))
        {
            throw new StorageException($"\"{FileName}\" is damaged: its magic number, size or checksum is wrong");
        }

        var found = new List<(ushort, Lsn)>();
        for (int at = sizeof(uint); at < end; at += EntrySize)
        {
            found.Add((BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]), new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(bytes[(at + 8)..]))));
        }

        return found;
    }
}
