using System.Collections.Concurrent;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Reader.Attach;

/// <summary>
/// Which relations are cut or dropped by log that is verified but not applied yet: what explains files that a stock writer has changed already. One thread notes and forgets, in the
/// order of the log; sessions ask.
/// </summary>
internal sealed class ComingChanges
{
    private readonly ConcurrentDictionary<RelFileNode, Lsn> _cuts = new();
    private readonly ConcurrentDictionary<RelFileNode, Lsn> _drops = new();
    private readonly ConcurrentDictionary<Oid, Lsn> _databases = new();

    /// <summary>The end of the last record that cuts the relation; invalid when none does.</summary>
    public Lsn CutOf(RelFileNode rel) => _cuts.TryGetValue(rel, out Lsn end) ? end : Lsn.Invalid;

    public bool Drops(RelFileNode rel) => _drops.ContainsKey(rel) || _databases.ContainsKey(rel.Database);

    public void Note(WalRecord record)
    {
        switch (record.Rmgr)
        {
            case Rmgr.Storage when record.OpCode == StorageOp.Truncate:
                _cuts[StorageTruncateRecord.Read(record.MainData).Rel] = record.End;
                break;
            case Rmgr.Transaction when (record.Info & XactEnd.HasInfo) != 0:
                NoteDrops(record);
                break;
            case Rmgr.Database when record.OpCode == DatabaseOp.Drop:
                _databases[DatabaseDropRecord.Read(record.MainData).Database] = record.End;
                break;
        }
    }

    /// <summary>What is applied is known to the pool.</summary>
    public void Forget(Lsn applied)
    {
        Forget(_cuts, applied);
        Forget(_drops, applied);
        Forget(_databases, applied);
    }

    private void NoteDrops(WalRecord record)
    {
        if ((byte)(record.Info & XactEnd.OpMask) is XactEnd.OpCommit or XactEnd.OpAbort or XactEnd.OpCommitPrepared or XactEnd.OpAbortPrepared)
        {
            foreach (RelFileNode rel in XactEnd.Read(record.Info, record.MainData).Files)
            {
                _drops[rel] = record.End;
            }
        }
    }

    private static void Forget<T>(ConcurrentDictionary<T, Lsn> changes, Lsn applied)
        where T : notnull
    {
        if (changes.IsEmpty)
        {
            return;
        }

        foreach ((T key, Lsn end) in changes)
        {
            if (end <= applied)
            {
                changes.TryRemove(KeyValuePair.Create(key, end));
            }
        }
    }
}
