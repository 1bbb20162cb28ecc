using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>CREATE INDEX and the indexes of constraints: rows, file, build (PostgreSQL's index.c).</summary>
public sealed partial class CatalogWriter
{
    /// <summary>
    /// Makes an index and fills it from the table. The caller holds a SHARE lock on the table or a stronger one. <paramref name="expressions"/> is needed
    /// for an index with expressions or a predicate.
    /// </summary>
    /// <exception cref="PgException">42P07, 42710 when the name is taken; 23505 when rows are not unique; 23502 for a null in a primary key.</exception>
    public Oid CreateIndex(NewIndex index, IIndexExpressions? expressions = null)
    {
        if (View.ClassById(index.Table) is { RelIsShared: true } or { Oid.Value: < 16384, RelNamespace.Value: PgOids.CatalogNamespace })
        {
            throw new PgException(SqlStates.FeatureNotSupported, "user-defined indexes on system catalog tables are not supported");
        }

        Oid id = CreateIndexRows(index);
        BuildNewIndex(id, expressions);
        return id;
    }

    /// <summary>pg_class, pg_attribute, pg_index, pg_constraint and dependencies of a new index, and its empty file; seen after return.</summary>
    private Oid CreateIndexRows(NewIndex index)
    {
        PgClass table = View.ClassById(index.Table)!;
        CheckNewRelationName(index.Name, table.RelNamespace);
        if (index.IsConstraint && View.GetConstraints(table.Oid).Any(c => c.ConName == index.Name))
        {
            throw new PgException(SqlStates.DuplicateObject, $"constraint \"{index.Name}\" for relation \"{table.RelName}\" already exists");
        }

        PgAttribute[] columns = MakeIndexColumns(index);
        Oid tablespace = index.Tablespace == _database.Tablespace ? Oid.Invalid : index.Tablespace;
        Oid id = NewFileNumber(tablespace);
        LockNew(id);
        CreateFile(tablespace, id, table.RelPersistence);
        Insert(SystemCatalogs.Class, new PgClass
        {
            Oid = id,
            RelName = index.Name,
            RelNamespace = table.RelNamespace,
            RelOwner = table.RelOwner,
            RelAm = new Oid(PgOids.BtreeAm),
            RelFileNode = id,
            RelTablespace = tablespace,
            RelTuples = 0,
            RelPersistence = table.RelPersistence,
            RelKind = 'i',
            RelNAtts = (short)columns.Length,
            RelIsPopulated = true,
            RelReplIdent = 'n',
            RelOptions = index.Options,
        });
        foreach (PgAttribute column in columns)
        {
            Insert(SystemCatalogs.Attribute, column with { AttRelId = id });
        }

        InsertIndexRow(id, index);
        InvalidateRelation(table.Oid);
        AddIndexDependencies(id, index, table);
        NextCommand();
        return id;
    }

    private void InsertIndexRow(Oid id, NewIndex index)
    {
        var trees = index.Columns.Where(c => c.Expression is not null).Select(c => c.Expression!).ToArray();
        Insert(SystemCatalogs.Index, new PgIndex
        {
            IndexRelId = id,
            IndRelId = index.Table,
            IndNAtts = (short)(index.Columns.Count + index.Included.Count),
            IndNKeyAtts = (short)index.Columns.Count,
            IndIsUnique = index.Unique,
            IndNullsNotDistinct = index.NullsNotDistinct,
            IndIsPrimary = index.Primary,
            IndImmediate = !index.Deferrable,
            IndIsValid = true,
            IndIsReady = true,
            IndIsLive = true,
            IndKey = [.. index.Columns.Select(c => c.Column), .. index.Included],
            IndCollation = [.. index.Columns.Select(c => c.Collation)],
            IndClass = [.. index.Columns.Select(c => c.OperatorClass)],
            IndOption = [.. index.Columns.Select(c => (short)((c.Descending ? 1 : 0) | (c.NullsFirst ? 2 : 0)))],
            IndExprs = trees.Length == 0 ? null : NodeList.Of(trees).ToString(),
            IndPred = index.Predicate?.ToString(),
        });
    }

    private PgAttribute[] MakeIndexColumns(NewIndex index)
    {
        IReadOnlyList<PgAttribute> table = View.GetAttributes(index.Table);
        var rows = new PgAttribute[index.Columns.Count + index.Included.Count];
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < rows.Length; i++)
        {
            NewIndexColumn? key = i < index.Columns.Count ? index.Columns[i] : null;
            short number = key?.Column ?? index.Included[i - index.Columns.Count];
            PgAttribute row = number > 0
                ? AttributeRows.ForIndex(table[number - 1])
                : AttributeRows.OfType(View.GetTypeRow(key!.ExpressionType), "", 0) with { AttTypMod = key.ExpressionTypeModifier };
            if (key is not null && View.OpClassById(key.OperatorClass) is { OpcKeyType.IsValid: true } opClass && opClass.OpcKeyType != row.AttTypId)
            {
                PgType stored = View.GetTypeRow(opClass.OpcKeyType);
                row = AttributeRows.OfType(stored, row.AttName, 0);
            }

            string name = UniqueColumnName(number > 0 ? table[number - 1].AttName : key!.Name ?? "expr", names);
            rows[i] = row with { AttName = name, AttNum = (short)(i + 1), AttCollation = key?.Collation ?? Oid.Invalid, AttStatTarget = -1 };
        }

        return rows;
    }

    private static string UniqueColumnName(string name, HashSet<string> taken)
    {
        string candidate = name;
        for (int n = 1; !taken.Add(candidate); n++)
        {
            string suffix = n.ToString(CultureInfo.InvariantCulture);
            candidate = name[..Math.Min(name.Length, CatalogDatum.NameLength - 1 - suffix.Length)] + suffix;
        }

        return candidate;
    }

    private void AddIndexDependencies(Oid id, NewIndex index, PgClass table)
    {
        ObjectAddress self = ObjectAddress.Relation(id);
        short[] columns = [.. index.Columns.Select(c => c.Column), .. index.Included];
        if (index.IsConstraint)
        {
            Oid constraint = InsertConstraint(new PgConstraint
            {
                ConName = index.Name,
                ConNamespace = table.RelNamespace,
                ConType = index.Primary ? 'p' : 'u',
                ConDeferrable = index.Deferrable,
                ConDeferred = index.InitiallyDeferred,
                ConValidated = true,
                ConRelId = table.Oid,
                ConIndId = id,
                ConFUpdType = ' ',
                ConFDelType = ' ',
                ConFMatchType = ' ',
                ConIsLocal = true,
                ConNoInherit = true,
                ConKey = [.. index.Columns.Select(c => c.Column)],
            });
            AddDependencies(ObjectAddress.Constraint(constraint), columns.Select(c => ObjectAddress.Relation(table.Oid, c)), DependencyKind.Auto);
            AddDependency(self, ObjectAddress.Constraint(constraint), DependencyKind.Internal);
            if (index.Deferrable)
            {
                InsertConstraintTrigger(table.Oid, Oid.Invalid, id, constraint, index.Primary ? "PK_ConstraintTrigger" : "Unique_ConstraintTrigger", 1250, 21, true, index.InitiallyDeferred);
            }
        }
        else
        {
            IEnumerable<ObjectAddress> own = columns.Any(c => c != 0)
                ? columns.Where(c => c != 0).Select(c => ObjectAddress.Relation(table.Oid, c))
                : [ObjectAddress.Relation(table.Oid)];
            AddDependencies(self, own, DependencyKind.Auto);
        }

        AddDependencies(
            self,
            index.Columns.Where(c => c.Collation.IsValid && c.Collation.Value != PgOids.DefaultCollation)
                .Select(c => new ObjectAddress(SystemCatalogs.Collation.Id, c.Collation, 0))
                .Concat(index.Columns.Select(c => new ObjectAddress(SystemCatalogs.OpClass.Id, c.OperatorClass, 0))),
            DependencyKind.Normal);
        foreach (NodeValue tree in index.Columns.Select(c => c.Expression).Append(index.Predicate).OfType<NodeValue>())
        {
            AddExpressionDependencies(self, tree, table.Oid, DependencyKind.Auto);
        }
    }

    /// <summary>Fills a new index from its table and notes sizes and counts of both in pg_class (index_build).</summary>
    private void BuildNewIndex(Oid id, IIndexExpressions? expressions)
    {
        IndexInfo index = View.GetIndex(id);
        Relation table = View.GetRelation(index.TableId);
        WriteInitFork(index);
        double rows = IndexBuild.Run(_engine, _tx, table, index, expressions);
        UpdateIndexStatistics(table.Id, isIndex: false, rows);
        UpdateIndexStatistics(id, isIndex: true, rows);
        NextCommand();
    }

    private void BuildEmptyIndex(IndexInfo index)
    {
        WriteInitFork(index);
        new BtreeIndex(_engine, index).Build(_tx, [], index.IsUnique, index.Relation.Name);
    }

    /// <summary>R16: what the index is after a crash.</summary>
    private void WriteInitFork(IndexInfo index)
    {
        if (index.Relation.Persistence == 'u')
        {
            new BtreeIndex(_engine, index).BuildInitFork(_tx);
        }
    }

    /// <summary>index_update_stats: in place, as others may do the same at once.</summary>
    private void UpdateIndexStatistics(Oid relation, bool isIndex, double rows)
    {
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, relation);
        PgClass changed = isIndex ? row : row with { RelHasIndex = true };

        // An empty table that was never vacuumed stays so, else CREATE TABLE with a key would look like it had been.
        if (rows > 0 || row.RelTuples >= 0)
        {
            RelFileNode node = RelationBuilder.NodeOf(View, row);
            changed = changed with { RelPages = (int)_engine.Buffers.BlockCount(node, ForkNumber.Main), RelTuples = (float)rows };
            if (!isIndex)
            {
                changed = changed with { RelAllVisible = (int)new VisibilityMap(_engine, node).Count().Visible };
            }
        }

        if (changed != row)
        {
            UpdateInPlace(SystemCatalogs.Class, tid, changed);
        }
        else
        {
            InvalidateRelation(relation);
        }
    }
}
