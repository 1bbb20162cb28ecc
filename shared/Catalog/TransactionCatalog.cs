using SharedStorage.Catalog.Invalidation;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Catalog;

/// <summary>
/// The private cache of a transaction that changed catalogs itself: the shared epoch without what its own messages name. It is made anew after each
/// further change, after a rollback to a savepoint, and when another commit began a new epoch. Belongs to the transaction's thread.
/// </summary>
internal sealed class TransactionCatalog(Oid database)
{
    private CatalogEpoch? _epoch;
    private CatalogEpoch? _base;
    private CommandId _lastChange;
    private int _messages;

    /// <summary>The command that is running changed something; the next command's snapshot sees it.</summary>
    public void NoteChange(CommandId command)
    {
        _lastChange = command;
        _epoch = null;
    }

    public CatalogEpoch EpochFor(CatalogEpoch shared, Snapshot snapshot, Transaction own)
    {
        // A rollback to a savepoint takes messages away; a change adds some and clears the epoch itself.
        if (_epoch is not null && ReferenceEquals(_base, shared) && own.Invalidations.Length == _messages)
        {
            return _epoch;
        }

        var changes = new InvalidationSet();
        changes.Add(own.Invalidations, database);
        var epoch = new CatalogEpoch(snapshot.Lsn, shared, changes);

        // A snapshot of the command that made the last change does not see that change yet, so what it reads must not outlive it.
        if (snapshot.Command.Value > _lastChange.Value)
        {
            _epoch = epoch;
            _base = shared;
            _messages = own.Invalidations.Length;
        }

        return epoch;
    }
}
