using SharedStorage.Primitives;

namespace SharedStorage.Transactions;

/// <summary>What a query sees: all commits that end at or before <see cref="Lsn"/>, and its own transaction's commands before <see cref="Command"/>.</summary>
public sealed class Snapshot : IDisposable
{
    public Lsn Lsn { get; init; }
    public CommandId Command { get; init; }

    /// <summary>The transaction whose own changes are seen; null sees none.</summary>
    public Transaction? Own { get; init; }

    internal SnapshotSlot? Slot { get; set; }
    internal TransactionManager? SlotOwner { get; init; }

    /// <summary>The same moment for a later command of the same transaction (repeatable read); registered and disposed by itself.</summary>
    public Snapshot WithCommand(CommandId command) =>
        Own is { } own ? own.Register(new Snapshot { Lsn = Lsn, Command = command, Own = own }) : throw new InvariantException("I6", "a snapshot without a transaction has no commands");

    /// <summary>Ends the snapshot's hold on the horizon. More than once is allowed; the end of the transaction does it too.</summary>
    public void Dispose()
    {
        if (SlotOwner is not null && Slot is { } slot)
        {
            Slot = null;
            SlotOwner.ReturnSlot(slot);
        }

        Own?.Unregister(this);
    }
}
