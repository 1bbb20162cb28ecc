using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Expressions;

namespace SharedStorage.Sql.Execute.Dml;

/// <summary>
/// Changes rows of one table with all that belongs to it: NOT NULL and CHECK, index entries, foreign keys (queued, tested at the end of the statement as
/// PostgreSQL's triggers are). One per statement and table.
/// </summary>
public sealed partial class TableWriter
{
    private readonly ExecContext _context;
    private readonly HeapTable _heap;
    private readonly (BtreeIndex Index, IndexKeyMaker Keys)[] _indexes;
    private readonly HashSet<int> _indexedColumns = [];
    private readonly HashSet<int> _keyColumns = [];
    private readonly int[] _notNull;
    private readonly (string Name, Evaluator Test)[] _checks;
    private readonly Slot _checkSlot = new();

    public TableWriter(ExecContext context, ExprCompiler compiler, Relation table)
    {
        (_context, Table) = (context, table);
        _heap = new HeapTable(context.Engine, table);
        var indexes = new List<(BtreeIndex, IndexKeyMaker)>();
        foreach (IndexInfo index in context.Catalog.Indexes(table.Id))
        {
            if (!index.IsReady)
            {
                continue;
            }

            if (index.AccessMethod.Value != PgOids.BtreeAm)
            {
                throw PgException.NotSupported($"index \"{index.Relation.Name}\", which is no btree,");
            }

            indexes.Add((new BtreeIndex(context.Engine, index) { DescribeKey = DescribeKey }, new IndexKeyMaker(context, compiler, table, index)));
            NoteColumns(index);
        }

        _indexes = [.. indexes];
        _notNull = [.. Enumerable.Range(0, table.Desc.Count).Where(i => table.Desc[i].NotNull && !table.Desc[i].IsDropped)];
        _checks = CompileChecks(compiler);
        foreach (PgTrigger trigger in context.Catalog.Triggers(table.Id))
        {
            if (!trigger.TgIsInternal && trigger.TgEnabled != 'D')
            {
                throw PgException.NotSupported($"trigger \"{trigger.TgName}\" on table \"{table.Name}\"");
            }
        }

        _foreignKeys = new ForeignKeys(context, compiler, this);
    }

    private readonly ForeignKeys _foreignKeys;

    public Relation Table { get; }
    public HeapTable Heap => _heap;

    // HOT depends on all indexed columns, the row lock on those of unique indexes that a foreign key could use.
    private void NoteColumns(IndexInfo index)
    {
        bool key = index.IsUnique && index.IsImmediate && !index.HasPredicate && !index.HasExpressions;
        for (int i = 0; i < index.Columns.Count; i++)
        {
            if (index.Columns[i].HeapAttribute > 0)
            {
                _indexedColumns.Add(index.Columns[i].HeapAttribute);
                if (key && i < index.KeyCount)
                {
                    _keyColumns.Add(index.Columns[i].HeapAttribute);
                }
            }
        }

        if (index.HasExpressions || index.HasPredicate)
        {
            foreach (Expr e in IndexKeyMaker.Expressions(_context.Catalog, index))
            {
                e.ForEach(x =>
                {
                    if (x is VarExpr { Column: > 0 } v)
                    {
                        _indexedColumns.Add(v.Column);
                    }
                });
            }
        }
    }

    private (string, Evaluator)[] CompileChecks(ExprCompiler compiler)
    {
        var result = new List<(string, Evaluator)>();
        foreach (PgConstraint c in _context.Catalog.Constraints(Table.Id))
        {
            if (c.ConType == 'c')
            {
                result.Add((c.ConName, compiler.Compile(NodeTreeReader.ReadExpr(_context.Catalog, c.ConBin!), RowEnv(Table, _checkSlot))));
            }
        }

        return [.. result];
    }

    /// <summary>The columns of one table as entry 1, in a slot.</summary>
    internal static Env RowEnv(Relation table, Slot slot)
    {
        var env = new Env(null, null);
        for (int i = 0; i < table.Desc.Count; i++)
        {
            env.Add(1, (short)(i + 1), new SlotRef(slot, i));
        }

        return env;
    }

