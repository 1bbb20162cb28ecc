using SharedStorage.Catalog.Invalidation;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Catalog;

/// <summary>
/// The private cache of a transaction that changed catalogs itself: the shared epoch without what its own messages name. It is made anew after
/// each further change, and when another commit began a new epoch. Belongs to the transaction's thread.
/// </summary>
internal sealed class TransactionCatalog(Oid database)
{
    private readonly List<byte> _messages = [];
    private CatalogEpoch? _epoch;
    private CatalogEpoch? _base;
    private CommandId _lastChange;

    /// <summary>Notes messages of the command that is running; they take effect for the next command's snapshot.</summary>
    public void Add(ReadOnlySpan<byte> messages, CommandId command)
    {
        foreach (byte b in messages)
        {
            _messages.Add(b);
        }

        _lastChange = command;
        _epoch = null;
    }

    /// <summary>A subtransaction was rolled back: its rows are gone, so what was read of them is too.</summary>
    public void Reset() => _epoch = null;

    public CatalogEpoch EpochFor(CatalogEpoch shared, Snapshot snapshot)
    {
        if (_epoch is not null && ReferenceEquals(_base, shared))
        {
            return _epoch;
        }

        var changes = new InvalidationSet();
        changes.Add(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_messages), database);
        var epoch = new CatalogEpoch(snapshot.Lsn, shared, changes);

        // A snapshot of the command that made the last change does not see that change yet, so what it reads must not outlive it.
        if (snapshot.Command.Value > _lastChange.Value)
        {
            _epoch = epoch;
            _base = shared;
        }

        return epoch;
    }
}
