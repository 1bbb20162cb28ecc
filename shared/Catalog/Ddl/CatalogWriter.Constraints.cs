using System.Globalization;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>CHECK, FOREIGN KEY and NOT NULL (PostgreSQL's pg_constraint.c and parts of tablecmds.c and trigger.c).</summary>
public sealed partial class CatalogWriter
{
    private const short TriggerRow = 1, TriggerInsert = 4, TriggerDelete = 8, TriggerUpdate = 16;

    /// <summary>A name for a new constraint that no constraint of the schema has ("t_a_check", "t_a_fkey1").</summary>
    public string ChooseConstraintName(string name1, string? name2, string label, Oid schema) =>
        ObjectNames.Choose(name1, name2, label, n => View.Search(SystemCatalogs.Constraint, SystemCatalogs.Constraint.IndexOn("conname", "connamespace"), CatalogDatum.FromName(n), Format.Tuples.Datum.FromOid(schema)).Count != 0);

    /// <summary>Adds a CHECK constraint; the caller has tested the rows.</summary>
    /// <exception cref="PgException">42710.</exception>
    public Oid AddCheck(Oid table, string name, NodeValue expression, bool validated = true, bool noInherit = false)
    {
        (PgClass row, Tid tid) = CheckNewConstraint(table, name);
        short[] columns = ColumnsOf(expression, table);
        Oid id = InsertConstraint(new PgConstraint
        {
            ConName = name,
            ConNamespace = row.RelNamespace,
            ConType = 'c',
            ConValidated = validated,
            ConRelId = table,
            ConFUpdType = ' ',
            ConFDelType = ' ',
            ConFMatchType = ' ',
            ConIsLocal = true,
            ConNoInherit = noInherit,
            ConKey = columns.Length == 0 ? null : columns,
            ConBin = expression.ToString(),
        });
        ObjectAddress self = ObjectAddress.Constraint(id);
        IEnumerable<ObjectAddress> owners = columns.Length == 0 ? [ObjectAddress.Relation(table)] : columns.Select(c => ObjectAddress.Relation(table, c));
        AddDependencies(self, owners, DependencyKind.Auto);
        AddExpressionDependencies(self, expression, table, DependencyKind.Normal);
        Update(SystemCatalogs.Class, tid, row, row with { RelChecks = (short)(row.RelChecks + 1) });
        NextCommand();
        return id;
    }

    /// <summary>Adds a foreign key with its triggers on both tables; the caller has tested the rows.</summary>
    /// <exception cref="PgException">42710.</exception>
    public Oid AddForeignKey(NewForeignKey key)
    {
        (PgClass table, _) = CheckNewConstraint(key.Table, key.Name);
        if (table.RelPersistence == 'p' && View.ClassById(key.ReferencedTable)!.RelPersistence != 'p')
        {
            throw new PgException(SqlStates.InvalidTableDefinition, "constraints on permanent tables may reference only permanent tables");
        }

        Oid id = InsertConstraint(new PgConstraint
        {
            ConName = key.Name,
            ConNamespace = table.RelNamespace,
            ConType = 'f',
            ConDeferrable = key.Deferrable,
            ConDeferred = key.InitiallyDeferred,
            ConValidated = key.Validated,
            ConRelId = key.Table,
            ConIndId = key.ReferencedIndex,
            ConFRelId = key.ReferencedTable,
            ConFUpdType = key.OnUpdate,
            ConFDelType = key.OnDelete,
            ConFMatchType = key.Match,
            ConIsLocal = true,
            ConNoInherit = true,
            ConKey = key.Columns,
            ConFKey = key.ReferencedColumns,
            ConPfEqOp = key.PfEqOperators,
            ConPpEqOp = key.PpEqOperators,
            ConFfEqOp = key.FfEqOperators,
            ConFDelSetCols = key.DeleteSetColumns,
        });
        ObjectAddress self = ObjectAddress.Constraint(id);
        AddDependencies(self, key.Columns.Select(c => ObjectAddress.Relation(key.Table, c)), DependencyKind.Auto);
        AddDependencies(
            self,
            key.ReferencedColumns.Select(c => ObjectAddress.Relation(key.ReferencedTable, c))
                .Append(ObjectAddress.Relation(key.ReferencedIndex))
                .Concat(key.PfEqOperators.Concat(key.PpEqOperators).Concat(key.FfEqOperators).Select(o => new ObjectAddress(SystemCatalogs.Operator.Id, o, 0))),
            DependencyKind.Normal);
        NextCommand();
        AddForeignKeyTriggers(key, id);
        return id;
    }

    /// <summary>Marks a column NOT NULL; the caller has tested the rows. False when it is already.</summary>
    public bool SetNotNull(Oid table, short column)
    {
        (PgAttribute row, Tid tid) = GetAttribute(table, column);
        if (row.AttNotNull)
        {
            return false;
        }

        Update(SystemCatalogs.Attribute, tid, row, row with { AttNotNull = true });
        NextCommand();
        return true;
    }

    private Oid InsertConstraint(PgConstraint row)
    {
        Oid id = NewOid(SystemCatalogs.Constraint);
        Insert(SystemCatalogs.Constraint, row with { Oid = id });
        return id;
    }

    private (PgClass Row, Tid Tid) CheckNewConstraint(Oid table, string name)
    {
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, table);
        if (View.GetConstraints(table).Any(c => c.ConName == name))
        {
            throw new PgException(SqlStates.DuplicateObject, $"constraint \"{name}\" for relation \"{row.RelName}\" already exists");
        }

        return (row, tid);
    }

    /// <summary>The columns that an expression uses, in order.</summary>
    private short[] ColumnsOf(NodeValue expression, Oid table)
    {
        var found = new HashSet<ObjectAddress>();
        new ExpressionReferences(View, table, found).Visit(expression);
        return [.. found.Where(a => a.Catalog == SystemCatalogs.Class.Id && a.Id == table && a.Part > 0).Select(a => (short)a.Part).Order()];
    }

    private void AddForeignKeyTriggers(NewForeignKey key, Oid constraint)
    {
        (uint onDelete, bool deleteMayWait) = DeleteAction(key.OnDelete);
        (uint onUpdate, bool updateMayWait) = UpdateAction(key.OnUpdate);
        InsertConstraintTrigger(
            key.ReferencedTable, key.Table, key.ReferencedIndex, constraint, "RI_ConstraintTrigger_a", onDelete, TriggerRow | TriggerDelete,
            deleteMayWait && key.Deferrable, deleteMayWait && key.InitiallyDeferred);
        NextCommand();
        InsertConstraintTrigger(
            key.ReferencedTable, key.Table, key.ReferencedIndex, constraint, "RI_ConstraintTrigger_a", onUpdate, TriggerRow | TriggerUpdate,
            updateMayWait && key.Deferrable, updateMayWait && key.InitiallyDeferred);
        NextCommand();
        InsertConstraintTrigger(
            key.Table, key.ReferencedTable, key.ReferencedIndex, constraint, "RI_ConstraintTrigger_c", 1644, TriggerRow | TriggerInsert,
            key.Deferrable, key.InitiallyDeferred);
        NextCommand();
        InsertConstraintTrigger(
            key.Table, key.ReferencedTable, key.ReferencedIndex, constraint, "RI_ConstraintTrigger_c", 1645, TriggerRow | TriggerUpdate,
            key.Deferrable, key.InitiallyDeferred);
        NextCommand();
    }

    /// <summary>The function (pg_proc.dat) for an action; only NO ACTION waits for a deferred check.</summary>
    private static (uint Function, bool MayWait) DeleteAction(char action) => action switch
    {
        'a' => (1654, true),
        'r' => (1648, false),
        'c' => (1646, false),
        'n' => (1650, false),
        'd' => (1652, false),
        _ => throw new ArgumentOutOfRangeException(nameof(action)),
    };

    private static (uint Function, bool MayWait) UpdateAction(char action) => action switch
    {
        'a' => (1655, true),
        'r' => (1649, false),
        'c' => (1647, false),
        'n' => (1651, false),
        'd' => (1653, false),
        _ => throw new ArgumentOutOfRangeException(nameof(action)),
    };

    private void InsertConstraintTrigger(Oid table, Oid otherTable, Oid index, Oid constraint, string prefix, uint function, short type, bool deferrable, bool deferred)
    {
        Oid id = NewOid(SystemCatalogs.Trigger);
        Insert(SystemCatalogs.Trigger, new PgTrigger
        {
            Oid = id,
            TgRelId = table,
            TgName = string.Create(CultureInfo.InvariantCulture, $"{prefix}_{id.Value}"),
            TgFoid = new Oid(function),
            TgType = type,
            TgEnabled = 'O',
            TgIsInternal = true,
            TgConstrRelId = otherTable,
            TgConstrIndId = index,
            TgConstraint = constraint,
            TgDeferrable = deferrable,
            TgInitDeferred = deferred,
        });
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, table);
        if (row.RelHasTriggers)
        {
            InvalidateRelation(table);
        }
        else
        {
            Update(SystemCatalogs.Class, tid, row, row with { RelHasTriggers = true });
        }

        var self = new ObjectAddress(SystemCatalogs.Trigger.Id, id, 0);
        AddDependency(self, new ObjectAddress(SystemCatalogs.Proc.Id, new Oid(function), 0), DependencyKind.Normal);
        AddDependency(self, ObjectAddress.Constraint(constraint), DependencyKind.Internal);
    }
}
