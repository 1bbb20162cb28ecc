using SharedStorage.Access;
using SharedStorage.Access.Sequence;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;

namespace SharedStorage.Sql.Session;

/// <summary>nextval, currval, setval, lastval, with the values that the session took ahead (sequence.c's SeqTable).</summary>
internal sealed class SequenceSessions(SqlSession session)
{
    private sealed class State
    {
        public Oid File { get; set; }
        public long Last { get; set; }
        public long Cached { get; set; }
        public long Increment { get; set; }
        public bool IsDefined { get; set; }
    }

    private readonly Dictionary<Oid, State> _states = [];
    private Oid _lastUsed;

    public long Next(Oid id)
    {
        session.CheckWritable("nextval()");
        (Relation relation, State state) = Open(id);
        if (state.IsDefined && state.Last != state.Cached)
        {
            state.Last += state.Increment;
        }
        else
        {
            SequenceRange range = new SequenceTable(session.Node.Engine, relation).Next(session.Tx, Limits(id));
            (state.Last, state.Cached, state.Increment, state.IsDefined) = (range.First, range.Last, range.Increment, true);
        }

        _lastUsed = id;
        return state.Last;
    }

    public long Current(Oid id)
    {
        (Relation relation, State state) = Open(id);
        return state.IsDefined ? state.Last
            : throw new PgException(SqlStates.ObjectNotInPrerequisiteState, $"currval of sequence \"{relation.Name}\" is not yet defined in this session");
    }

    public long LastUsed()
    {
        if (!_lastUsed.IsValid || session.CurrentCatalog!.Class(_lastUsed) is null)
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "lastval is not yet defined in this session");
        }

        return Open(_lastUsed).State.Last;
    }

    public long Set(Oid id, long value, bool called)
    {
        session.CheckWritable("setval()");
        (Relation relation, State state) = Open(id);
        SequenceLimits limits = Limits(id);
        if (value < limits.Min || value > limits.Max)
        {
            throw new PgException(SqlStates.NumericValueOutOfRange, $"setval: value {value} is out of bounds for sequence \"{relation.Name}\" ({limits.Min}..{limits.Max})");
        }

        new SequenceTable(session.Node.Engine, relation).Set(session.Tx, value, called);
        if (called)
        {
            (state.Last, state.IsDefined) = (value, true);
        }

        // What was taken ahead is given up.
        state.Cached = state.Last;
        return value;
    }

    public void Forget()
    {
        _states.Clear();
        _lastUsed = Oid.Invalid;
    }

    private (Relation Relation, State State) Open(Oid id)
    {
        SessionCatalog catalog = session.CurrentCatalog!;
        if (catalog.Relation(id) is not { Kind: 'S' } relation)
        {
            throw catalog.Class(id) is { } other ? new PgException(SqlStates.WrongObjectType, $"\"{other.RelName}\" is not a sequence")
                : new PgException(SqlStates.UndefinedTable, $"could not open relation with OID {id.Value}");
        }

        session.LockRelation(relation, session.Node.IsReader ? LockMode.AccessShare : LockMode.RowExclusive);
        if (!_states.TryGetValue(id, out State? state))
        {
            _states[id] = state = new State { File = relation.Node.Relation };
        }
        else if (state.File != relation.Node.Relation)
        {
            // A new file: what was taken from the old one does not count.
            (state.File, state.Cached) = (relation.Node.Relation, state.Last);
        }

        return (relation, state);
    }

    private SequenceLimits Limits(Oid id)
    {
        PgSequence s = session.CurrentCatalog!.View.GetSequence(id) ?? throw new PgException(SqlStates.InternalError, $"cache lookup failed for sequence {id.Value}");
        return new SequenceLimits(s.SeqIncrement, s.SeqMin, s.SeqMax, s.SeqCache, s.SeqCycle);
    }
}
