using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Slru;

namespace SharedStorage.Transactions;

/// <summary>
/// pg_subtrans: the parent of each running subtransaction (PostgreSQL's subtrans.c). Nothing of it outlives a restart: pages begin as zeros and are never
/// read from disk, so no record and no gate is needed; they are written at checkpoints because PostgreSQL writes them.
/// </summary>
public sealed class Subtrans(SlruFiles files)
{
    /// <summary>These pages count in no position of the log; any value but the largest means dirty.</summary>
    private static readonly Lsn AlwaysDirty = new(1);

    public SlruCache Cache { get; } = new(files, gated: false);

    /// <summary>The parent, or invalid for a top-level transaction.</summary>
    public Xid ParentOf(Xid xid) =>
        xid.IsNormal ? new Xid(Cache.Get(SubtransLayout.PageOf(xid), SlruMissing.ReadsAsZero).ReadUInt32(SubtransLayout.OffsetOf(xid))) : Xid.Invalid;

    /// <summary>The topmost ancestor; the xid itself when it has no parent.</summary>
    public Xid TopOf(Xid xid)
    {
        while (ParentOf(xid) is { IsValid: true } parent)
        {
            // A parent is always older; anything else would make this a circle.
            Invariant.Check(parent.Precedes(xid), "subtrans", $"the parent {parent} of {xid} is younger");
            xid = parent;
        }

        return xid;
    }

    internal void SetParent(Xid xid, Xid parent)
    {
        lock (Cache.Sync)
        {
            SlruPage page = Cache.GetForChange(SubtransLayout.PageOf(xid), SlruMissing.ReadsAsZero);
            page.WriteUInt32(SubtransLayout.OffsetOf(xid), parent.Value);
            SlruCache.WillChange(page, AlwaysDirty);
        }
    }

    internal void Extend(Xid xid)
    {
        if (SubtransLayout.StartsPage(xid))
        {
            Zero(SubtransLayout.PageOf(xid));
        }
    }

    /// <summary>Begins the pages from the oldest running to the next xid as zeros (StartupSUBTRANS).</summary>
    internal void Start(Xid oldestActive, Xid next)
    {
        uint last = SubtransLayout.PageOf(next);
        for (uint page = SubtransLayout.PageOf(oldestActive); ; page = page == SubtransLayout.PageOf(new Xid(uint.MaxValue)) ? 0 : page + 1)
        {
            Zero(page);
            if (page == last)
            {
                return;
            }
        }
    }

    private void Zero(uint number)
    {
        lock (Cache.Sync)
        {
            SlruCache.WillChange(Cache.GetZeroed(number), AlwaysDirty);
        }
    }
}
