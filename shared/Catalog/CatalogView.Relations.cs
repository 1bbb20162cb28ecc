using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using Pg = SharedStorage.Catalog.SystemCatalogs;

namespace SharedStorage.Catalog;

/// <summary>Relations with their columns, indexes, constraints, defaults, triggers, rules and statistics.</summary>
public sealed partial class CatalogView
{
    private static class RelationKeys
    {
        public static readonly CatalogIndex ClassOid = Pg.Class.IndexOn("oid"), ClassName = Pg.Class.IndexOn("relname", "relnamespace"),
            Attribute = Pg.Attribute.IndexOn("attrelid", "attnum"), IndexTable = Pg.Index.IndexOn("indrelid"), IndexOid = Pg.Index.IndexOn("indexrelid"),
            ConstraintTable = Pg.Constraint.IndexOn("conrelid", "contypid", "conname"), ConstraintOid = Pg.Constraint.IndexOn("oid"),
            ConstraintName = Pg.Constraint.IndexOn("conname", "connamespace"), ConstraintType = Pg.Constraint.IndexOn("contypid"),
            Default = Pg.AttrDef.IndexOn("adrelid", "adnum"), Trigger = Pg.Trigger.IndexOn("tgrelid", "tgname"),
            Rule = Pg.Rewrite.IndexOn("ev_class", "rulename"), Statistic = Pg.Statistic.IndexOn("starelid", "staattnum", "stainherit"),
            Sequence = Pg.Sequence.IndexOn("seqrelid"), Child = Pg.Inherits.IndexOn("inhparent"), Parent = Pg.Inherits.IndexOn("inhrelid", "inhseqno");
    }

    public PgClass? ClassById(Oid id) => Entry(id)?.Class;
    public PgClass? ClassByName(string name, Oid schema) => Row(Pg.Class, CatalogKey.Of(RelationKeys.ClassName, name, schema));

    /// <summary>A relation for the access methods; null when there is none with this number.</summary>
    public Relation? FindRelation(Oid id) => Entry(id) is { } entry ? entry.Relation ??= RelationBuilder.Build(this, entry.Class) : null;

    /// <exception cref="PgException">XX000: it does not exist (any more).</exception>
    public Relation GetRelation(Oid id) => FindRelation(id) ?? throw Gone(id);

    /// <summary>The indexes of a table in order of their numbers, invalid ones too (check IsValid, IsReady).</summary>
    public IReadOnlyList<IndexInfo> GetIndexes(Oid table)
    {
        RelationEntry entry = Entry(table) ?? throw Gone(table);
        if (entry.Indexes is null)
        {
            entry.Indexes = entry.Class.RelHasIndex
                ? [.. Uncached(Pg.Index, CatalogKey.Of(RelationKeys.IndexTable, table)).Where(i => i.IndIsLive).OrderBy(i => i.IndexRelId).Select(i => GetIndex(i.IndexRelId))]
                : [];
        }

        return entry.Indexes;
    }

    /// <exception cref="PgException">XX000: it does not exist (any more) or is no index.</exception>
    public IndexInfo GetIndex(Oid id)
    {
        RelationEntry entry = Entry(id) ?? throw Gone(id);
        return entry.Index ??= RelationBuilder.BuildIndex(this, entry.Class, IndexRow(id) ?? throw Gone(id));
    }

    public PgIndex? IndexRow(Oid id) => Row(Pg.Index, CatalogKey.Of(RelationKeys.IndexOid, id));

    /// <summary>The user columns of a relation in order, dropped ones too.</summary>
    public IReadOnlyList<PgAttribute> GetAttributes(Oid relation)
    {
        RelationEntry entry = Entry(relation) ?? throw Gone(relation);
        return entry.Attributes ??= LoadAttributes(relation);
    }

    /// <summary>The constraints of a table in order of their names.</summary>
    public IReadOnlyList<PgConstraint> GetConstraints(Oid table)
    {
        RelationEntry entry = Entry(table) ?? throw Gone(table);
        return entry.Constraints ??= Uncached(Pg.Constraint, CatalogKey.Of(RelationKeys.ConstraintTable, table));
    }

