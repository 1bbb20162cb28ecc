using System.Runtime.InteropServices;
using System.Text;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

internal static class XactDescription
{
    public static string? Identify(byte info) => (info & XactOp.Mask) switch
    {
        XactOp.Commit => "COMMIT",
        XactOp.Prepare => "PREPARE",
        XactOp.Abort => "ABORT",
        XactOp.CommitPrepared => "COMMIT_PREPARED",
        XactOp.AbortPrepared => "ABORT_PREPARED",
        XactOp.Assignment => "ASSIGNMENT",
        XactOp.Invalidations => "INVALIDATION",
        _ => null,
    };

    public static void Describe(WalRecord record, StringBuilder into)
    {
        ReadOnlySpan<byte> body = record.MainData;
        switch (record.Info & XactOp.Mask)
        {
            case XactOp.Commit:
            case XactOp.CommitPrepared:
                Commit(XactEnd.Read(record.Info, body), record.Origin, into);
                break;
            case XactOp.Abort:
            case XactOp.AbortPrepared:
                Abort(XactEnd.Read(record.Info, body), record.Origin, into);
                break;
            case XactOp.Prepare:
                Prepare(XactPrepareRecord.Read(body), record.Origin, into);
                break;
            case XactOp.Assignment:
                XactAssignmentRecord assignment = XactAssignmentRecord.Read(body);
                into.Append($"xtop {assignment.Top}: subxacts:");
                Xids(assignment.Subtransactions, into);
                break;
            case XactOp.Invalidations:
                Invalidations(XactInvalidationsRecord.Read(body), Oid.Invalid, Oid.Invalid, initFile: false, into);
                break;
        }
    }

    /// <summary>Shared invalidation messages of 16 bytes: a signed number of kind or cache, then four-byte fields.</summary>
    public static void Invalidations(ReadOnlySpan<byte> messages, Oid database, Oid tablespace, bool initFile, StringBuilder into)
    {
        if (messages.IsEmpty)
        {
            return;
        }

        if (initFile)
        {
            into.Append($"; relcache init file inval dbid {database} tsid {tablespace}");
        }

        into.Append("; inval msgs:");
        for (; messages.Length >= XactEnd.InvalidationSize; messages = messages[XactEnd.InvalidationSize..])
        {
            sbyte id = (sbyte)messages[0];
            ReadOnlySpan<uint> fields = MemoryMarshal.Cast<byte, uint>(messages[..XactEnd.InvalidationSize]);
            switch (id)
            {
                case >= 0:
                    into.Append($" catcache {id}");
                    break;
                case -1:
                    into.Append($" catalog {fields[2]}");
                    break;
                case -2:
                    into.Append($" relcache {fields[2]}");
                    break;
                case -3:
                    into.Append(" smgr");
                    break;
                case -4:
                    into.Append($" relmap db {fields[1]}");
                    break;
                case -5:
                    into.Append($" snapshot {fields[2]}");
                    break;
                default:
                    into.Append($" unrecognized id {id}");
                    break;
            }
        }
    }

    private static void Commit(in XactEnd end, ushort origin, StringBuilder into)
    {
        Begin(in end, into);
        Relations("rels", end.Files, into);
        Subtransactions(end.Children, into);
        Statistics("", MemoryMarshal.Cast<byte, DroppedStatistics>(end.DroppedStats), into);
        Invalidations(end.Invalidations, end.Database, end.DatabaseTablespace, (end.Info & XactInfo.RelcacheInitFile) != 0, into);
        into.Append((end.Info & XactInfo.ApplyFeedback) != 0 ? "; apply_feedback" : "");
        into.Append((end.Info & XactInfo.ForceSyncCommit) != 0 ? "; sync" : "");
        if ((end.Info & XactInfo.HasOrigin) != 0)
        {
            Origin(origin, end.OriginLsn, end.OriginTime, into);
        }
    }

    private static void Abort(in XactEnd end, ushort origin, StringBuilder into)
    {
        Begin(in end, into);
        Relations("rels", end.Files, into);
        Subtransactions(end.Children, into);
        if ((end.Info & XactInfo.HasOrigin) != 0)
        {
            Origin(origin, end.OriginLsn, end.OriginTime, into);
        }

        Statistics("", MemoryMarshal.Cast<byte, DroppedStatistics>(end.DroppedStats), into);
    }

    private static void Prepare(in XactPrepareRecord prepare, ushort origin, StringBuilder into)
    {
        into.Append($"gid {Encoding.UTF8.GetString(prepare.GlobalId)}: {LocalClock.TimestampToString(prepare.Time)}");
        Relations("rels(commit)", prepare.CommitRelFileNodes, into);
        Relations("rels(abort)", prepare.AbortRelFileNodes, into);
        Statistics("commit ", prepare.CommitStatistics, into);
        Statistics("abort ", prepare.AbortStatistics, into);
        Subtransactions(prepare.Subtransactions, into);
        Invalidations(prepare.Invalidations, prepare.Database, Oid.Invalid, prepare.InvalidatesInitFile, into);
        if (origin != 0)
        {
            Origin(origin, prepare.OriginLsn, prepare.OriginTime, into);
        }
    }

    private static void Begin(in XactEnd end, StringBuilder into)
    {
        if (end.TwoPhaseXid.IsValid)
        {
            into.Append($"{end.TwoPhaseXid}: ");
        }

        into.Append(LocalClock.TimestampToString(end.Time));
    }

    private static void Relations(string label, ReadOnlySpan<RelFileNode> files, StringBuilder into)
    {
        if (files.IsEmpty)
        {
            return;
        }

        into.Append($"; {label}:");
        foreach (RelFileNode rel in files)
        {
            into.Append(' ').Append(RelationFiles.RelativePath(rel, ForkNumber.Main));
        }
    }

    private static void Subtransactions(ReadOnlySpan<Xid> xids, StringBuilder into)
    {
        if (!xids.IsEmpty)
        {
            into.Append("; subxacts:");
            Xids(xids, into);
        }
    }

    private static void Xids(ReadOnlySpan<Xid> xids, StringBuilder into)
    {
        foreach (Xid xid in xids)
        {
            into.Append($" {xid.Value}");
        }
    }

    private static void Statistics(string label, ReadOnlySpan<DroppedStatistics> items, StringBuilder into)
    {
        if (items.IsEmpty)
        {
            return;
        }

        into.Append($"; {label}dropped stats:");
        foreach (DroppedStatistics item in items)
        {
            into.Append($" {item.Kind}/{item.Database}/{item.Object}");
        }
    }

    private static void Origin(ushort node, Lsn lsn, long time, StringBuilder into) =>
        into.Append($"; origin: node {node}, lsn {lsn}, at {LocalClock.TimestampToString(time)}");
}
