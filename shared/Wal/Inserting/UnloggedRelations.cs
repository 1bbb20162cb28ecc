using System.Collections.Concurrent;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Inserting;

/// <summary>
/// The relations whose changes do not go into the log (R16): all forks but the init fork, which is what they are reset to after a crash. Whoever opens or makes one names it here before it
/// changes a page. Instead of a change's record the log gets one that says nothing (XLOG_NOOP), so that each state of a page has an LSN of its own all the same; what compares LSNs,
/// the gate among it, needs to know nothing of unlogged relations.
/// </summary>
public sealed class UnloggedRelations
{
    private readonly ConcurrentDictionary<RelFileNode, bool> _relations = new();
    private volatile bool _any;

    public void Add(RelFileNode relation)
    {
        if (_relations.TryAdd(relation, true))
        {
            _any = true;
        }
    }

    public bool Contains(RelFileNode relation) => _any && _relations.ContainsKey(relation);

    internal bool IsEmpty => !_any;
}
