using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Multi;

/// <summary>How a member of a multixact holds the row, by PostgreSQL's numbers on disk (multixact.h).</summary>
public enum MultiXactStatus : uint
{
    ForKeyShare = 0,
    ForShare = 1,
    ForNoKeyUpdate = 2,
    ForUpdate = 3,
    NoKeyUpdate = 4,

    /// <summary>An update that changes key columns, or a delete.</summary>
    Update = 5,
}

/// <summary>One transaction of a multixact; the eight bytes of it in a log record.</summary>
public readonly record struct MultiXactMember(Xid Xid, MultiXactStatus Status)
{
    public const int Size = 8;

    /// <summary>Whether the member changed the row, not only locked it.</summary>
    public bool IsUpdate => Status > MultiXactStatus.ForUpdate;
}

/// <summary>Where pg_multixact's two counters stand; in checkpoints and in the control file.</summary>
public readonly record struct MultiXactLimits(MultiXactId Next, uint NextOffset, MultiXactId Oldest, Oid OldestDatabase);
