using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>What a unique check asks the table about the rows behind equal entries. Asked with the leaf latched: it must not come back to the index.</summary>
internal interface IRowProbe
{
    /// <summary>
    /// Whether a version of the chain that begins here is live, or may be: then <paramref name="wait"/> is the transaction whose end decides, or invalid.
    /// <paramref name="allDead"/>: no snapshot sees any version (R5).
    /// </summary>
    bool IsLiveOrInDoubt(Tid tid, out Xid wait, out bool allDead);

    /// <summary>Whether the row to be inserted is itself still live.</summary>
    bool IsLive(Tid tid);
}
