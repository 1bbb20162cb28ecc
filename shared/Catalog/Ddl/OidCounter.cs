using System.Buffers.Binary;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Catalog.Ddl;

/// <summary>
/// The node's counter of object numbers (PostgreSQL's GetNewObjectId). It starts at the checkpoint's next number and reserves 8192 at a time in the log, so
/// after a crash no number is given twice. It wraps to 16384; whoever takes a number checks that it is free in the catalog.
/// </summary>
public sealed class OidCounter(Oid next)
{
    private const uint Prefetch = 8192;
    private const byte XlogNextOid = 0x30;

    private readonly Lock _lock = new();
    private uint _next = next.Value;
    private uint _reserved;

    /// <summary>The next number that a checkpoint records; with <paramref name="shutdown"/> the reserved ones are given back.</summary>
    public Oid ForCheckpoint(bool shutdown)
    {
        lock (_lock)
        {
            return new Oid(shutdown ? _next : _next + _reserved);
        }
    }

    /// <summary>A record of the log reserved numbers up to here (XLOG_NEXTOID), or a checkpoint names the next one.</summary>
    public void Replay(Oid next)
    {
        lock (_lock)
        {
            _next = next.Value;
            _reserved = 0;
        }
    }

    public Oid Next(WalInserter wal)
    {
        lock (_lock)
        {
            if (_next < Oid.FirstNormal.Value)
            {
                _next = Oid.FirstNormal.Value;
                _reserved = 0;
            }

            if (_reserved == 0)
            {
                Span<byte> body = stackalloc byte[Oid.Size];
                BinaryPrimitives.WriteUInt32LittleEndian(body, _next + Prefetch);
                wal.Insert(wal.Begin(Xid.Invalid).AddData(body), Rmgr.Xlog, XlogNextOid);
                _reserved = Prefetch;
            }

            _reserved--;
            return new Oid(_next++);
        }
    }
}
