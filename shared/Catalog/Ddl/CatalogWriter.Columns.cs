using System.Globalization;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>ALTER TABLE's changes of columns (PostgreSQL's tablecmds.c, RemoveAttributeById of heap.c). Rewriting rows is the caller's part.</summary>
public sealed partial class CatalogWriter
{
    /// <summary>Adds a column without its default; seen after return.</summary>
    /// <returns>Its number.</returns>
    /// <exception cref="PgException">42701, 54011.</exception>
    public short AddColumn(Oid table, NewColumn column)
    {
        CheckColumnName(table, column.Name);
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, table);
        short number = (short)(row.RelNAtts + 1);
        if (number > MaxColumns)
        {
            throw new PgException(SqlStates.TooManyColumns, "tables can have at most 1600 columns");
        }

        PgAttribute made = MakeColumns([column])[0] with { AttRelId = table, AttNum = number, AttOptions = AttributeVersion() };
        Insert(SystemCatalogs.Attribute, made);
        Update(SystemCatalogs.Class, tid, row, row with { RelNAtts = number });
        NextCommand();
        return number;
    }

    /// <summary>What a new column depends on; PostgreSQL notes it after the default.</summary>
    public void AddColumnDependencies(Oid table, short column)
    {
        PgAttribute row = GetAttribute(table, column).Row;
        ObjectAddress self = ObjectAddress.Relation(table, column);
        AddDependency(self, ObjectAddress.Type(row.AttTypId), DependencyKind.Normal);
        if (row.AttCollation.IsValid && row.AttCollation.Value != PgOids.DefaultCollation)
        {
            AddDependency(self, new ObjectAddress(SystemCatalogs.Collation.Id, row.AttCollation, 0), DependencyKind.Normal);
        }
    }

    /// <summary>The value of a new column in the rows that are there: an array of one element, as attmissingval has it (StoreAttrMissingVal).</summary>
    public void StoreMissing(Oid table, short column, byte[] value)
    {
        (PgAttribute row, Tid tid) = GetAttribute(table, column);
        Update(SystemCatalogs.Attribute, tid, row, row with { AttHasMissing = true, AttMissingVal = value });
        NextCommand();
    }

    /// <summary>Replaces a column's default; null leaves none.</summary>
    public void SetDefault(Oid table, short column, NodeValue? value)
    {
        if (View.GetDefaults(table).FirstOrDefault(d => d.AdNum == column) is { } old)
        {
            Drop([new ObjectAddress(SystemCatalogs.AttrDef.Id, old.Oid, 0)], cascade: false);
        }

        if (value is not null)
        {
            StoreDefault(table, column, value);
            NextCommand();
        }
    }

    /// <summary>False when the column may be null already.</summary>
    public bool DropNotNull(Oid table, short column)
    {
        (PgAttribute row, Tid tid) = GetAttribute(table, column);
        if (!row.AttNotNull)
        {
            return false;
        }

        Update(SystemCatalogs.Attribute, tid, row, row with { AttNotNull = false });
        NextCommand();
        return true;
    }

    /// <summary>Gives a column another type; the caller has taken its default and what depends on it away, and rewrites the rows if it must.</summary>
    public void SetColumnType(Oid table, short column, Oid type, int modifier, Oid collation, short dimensions)
    {
        (PgAttribute row, Tid tid) = GetAttribute(table, column);
        RemoveDependenciesOf(ObjectAddress.Relation(table, column));
        PgType t = View.GetTypeRow(type);
        Update(SystemCatalogs.Attribute, tid, row, row with
        {
            AttTypId = type,
            AttTypMod = modifier,
            AttCollation = collation,
            AttNDims = dimensions,
            AttLen = t.TypLen,
            AttByVal = t.TypByVal,
            AttAlign = t.TypAlign,
            AttStorage = t.TypStorage,
            AttCompression = '\0',
            AttHasMissing = false,
            AttMissingVal = null,
            AttOptions = row.AttOptions is { } options && options.Any(IsVersion) ? [.. options.Where(o => !IsVersion(o)), .. AttributeVersion() ?? []] : row.AttOptions,
        });
        AddColumnDependencies(table, column);
        RemoveColumnStatistics(table, column);
        NextCommand();

        static bool IsVersion(string option) => option.StartsWith("pg_attver=", StringComparison.Ordinal);
    }

    /// <summary>Changes what a column has besides: ALTER COLUMN SET STATISTICS, SET STORAGE.</summary>
    public void ChangeColumn(Oid table, short column, Func<PgAttribute, PgAttribute> change)
    {
        (PgAttribute row, Tid tid) = GetAttribute(table, column);
        Update(SystemCatalogs.Attribute, tid, row, change(row));
        NextCommand();
    }

    /// <summary>Storage parameters "name=value"; null for none.</summary>
    public void SetOptions(Oid relation, string[]? options)
    {
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, relation);
        Update(SystemCatalogs.Class, tid, row, row with { RelOptions = options });
        NextCommand();
    }

    /// <summary>A TOAST table when the columns have come to need one; at the end of every ALTER TABLE.</summary>
    public void AddToastIfNeeded(Oid table)
    {
        NextCommand();
        CreateToastTable(table);
    }

    /// <exception cref="PgException">42701.</exception>
    internal void CheckColumnName(Oid table, string name)
    {
        if (AttributeRows.System.Any(s => s.AttName == name))
        {
            throw new PgException(SqlStates.DuplicateColumn, $"column name \"{name}\" conflicts with a system column name");
        }

        if (View.GetAttributes(table).Any(a => a.AttName == name))
        {
            throw new PgException(SqlStates.DuplicateColumn, $"column \"{name}\" of relation \"{View.ClassById(table)!.RelName}\" already exists");
        }
    }

    /// <summary>The column's row stays, as its place in the table's rows does.</summary>
    private void RemoveColumn(Oid table, short column)
    {
        (PgAttribute row, Tid tid) = GetAttribute(table, column);
        Update(SystemCatalogs.Attribute, tid, row, row with
        {
            AttIsDropped = true,
            AttTypId = Oid.Invalid,
            AttNotNull = false,
            AttStatTarget = 0,
            AttGenerated = '\0',
            AttName = string.Create(CultureInfo.InvariantCulture, $"........pg.dropped.{column}........"),
            AttHasMissing = false,
            AttMissingVal = null,
        });
        RemoveColumnStatistics(table, column);
    }

    private void RemoveColumnStatistics(Oid table, short column) =>
        DeleteAll(SystemCatalogs.Statistic, SystemCatalogs.Statistic.IndexOn("starelid", "staattnum", "stainherit"), Datum.FromOid(table), Datum.FromInt16(column));
}