    /// <summary>The foreign keys of other tables (or itself) that refer to the table, found by their triggers on it.</summary>
    public IReadOnlyList<PgConstraint> GetReferencingConstraints(Oid table) =>
        [.. GetTriggers(table)
            .Where(t => t.TgIsInternal && t.TgConstraint.IsValid)
            .Select(t => t.TgConstraint).Distinct().Select(ConstraintById).OfType<PgConstraint>()
            .Where(c => c.ConType == 'f' && c.ConFRelId == table)];

    public PgConstraint? ConstraintById(Oid id) => Row(Pg.Constraint, CatalogKey.Of(RelationKeys.ConstraintOid, id));

    /// <summary>The checks of a domain.</summary>
    public IReadOnlyList<PgConstraint> ConstraintsOfType(Oid type) => Uncached(Pg.Constraint, CatalogKey.Of(RelationKeys.ConstraintType, type));

    /// <summary>Defaults and generation expressions, in order of columns.</summary>
    public IReadOnlyList<PgAttrDef> GetDefaults(Oid table)
    {
        RelationEntry entry = Entry(table) ?? throw Gone(table);
        return entry.Defaults ??= Uncached(Pg.AttrDef, CatalogKey.Of(RelationKeys.Default, table));
    }

    /// <summary>The node tree of a column's default; null when it has none.</summary>
    public string? GetDefault(Oid table, short column)
    {
        foreach (PgAttrDef d in GetDefaults(table))
        {
            if (d.AdNum == column)
            {
                return d.AdBin;
            }
        }

        return null;
    }

    /// <summary>The triggers of a table in order of their names (the order in which they fire), those of constraints too.</summary>
    public IReadOnlyList<PgTrigger> GetTriggers(Oid table)
    {
        RelationEntry entry = Entry(table) ?? throw Gone(table);
        return entry.Triggers ??= entry.Class.RelHasTriggers ? Uncached(Pg.Trigger, CatalogKey.Of(RelationKeys.Trigger, table)) : [];
    }

    /// <summary>The rules; a view has one, "_RETURN", whose action is its query.</summary>
    public IReadOnlyList<PgRewrite> GetRules(Oid relation)
    {
        RelationEntry entry = Entry(relation) ?? throw Gone(relation);
        return entry.Rules ??= entry.Class.RelHasRules ? Uncached(Pg.Rewrite, CatalogKey.Of(RelationKeys.Rule, relation)) : [];
    }

    /// <summary>Inheritance children and partitions.</summary>
    public IReadOnlyList<Oid> GetChildren(Oid table)
    {
        RelationEntry entry = Entry(table) ?? throw Gone(table);
        return entry.Children ??= entry.Class.RelHasSubclass
            ? [.. Uncached(Pg.Inherits, CatalogKey.Of(RelationKeys.Child, table)).Select(i => i.InhRelId)]
            : [];
    }

    public PgStatistic? GetStatistic(Oid table, short column, bool inherited = false) =>
        Row(Pg.Statistic, CatalogKey.Of(RelationKeys.Statistic, table, column, inherited ? 1 : 0));

    public PgSequence? GetSequence(Oid sequence) => Row(Pg.Sequence, CatalogKey.Of(RelationKeys.Sequence, sequence));

    /// <summary>The file number in pg_class.</summary>
    internal Oid FileNodeOf(Oid relation) => (Row(Pg.Class, CatalogKey.Of(RelationKeys.ClassOid, relation)) ?? throw Gone(relation)).RelFileNode;

    private PgAttribute[] LoadAttributes(Oid relation) =>
        [.. Uncached(Pg.Attribute, CatalogKey.Of(RelationKeys.Attribute, relation)).Where(a => a.AttNum > 0).OrderBy(a => a.AttNum)];

    private RelationEntry? Entry(Oid id)
    {
        if (_epoch.Relations.TryGetValue(id, out RelationEntry? entry))
        {
            return entry;
        }

        PgClass? row = Row(Pg.Class, CatalogKey.Of(RelationKeys.ClassOid, id));
        return row is null ? null : _epoch.Relations.GetOrAdd(id, new RelationEntry(row));
    }

    private static PgException Gone(Oid id) =>
        new(SqlStates.InternalError, string.Create(CultureInfo.InvariantCulture, $"could not open relation with OID {id.Value}"));
}
