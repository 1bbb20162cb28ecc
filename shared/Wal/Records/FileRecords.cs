using System.Runtime.InteropServices;
using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Wal.Records;

/// <summary>What "Storage" logs (storage_xlog.h).</summary>
public static class StorageOp
{
    public const byte Create = 0x10;
    public const byte Truncate = 0x20;
}

/// <summary>CREATE: a fork's file comes into being (xl_smgr_create).</summary>
public readonly record struct StorageCreateRecord(RelFileNode Rel, ForkNumber Fork)
{
    public static StorageCreateRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        RelFileNode rel = reader.Rel();
        uint fork = reader.UInt32();
        return fork <= (uint)ForkNumber.Init
            ? new StorageCreateRecord(rel, (ForkNumber)fork)
            : throw new StorageException($"a record creates fork {fork} of relation {rel}");
    }

    public void Write(WalRecordBuilder record) => record.AddData(Rel).AddData((int)Fork);
}

[Flags]
public enum StorageTruncateFlags
{
    Heap = 1,
    VisibilityMap = 2,
    FreeSpaceMap = 4,
    All = 7,
}

/// <summary>TRUNCATE: forks are cut to this many heap blocks (xl_smgr_truncate).</summary>
public readonly record struct StorageTruncateRecord(uint Blocks, RelFileNode Rel, StorageTruncateFlags Flags)
{
    public static StorageTruncateRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new StorageTruncateRecord(reader.UInt32(), reader.Rel(), (StorageTruncateFlags)reader.Int32());
    }

    public void Write(WalRecordBuilder record) => record.AddData(Blocks).AddData(Rel).AddData((int)Flags);
}

/// <summary>What "Database" logs (dbcommands_xlog.h).</summary>
public static class DatabaseOp
{
    public const byte CreateFileCopy = 0x00;
    public const byte CreateWalLog = 0x10;
    public const byte Drop = 0x20;
}

/// <summary>CREATE_FILE_COPY: a database's folder is copied (xl_dbase_create_file_copy_rec).</summary>
public readonly record struct DatabaseCopyRecord(Oid Database, Oid Tablespace, Oid SourceDatabase, Oid SourceTablespace)
{
    public static DatabaseCopyRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new DatabaseCopyRecord(reader.Oid(), reader.Oid(), reader.Oid(), reader.Oid());
    }

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>CREATE_WAL_LOG: a database's folder is made; its pages follow as records (xl_dbase_create_wal_log_rec).</summary>
public readonly record struct DatabaseCreateRecord(Oid Database, Oid Tablespace)
{
    public static DatabaseCreateRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new DatabaseCreateRecord(reader.Oid(), reader.Oid());
    }

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>DROP: a database's folders are removed (xl_dbase_drop_rec).</summary>
public readonly ref struct DatabaseDropRecord
{
    public Oid Database { get; init; }
    public ReadOnlySpan<Oid> Tablespaces { get; init; }

    public static DatabaseDropRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new DatabaseDropRecord { Database = reader.Oid(), Tablespaces = reader.Array<Oid>(reader.Int32()) };
    }

    public void Write(WalRecordBuilder record) =>
        record.AddData(Database).AddData(Tablespaces.Length).AddData(MemoryMarshal.AsBytes(Tablespaces));
}

/// <summary>What "Tablespace" logs (tablespace.h).</summary>
public static class TablespaceOp
{
    public const byte Create = 0x00;
    public const byte Drop = 0x10;
}

/// <summary>CREATE (xl_tblspc_create_rec).</summary>
public readonly record struct TablespaceCreateRecord(Oid Tablespace, string Path)
{
    public static TablespaceCreateRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new TablespaceCreateRecord(reader.Oid(), Encoding.UTF8.GetString(reader.Text()));
    }

    public void Write(WalRecordBuilder record) => record.AddData(Tablespace).AddData(Encoding.UTF8.GetBytes(Path + "\0"));
}

/// <summary>DROP (xl_tblspc_drop_rec).</summary>
public readonly record struct TablespaceDropRecord(Oid Tablespace)
{
    public static TablespaceDropRecord Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).Oid());

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>What "RelMap" logs (relmapper.h).</summary>
public static class RelMapOp
{
    public const byte Update = 0x00;
}

/// <summary>UPDATE: the new contents of a relation map file; database 0 is the shared one (xl_relmap_update).</summary>
public readonly ref struct RelMapUpdateRecord
{
    public Oid Database { get; init; }
    public Oid Tablespace { get; init; }
    public ReadOnlySpan<byte> File { get; init; }

    public static RelMapUpdateRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new RelMapUpdateRecord { Database = reader.Oid(), Tablespace = reader.Oid(), File = reader.Array<byte>(reader.Int32()) };
    }

    public void Write(WalRecordBuilder record) => record.AddData(Database).AddData(Tablespace).AddData(File.Length).AddData(File);
}

/// <summary>What "Sequence" logs (sequence.h). Block 0 is made anew from the row.</summary>
public static class SequenceOp
{
    public const byte Log = 0x00;
}

/// <summary>LOG: the sequence's only row (xl_seq_rec and the row).</summary>
public readonly ref struct SequenceRecord
{
    public RelFileNode Rel { get; init; }
    public ReadOnlySpan<byte> Row { get; init; }

    public static SequenceRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new SequenceRecord { Rel = reader.Rel(), Row = reader.Take(reader.Remaining) };
    }

    public void Write(WalRecordBuilder record) => record.AddData(Rel).AddData(Row);
}