    /// <exception cref="PgException">23502, 23514.</exception>
    public void CheckRow(Datum[] row)
    {
        foreach (int i in _notNull)
        {
            if (row[i].IsNull)
            {
                throw new PgException(SqlStates.NotNullViolation,
                    $"null value in column \"{Table.Desc[i].Name}\" of relation \"{Table.Name}\" violates not-null constraint")
                {
                    Detail = $"Failing row contains {Describe(row)}.",
                    Table = Table.Name,
                    Column = Table.Desc[i].Name,
                    Schema = SchemaName,
                };
            }
        }

        if (_checks.Length == 0)
        {
            return;
        }

        _checkSlot.Values = row;
        foreach ((string name, Evaluator test) in _checks)
        {
            Datum d = test.Eval();
            if (!d.IsNull && !d.Bool)
            {
                throw new PgException(SqlStates.CheckViolation, $"new row for relation \"{Table.Name}\" violates check constraint \"{name}\"")
                {
                    Detail = $"Failing row contains {Describe(row)}.",
                    Table = Table.Name,
                    Constraint = name,
                    Schema = SchemaName,
                };
            }
        }
    }

    internal string? SchemaName => _context.Catalog.Schema(Table.Namespace)?.NspName;

    /// <summary>"(a, b)=(1, x)" for the detail of a unique violation.</summary>
    private string? DescribeKey(IndexInfo index, Datum[] values)
    {
        var names = new List<string>();
        var texts = new List<string>();
        for (int i = 0; i < index.KeyCount; i++)
        {
            short column = index.Columns[i].HeapAttribute;
            names.Add(column > 0 ? Table.Desc[column - 1].Name : _context.Eval.Catalogs.IndexDefinition(index.Relation.Id, i + 1, true) ?? "?");
            Oid type = column > 0 ? Table.Desc[column - 1].TypeId : index.Columns[i].InputType;
            texts.Add(values[i].IsNull ? "null" : Types.TypeRegistry.Get(type, _context.Eval.Catalogs).OutputText(values[i], _context.Eval));
        }

        return $"({string.Join(", ", names)})=({string.Join(", ", texts)})";
    }

    /// <summary>The row in messages: "(1, abc, null)", long values cut at 64 bytes.</summary>
    private string Describe(Datum[] row)
    {
        var parts = new List<string>();
        for (int i = 0; i < Table.Desc.Count; i++)
        {
            if (Table.Desc[i].IsDropped)
            {
                continue;
            }

            string text = row[i].IsNull ? "null" : Types.TypeRegistry.Get(Table.Desc[i].TypeId, _context.Eval.Catalogs).OutputText(row[i], _context.Eval);
            parts.Add(text.Length > 64 ? text[..64] + "..." : text);
        }

        return $"({string.Join(", ", parts)})";
    }

    /// <summary>While the disk is full a change waits here, where it can be cancelled, and not with pages latched.</summary>
    private void AwaitLogSpace()
    {
        if (_context.Engine.Wal is { IsWaitingForSpace: true } log)
        {
            log.AwaitSpace(_context.Cancel.Check);
        }
    }

    public Tid Insert(Datum[] row)
    {
        AwaitLogSpace();
        CheckRow(row);
        Tid tid = _heap.Insert(_context.Transaction, row);
        InsertEntries(row, tid);
        _foreignKeys.Inserted(row);
        return tid;
    }

    /// <summary>COPY: many rows with few log records.</summary>
    public void InsertMany(List<Datum[]> rows, Tid[] tids, HeapInsertOptions options)
    {
        AwaitLogSpace();
        foreach (Datum[] row in rows)
        {
            CheckRow(row);
        }

        _heap.InsertMany(_context.Transaction, rows, tids.AsSpan(0, rows.Count), options);
        for (int i = 0; i < rows.Count && (_indexes.Length > 0 || _foreignKeys.HasReferences); i++)
        {
            InsertEntries(rows[i], tids[i]);
            _foreignKeys.Inserted(rows[i]);
        }
    }

