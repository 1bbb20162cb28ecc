using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Transactions;

namespace SharedStorage.Sql.Execute.Dml;

/// <summary>
/// Foreign keys of one table, both ways (PostgreSQL's ri_triggers.c): its own rows must find their partner, which is locked FOR KEY SHARE; for rows of it
/// that go or change their key, referring rows are looked for and the action is carried out. Events are queued and run at the end of the statement.
/// </summary>
internal sealed class ForeignKeys
{
    private readonly ExecContext _context;
    private readonly ExprCompiler _compiler;
    private readonly TableWriter _writer;
    private readonly PgConstraint[] _references;
    private readonly PgConstraint[] _referring;
    private readonly List<(PgConstraint Key, Datum[] Row)> _checks = [];
    private readonly List<(PgConstraint Key, Datum[] Old, Datum[]? New)> _actions = [];
    private readonly Dictionary<Oid, KeyLookup> _lookups = [];

    public ForeignKeys(ExecContext context, ExprCompiler compiler, TableWriter writer)
    {
        (_context, _compiler, _writer) = (context, compiler, writer);
        _references = [.. context.Catalog.Constraints(writer.Table.Id).Where(c => c.ConType == 'f')];
        _referring = [.. context.Catalog.ReferencingConstraints(writer.Table.Id).Where(c => c.ConType == 'f')];
    }

    public bool HasReferences => _references.Length > 0;
    public bool NeedsOldRow => _references.Length > 0 || _referring.Length > 0;

    public void Inserted(Datum[] row)
    {
        foreach (PgConstraint key in _references)
        {
            _checks.Add((key, row));
        }
    }

    public void Updated(Datum[] old, Datum[] next)
    {
        foreach (PgConstraint key in _references)
        {
            if (Changed(key.ConKey!, old, next))
            {
                _checks.Add((key, next));
            }
        }

        foreach (PgConstraint key in _referring)
        {
            if (Changed(key.ConFKey!, old, next))
            {
                _actions.Add((key, [.. old], next));
            }
        }
    }

    public void Deleted(Datum[] old)
    {
        foreach (PgConstraint key in _referring)
        {
            _actions.Add((key, [.. old], null));
        }
    }

    public void Clear()
    {
        _checks.Clear();
        _actions.Clear();
    }

    private bool Changed(short[] columns, Datum[] old, Datum[] next)
    {
        foreach (short c in columns)
        {
            Datum a = old[c - 1], b = next[c - 1];
            if (a.IsNull || b.IsNull ? a.IsNull != b.IsNull : !TypeOf(_writer.Table, c).AreEqual(a, b))
            {
                return true;
            }
        }

        return false;
    }

    private Types.PgType TypeOf(Relation table, short column) => _compiler.TypeOf(table.Desc[column - 1].TypeId);

    public void Run()
    {
        if (_checks.Count == 0 && _actions.Count == 0)
        {
            return;
        }

        Snapshot saved = _context.Snapshot;
        try
        {
            for (int i = 0; i < _actions.Count; i++)
            {
                (PgConstraint key, Datum[] old, Datum[]? next) = _actions[i];
                WithNewSnapshot(saved, () => RunAction(key, old, next));
            }

            WithNewSnapshot(saved, () =>
            {
                for (int i = 0; i < _checks.Count; i++)
                {
                    CheckReference(_checks[i].Key, _checks[i].Row);
                }
            });
        }
        finally
        {
            _context.Snapshot = saved;
            Clear();
        }
    }

    // Each action sees what those before it did. Later commits count too, in read committed; in repeatable read the transaction's own moment.
    private void WithNewSnapshot(Snapshot statement, Action action)
    {
        _context.Transaction.NextCommand();
        using Snapshot now = _compiler.IsRepeatableRead() ? statement.WithCommand(_context.Transaction.Command) : _context.Transaction.TakeSnapshot();
        _context.Snapshot = now;
        action();
    }

    private Datum[]? KeyOf(PgConstraint key, Datum[] row)
    {
        var values = new Datum[key.ConKey!.Length];
        int nulls = 0;
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = row[key.ConKey[i] - 1];
            nulls += values[i].IsNull ? 1 : 0;
        }

        if (nulls == 0)
        {
            return values;
        }

        if (key.ConFMatchType == 'f' && nulls < values.Length)
        {
            throw new PgException(SqlStates.ForeignKeyViolation, $"insert or update on table \"{_writer.Table.Name}\" violates foreign key constraint \"{key.ConName}\"")
            {
                Detail = "MATCH FULL does not allow mixing of null and nonnull key values.",
                Table = _writer.Table.Name,
                Constraint = key.ConName,
            };
        }

