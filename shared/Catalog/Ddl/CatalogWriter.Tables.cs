using System.Globalization;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>CREATE TABLE's rows and files (PostgreSQL's heap.c and toasting.c).</summary>
public sealed partial class CatalogWriter
{
    private const int MaxColumns = 1600;

    /// <summary>
    /// Makes the table with its row type, columns, defaults and, when its rows can grow long, its TOAST table. Constraints and indexes come after it.
    /// </summary>
    /// <exception cref="PgException">42P07, 42710, 42701, 54011.</exception>
    public Oid CreateTable(NewTable table)
    {
        CheckNewRelationName(table.Name, table.Namespace);
        CheckColumns(table.Columns);
        Oid id = CreateRelation(table.Name, table.Namespace, table.Tablespace, 'r', MakeColumns(table.Columns), table.Options, withType: true, CurrentUser, table.Persistence);
        NextCommand();
        for (int i = 0; i < table.Columns.Count; i++)
        {
            if (table.Columns[i].Default is { } value)
            {
                StoreDefault(id, (short)(i + 1), value);
            }
        }

        NextCommand();
        CreateToastTable(id);
        return id;
    }

    /// <summary>Stores a column's default; a constant null means none and is not stored.</summary>
    public void StoreDefault(Oid table, short column, NodeValue value)
    {
        if (value is NodeTree { Name: "CONST" } constant && constant.Bool("constisnull"))
        {
            return;
        }

        Oid id = NewOid(SystemCatalogs.AttrDef);
        Insert(SystemCatalogs.AttrDef, new PgAttrDef { Oid = id, AdRelId = table, AdNum = column, AdBin = value.ToString() });
        (PgAttribute row, Tid tid) = GetAttribute(table, column);
        if (!row.AttHasDef)
        {
            Update(SystemCatalogs.Attribute, tid, row, row with { AttHasDef = true });
        }

        var self = new ObjectAddress(SystemCatalogs.AttrDef.Id, id, 0);
        AddDependency(self, ObjectAddress.Relation(table, column), DependencyKind.Auto);
        AddExpressionDependencies(self, value, Oid.Invalid, DependencyKind.Normal);
    }

    /// <summary>A name for a new relation that is not taken in the schema ("t_pkey", "t_a_idx1").</summary>
    public string ChooseRelationName(string name1, string? name2, string label, Oid schema) =>
        ObjectNames.Choose(name1, name2, label, n => View.ClassByName(n, schema) is not null);

    /// <summary>A relation of any kind with its file, row type, pg_class and pg_attribute rows and dependencies (heap_create_with_catalog).</summary>
    internal Oid CreateRelation(string name, Oid schema, Oid tablespace, char kind, PgAttribute[] columns, string[]? options, bool withType, Oid owner, char persistence = 'p')
    {
        if (tablespace == _database.Tablespace)
        {
            tablespace = Oid.Invalid;
        }

        bool hasFile = kind is 'r' or 't' or 'S';
        bool hasXids = kind is 'r' or 't';
        Oid id = NewFileNumber(tablespace);
        LockNew(id);
        if (hasFile)
        {
            CreateFile(tablespace, id, persistence);
        }

        Oid type = withType ? CreateRowType(name, schema, id, owner) : Oid.Invalid;
        string[]? version = withType ? AttributeVersion() : null;
        Insert(SystemCatalogs.Class, new PgClass
        {
            Oid = id,
            RelName = name,
            RelNamespace = schema,
            RelType = type,
            RelOwner = owner,
            RelAm = new Oid(hasXids ? PgOids.HeapAm : 0),
            RelFileNode = hasFile ? id : Oid.Invalid,
            RelTablespace = tablespace,
            RelPages = kind == 'S' ? 1 : 0,
            RelTuples = kind == 'S' ? 1 : -1,
            RelPersistence = persistence,
            RelKind = kind,
            RelNAtts = (short)columns.Length,
            RelIsPopulated = true,
            RelReplIdent = kind == 'r' ? 'd' : 'n',
            RelFrozenXid = hasXids ? _engine.Transactions.XidHorizon : Xid.Invalid,
            RelMinMxid = hasXids ? View.DatabaseById(_database.Id)!.DatMinMxid : Xid.Invalid,
            RelOptions = options,
        });
        InsertAttributes(id, version is null ? columns : [.. columns.Select(c => c with { AttOptions = version })], kind);
        if (kind != 't')
        {
            ObjectAddress self = ObjectAddress.Relation(id);
            AddOwner(self, owner);
            AddDependency(self, ObjectAddress.Namespace(schema), DependencyKind.Normal);
        }

        return id;
    }

    /// <summary>The TOAST table and its index, if rows can be longer than a quarter of a page (needs_toast_table).</summary>
    /// <param name="table">The table.</param>
    /// <param name="options">Storage parameters of the TOAST table.</param>
    internal void CreateToastTable(Oid table, string[]? options = null)
    {
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, table);
        if (row.RelToastRelId.IsValid || !ToastNeed.NeedsToast(View.GetRelation(table).Desc))
        {
            return;
        }

