using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

internal static class StandbyDescription
{
    public static string? Identify(byte info) => (info & 0xF0) switch
    {
        StandbyOp.Lock => "LOCK",
        StandbyOp.RunningTransactions => "RUNNING_XACTS",
        StandbyOp.Invalidations => "INVALIDATIONS",
        _ => null,
    };

    public static void Describe(WalRecord record, StringBuilder into)
    {
        switch (record.OpCode)
        {
            case StandbyOp.Lock:
                foreach (StandbyLock held in StandbyLocksRecord.Read(record.MainData))
                {
                    into.Append($"xid {held.Xid} db {held.Database} rel {held.Relation} ");
                }

                break;
            case StandbyOp.RunningTransactions:
                Running(RunningXacts.Read(record.MainData), into);
                break;
            case StandbyOp.Invalidations:
                StandbyInvalidationsRecord r = StandbyInvalidationsRecord.Read(record.MainData);
                XactDescription.Invalidations(r.Messages, r.Database, r.Tablespace, r.InvalidatesInitFile, into);
                break;
        }
    }

    private static void Running(in RunningXacts r, StringBuilder into)
    {
        into.Append($"nextXid {r.Next} latestCompletedXid {r.LatestCompleted} oldestRunningXid {r.OldestRunning}");
        if (r.TopCount > 0)
        {
            into.Append($"; {r.TopCount} xacts:");
            foreach (Xid xid in r.Xids[..r.TopCount])
            {
                into.Append($" {xid}");
            }
        }

        into.Append(r.ChildrenMissing ? "; subxid ovf" : "");
    }
}