        return null;
    }

    private void CheckReference(PgConstraint key, Datum[] row)
    {
        if (KeyOf(key, row) is not { } values)
        {
            return;
        }

        KeyLookup lookup = Lookup(key, key.ConFRelId, key.ConFKey!, key.ConIndId, [.. key.ConKey!.Select(c => _writer.Table.Desc[c - 1].TypeId)]);
        foreach ((Tid tid, Datum[] _) in lookup.Find(values, _context.Snapshot))
        {
            Tid at = tid;
            ModifyResult result = lookup.Heap.Lock(_context.Transaction, ref at, _context.Snapshot, RowLockMode.KeyShare, LockWait.Wait, true);
            if (result.Outcome == ModifyOutcome.Ok || result.Outcome == ModifyOutcome.SelfModified)
            {
                // A partner that was changed meanwhile must still have the key.
                if (at == tid || lookup.StillMatches(at, values))
                {
                    return;
                }
            }
            else if (_compiler.IsRepeatableRead() && result.Outcome is ModifyOutcome.Updated or ModifyOutcome.Deleted)
            {
                throw new PgException(SqlStates.SerializationFailure, "could not serialize access due to concurrent update");
            }
        }

        throw new PgException(SqlStates.ForeignKeyViolation, $"insert or update on table \"{_writer.Table.Name}\" violates foreign key constraint \"{key.ConName}\"")
        {
            Detail = $"Key ({Names(_writer.Table, key.ConKey!)})=({Text(_writer.Table, key.ConKey!, values)}) is not present in table \"{lookup.Table.Name}\".",
            Schema = _writer.SchemaName,
            Table = _writer.Table.Name,
            Constraint = key.ConName,
        };
    }

    private void RunAction(PgConstraint key, Datum[] old, Datum[]? next)
    {
        var values = new Datum[key.ConFKey!.Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = old[key.ConFKey[i] - 1];
            if (values[i].IsNull)
            {
                return;
            }
        }

        char action = next is null ? key.ConFDelType : key.ConFUpdType;
        KeyLookup lookup = Lookup(key, key.ConRelId, key.ConKey!, default, [.. key.ConFKey.Select(c => _writer.Table.Desc[c - 1].TypeId)]);
        List<(Tid, Datum[])> rows = [.. lookup.Find(values, _context.Snapshot).Select(r => (r.Tid, (Datum[])[.. r.Row]))];
        if (rows.Count == 0)
        {
            return;
        }

        if (action == 'a' && OtherRowHasKey(key, values))
        {
            // NO ACTION: somebody else has taken the key's place by now.
            return;
        }

        if (action is 'a' or 'r')
        {
            foreach ((Tid tid, Datum[] _) in rows)
            {
                Tid at = tid;
                if (lookup.Heap.Lock(_context.Transaction, ref at, _context.Snapshot, RowLockMode.KeyShare, LockWait.Wait, true).Outcome == ModifyOutcome.Ok
                    && (at == tid || lookup.StillMatches(at, values)))
                {
                    throw StillReferenced(key, values, lookup.Table, action);
                }
            }

            return;
        }

        ChangeReferring(key, lookup.Table, rows, action, next);
    }

    private bool OtherRowHasKey(PgConstraint key, Datum[] values)
    {
        KeyLookup own = Lookup(key, _writer.Table.Id, key.ConFKey!, key.ConIndId, [.. key.ConFKey!.Select(c => _writer.Table.Desc[c - 1].TypeId)], "own");
        foreach ((Tid, Datum[]) _ in own.Find(values, _context.Snapshot))
        {
            return true;
        }

        return false;
    }

    private void ChangeReferring(PgConstraint key, Relation table, List<(Tid Tid, Datum[] Row)> rows, char action, Datum[]? next)
    {
        var writer = new TableWriter(_context, _compiler, table);
        foreach ((Tid tid, Datum[] row) in rows)
        {
            ModifyResult result;
            if (action == 'c' && next is null)
            {
                result = writer.Delete(tid, row);
            }
            else
            {
                Datum[] changed = [.. row];
                for (int i = 0; i < key.ConKey!.Length; i++)
                {
                    bool set = next is not null || key.ConFDelSetCols is not { Length: > 0 } columns || columns.Contains(key.ConKey[i]);
                    changed[key.ConKey[i] - 1] = action switch
                    {
                        'c' => next![key.ConFKey![i] - 1],
                        'n' => set ? Datum.Null : changed[key.ConKey[i] - 1],
                        _ => throw PgException.NotSupported("ON DELETE SET DEFAULT"),
                    };
                }

                result = writer.Update(tid, row, changed);
            }

            if (result.Outcome is ModifyOutcome.Updated or ModifyOutcome.Deleted && _compiler.IsRepeatableRead())
            {
                throw new PgException(SqlStates.SerializationFailure, "could not serialize access due to concurrent update");
            }
        }

        writer.Finish();
    }

    private PgException StillReferenced(PgConstraint key, Datum[] values, Relation child, char action)
    {
        _ = action;
        return new PgException(SqlStates.ForeignKeyViolation,
            $"update or delete on table \"{_writer.Table.Name}\" violates foreign key constraint \"{key.ConName}\" on table \"{child.Name}\"")
        {
            Detail = $"Key ({Names(_writer.Table, key.ConFKey!)})=({Text(_writer.Table, key.ConFKey!, values)}) is still referenced from table \"{child.Name}\".",
            Schema = _context.Catalog.Schema(child.Namespace)?.NspName,
            Table = child.Name,
            Constraint = key.ConName,
        };
    }

    private static string Names(Relation table, short[] columns) => string.Join(", ", columns.Select(c => table.Desc[c - 1].Name));

    private string Text(Relation table, short[] columns, Datum[] values) =>
        string.Join(", ", columns.Select((c, i) => TypeOf(table, c).OutputText(values[i], _context.Eval)));

    private KeyLookup Lookup(PgConstraint key, Oid table, short[] columns, Oid index, Oid[] valueTypes, string use = "")
    {
        var id = new Oid(key.Oid.Value ^ (use.Length > 0 ? 0x80000000u : 0));
        if (!_lookups.TryGetValue(id, out KeyLookup? lookup))
        {
            Relation relation = _context.Catalog.Relation(table) ?? throw new PgException(SqlStates.UndefinedTable, $"relation with OID {table} does not exist");
            _context.Engine.Locks.Acquire(_context.Transaction, Transactions.Locks.LockTag.Relation(relation.LockDatabase, relation.Id), Transactions.Locks.LockMode.RowShare);
            _lookups[id] = lookup = new KeyLookup(_context, _compiler, relation, columns, index, valueTypes);
        }

        return lookup;
    }
}