        string name = string.Create(CultureInfo.InvariantCulture, $"pg_toast_{table.Value}");
        var schema = new Oid(PgOids.ToastNamespace);
        PgAttribute[] columns = [.. ToastTables.Desc.Attributes.ToArray().Select(AttributeRows.FromDescription)];
        Oid toast = CreateRelation(name, schema, row.RelTablespace, 't', columns, options, withType: false, row.RelOwner, row.RelPersistence);
        NextCommand();
        Oid index = CreateIndexRows(new NewIndex
        {
            Name = name + "_index",
            Table = toast,
            Columns =
            [
                new NewIndexColumn { Column = 1, OperatorClass = new Oid(1981) },
                new NewIndexColumn { Column = 2, OperatorClass = new Oid(1978) },
            ],
            Unique = true,
            Primary = true,
            Tablespace = row.RelTablespace,
        });
        BuildNewIndex(index, null);

        // The table's row is read again: its place may have changed since.
        (row, tid) = Get(SystemCatalogs.Class, table);
        Update(SystemCatalogs.Class, tid, row, row with { RelToastRelId = toast });
        AddDependency(ObjectAddress.Relation(toast), ObjectAddress.Relation(table), DependencyKind.Internal);
        NextCommand();
    }

    private PgAttribute[] MakeColumns(IReadOnlyList<NewColumn> columns)
    {
        var rows = new PgAttribute[columns.Count];
        for (int i = 0; i < rows.Length; i++)
        {
            NewColumn c = columns[i];
            PgType type = View.GetTypeRow(c.TypeId);
            rows[i] = AttributeRows.OfType(type, c.Name, (short)(i + 1)) with
            {
                AttTypMod = c.TypeModifier,
                AttCollation = c.Collation,
                AttNDims = c.Dimensions,
                AttNotNull = c.NotNull,
                AttIdentity = c.Identity,
                AttStorage = c.Storage == '\0' ? type.TypStorage : c.Storage,
            };
        }

        return rows;
    }

    /// <summary>
    /// Since 15.20 PostgreSQL marks the columns of row types with a position in the log, so that a stored composite value made for an earlier state of the
    /// column is recognised; older minor versions would show the mark as an unknown option. So it is written where initdb wrote it.
    /// </summary>
    private string[]? AttributeVersion()
    {
        PgClass? known = View.ClassByName("pg_roles", new Oid(PgOids.CatalogNamespace));
        bool used = known is not null && View.GetAttributes(known.Oid) is [{ AttOptions: { } options }, ..]
            && options.Any(o => o.StartsWith("pg_attver=", StringComparison.Ordinal));
        return used ? [string.Create(CultureInfo.InvariantCulture, $"pg_attver={_engine.WritableWal.Reserved.Value}")] : null;
    }

    private void InsertAttributes(Oid relation, PgAttribute[] columns, char kind)
    {
        foreach (PgAttribute column in columns)
        {
            Insert(SystemCatalogs.Attribute, column with { AttRelId = relation });
        }

        foreach (PgAttribute column in columns)
        {
            ObjectAddress self = ObjectAddress.Relation(relation, column.AttNum);
            AddDependency(self, ObjectAddress.Type(column.AttTypId), DependencyKind.Normal);
            if (column.AttCollation.IsValid && column.AttCollation.Value != PgOids.DefaultCollation)
            {
                AddDependency(self, new ObjectAddress(SystemCatalogs.Collation.Id, column.AttCollation, 0), DependencyKind.Normal);
            }
        }

        if (kind is not ('v' or 'c'))
        {
            foreach (PgAttribute column in AttributeRows.System)
            {
                Insert(SystemCatalogs.Attribute, column with { AttRelId = relation });
            }
        }
    }

    internal (PgAttribute Row, Tid Tid) GetAttribute(Oid relation, short column)
    {
        var rows = View.Search(SystemCatalogs.Attribute, SystemCatalogs.Attribute.IndexOn("attrelid", "attnum"), Format.Tuples.Datum.FromOid(relation), Format.Tuples.Datum.FromInt16(column));
        return rows.Count == 1
            ? rows[0]
            : throw new PgException(SqlStates.InternalError, string.Create(CultureInfo.InvariantCulture, $"cache lookup failed for attribute {column} of relation {relation.Value}"));
    }

    private void CheckNewRelationName(string name, Oid schema)
    {
        if (View.ClassByName(name, schema) is not null)
        {
            throw new PgException(SqlStates.DuplicateTable, $"relation \"{name}\" already exists");
        }
    }

    private static void CheckColumns(IReadOnlyList<NewColumn> columns)
    {
        if (columns.Count > MaxColumns)
        {
            throw new PgException(SqlStates.TooManyColumns, "tables can have at most 1600 columns");
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (NewColumn c in columns)
        {
            if (AttributeRows.System.Any(s => s.AttName == c.Name))
            {
                throw new PgException(SqlStates.DuplicateColumn, $"column name \"{c.Name}\" conflicts with a system column name");
            }

            if (!names.Add(c.Name))
            {
                throw new PgException(SqlStates.DuplicateColumn, $"column \"{c.Name}\" specified more than once");
            }
        }
    }
}
