using System.Text;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>Storage, Database, Tablespace, RelMap and Sequence.</summary>
internal static class FileDescription
{
    public static string? IdentifyStorage(byte info) => (info & 0xF0) switch
    {
        StorageOp.Create => "CREATE",
        StorageOp.Truncate => "TRUNCATE",
        _ => null,
    };

    public static void DescribeStorage(WalRecord record, StringBuilder into)
    {
        if (record.OpCode == StorageOp.Create)
        {
            StorageCreateRecord create = StorageCreateRecord.Read(record.MainData);
            into.Append(RelationFiles.RelativePath(create.Rel, create.Fork));
        }
        else if (record.OpCode == StorageOp.Truncate)
        {
            StorageTruncateRecord truncate = StorageTruncateRecord.Read(record.MainData);
            into.Append($"{RelationFiles.RelativePath(truncate.Rel, ForkNumber.Main)} to {truncate.Blocks} blocks flags {(int)truncate.Flags}");
        }
    }

    public static string? IdentifyDatabase(byte info) => (info & 0xF0) switch
    {
        DatabaseOp.CreateFileCopy => "CREATE_FILE_COPY",
        DatabaseOp.CreateWalLog => "CREATE_WAL_LOG",
        DatabaseOp.Drop => "DROP",
        _ => null,
    };

    public static void DescribeDatabase(WalRecord record, StringBuilder into)
    {
        switch (record.OpCode)
        {
            case DatabaseOp.CreateFileCopy:
                DatabaseCopyRecord copy = DatabaseCopyRecord.Read(record.MainData);
                into.Append($"copy dir {copy.SourceTablespace}/{copy.SourceDatabase} to {copy.Tablespace}/{copy.Database}");
                break;
            case DatabaseOp.CreateWalLog:
                DatabaseCreateRecord create = DatabaseCreateRecord.Read(record.MainData);
                into.Append($"create dir {create.Tablespace}/{create.Database}");
                break;
            case DatabaseOp.Drop:
                DatabaseDropRecord drop = DatabaseDropRecord.Read(record.MainData);
                into.Append("dir");
                foreach (Oid tablespace in drop.Tablespaces)
                {
                    into.Append($" {tablespace}/{drop.Database}");
                }

                break;
        }
    }

    public static string? IdentifyTablespace(byte info) => (info & 0xF0) switch
    {
        TablespaceOp.Create => "CREATE",
        TablespaceOp.Drop => "DROP",
        _ => null,
    };

    public static void DescribeTablespace(WalRecord record, StringBuilder into)
    {
        if (record.OpCode == TablespaceOp.Create)
        {
            TablespaceCreateRecord create = TablespaceCreateRecord.Read(record.MainData);
            into.Append($"{create.Tablespace} \"{create.Path}\"");
        }
        else if (record.OpCode == TablespaceOp.Drop)
        {
            into.Append(TablespaceDropRecord.Read(record.MainData).Tablespace);
        }
    }

    public static string? IdentifyRelMap(byte info) => (info & 0xF0) == RelMapOp.Update ? "UPDATE" : null;

    public static void DescribeRelMap(WalRecord record, StringBuilder into)
    {
        if (record.OpCode == RelMapOp.Update)
        {
            RelMapUpdateRecord update = RelMapUpdateRecord.Read(record.MainData);
            into.Append($"database {update.Database} tablespace {update.Tablespace} size {update.File.Length}");
        }
    }

    public static string? IdentifySequence(byte info) => (info & 0xF0) == SequenceOp.Log ? "LOG" : null;

    public static void DescribeSequence(WalRecord record, StringBuilder into)
    {
        if (record.OpCode == SequenceOp.Log)
        {
            into.Append($"rel {SequenceRecord.Read(record.MainData).Rel}");
        }
    }
}