    private void InsertEntries(Datum[] row, Tid tid)
    {
        foreach ((BtreeIndex index, IndexKeyMaker keys) in _indexes)
        {
            if (keys.TryMake(row) is { } values)
            {
                index.Insert(_context.Transaction, values, tid, index.Index.IsUnique ? UniqueCheck.Yes : UniqueCheck.No, _heap);
            }
        }
    }

    public ModifyResult Update(Tid tid, Datum[] oldRow, Datum[] newRow)
    {
        AwaitLogSpace();
        CheckRow(newRow);
        ModifyResult result = _heap.Update(_context.Transaction, tid, newRow, _context.Snapshot, _indexedColumns, _keyColumns, out Tid newTid);
        if (result.Outcome == ModifyOutcome.Ok)
        {
            if (result.NeedsIndexEntries)
            {
                InsertEntries(newRow, newTid);
            }

            _foreignKeys.Updated(oldRow, newRow);
        }

        return result;
    }

    public ModifyResult Delete(Tid tid, Datum[] oldRow)
    {
        AwaitLogSpace();
        ModifyResult result = _heap.Delete(_context.Transaction, tid, _context.Snapshot);
        if (result.Outcome == ModifyOutcome.Ok)
        {
            _foreignKeys.Deleted(oldRow);
        }

        return result;
    }

    /// <summary>The end of the statement: foreign keys are tested, and their actions carried out.</summary>
    /// <exception cref="PgException">23503, 23001.</exception>
    public void Finish() => _foreignKeys.Run();

    /// <summary>Forgets what a failed statement queued.</summary>
    public void Reset() => _foreignKeys.Clear();

    /// <summary>Old rows are needed whole: some foreign key refers to this table, or an index or a key may change.</summary>
    public bool NeedsOldRow => _foreignKeys.NeedsOldRow;

    /// <summary>Inserted rows are kept until the end of the statement, so their arrays must not be used again.</summary>
    public bool KeepsRows => _foreignKeys.HasReferences;

    internal IReadOnlySet<int> KeyColumns => _keyColumns;
}

/// <summary>Makes the values of an index entry from a row.</summary>
public sealed class IndexKeyMaker
{
    private readonly IndexInfo _index;
    private readonly Slot _slot = new();
    private readonly Evaluator[] _expressions = [];
    private readonly Evaluator? _predicate;
    private readonly Datum[] _values;

    public IndexKeyMaker(ExecContext context, ExprCompiler compiler, Relation table, IndexInfo index)
    {
        _index = index;
        _values = new Datum[index.Columns.Count];
        if (index.HasExpressions || index.HasPredicate)
        {
            PgIndex row = context.Catalog.IndexRow(index.Relation.Id)!;
            Env env = TableWriter.RowEnv(table, _slot);
            _expressions = row.IndExprs is null ? [] : compiler.CompileAll(NodeTreeReader.ReadExprs(context.Catalog, row.IndExprs), env);
            _predicate = row.IndPred is null ? null : compiler.CompileAnd(NodeTreeReader.ReadExprs(context.Catalog, row.IndPred), env);
        }
    }

    /// <summary>Expressions and predicate of an index.</summary>
    public static IEnumerable<Expr> Expressions(ISqlCatalog catalog, IndexInfo index)
    {
        PgIndex row = catalog.IndexRow(index.Relation.Id)!;
        return [.. row.IndExprs is null ? [] : NodeTreeReader.ReadExprs(catalog, row.IndExprs), .. row.IndPred is null ? [] : NodeTreeReader.ReadExprs(catalog, row.IndPred)];
    }

    /// <summary>The values, in an array that the next call uses again; null when a partial index leaves the row out.</summary>
    public Datum[]? TryMake(Datum[] row)
    {
        _slot.Values = row;
        if (_predicate is not null && !_predicate.IsTrue())
        {
            return null;
        }

        int next = 0;
        for (int i = 0; i < _values.Length; i++)
        {
            short column = _index.Columns[i].HeapAttribute;
            _values[i] = column > 0 ? row[column - 1] : _expressions[next++].Eval();
        }

        return _values;
    }
}
