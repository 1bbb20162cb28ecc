using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Catalog;

/// <summary>Our reading of a directory that stock PostgreSQL made, against what it says itself.</summary>
public sealed class CatalogReadingTests(StockCatalogFixture stock) : IClassFixture<StockCatalogFixture>
{
    private static readonly Oid[] Public = [new(PgOids.CatalogNamespace), new(PgOids.PublicNamespace)];

    [SkippableFact]
    public void Every_catalog_has_as_many_rows_as_PostgreSQL_counts()
    {
        CatalogView view = stock.View();
        foreach (CatalogTable table in SystemCatalogs.All)
        {
            int count = 0;
            stock.Reader.Scan(view.Files(table), null, [], null, (_, _) => count++);
            Assert.True(stock.Counts[table.Name] == count, $"{table.Name}: {count} rows, PostgreSQL has {stock.Counts[table.Name]}");
        }
    }

    [SkippableFact]
    public void A_row_read_and_written_again_has_the_same_bytes()
    {
        CatalogView view = stock.View();
        RoundTrip(view, SystemCatalogs.Class);
        RoundTrip(view, SystemCatalogs.Attribute);
        RoundTrip(view, SystemCatalogs.AttrDef);
        RoundTrip(view, SystemCatalogs.Type);
        RoundTrip(view, SystemCatalogs.Proc);
        RoundTrip(view, SystemCatalogs.Operator);
        RoundTrip(view, SystemCatalogs.Index);
        RoundTrip(view, SystemCatalogs.Constraint);
        RoundTrip(view, SystemCatalogs.Depend);
        RoundTrip(view, SystemCatalogs.Statistic);
        RoundTrip(view, SystemCatalogs.Trigger);
        RoundTrip(view, SystemCatalogs.Rewrite);
        RoundTrip(view, SystemCatalogs.Database);
        RoundTrip(view, SystemCatalogs.AuthId);
        RoundTrip(view, SystemCatalogs.Sequence);
        RoundTrip(view, SystemCatalogs.DbRoleSetting);
        RoundTrip(view, SystemCatalogs.Collation);
        RoundTrip(view, SystemCatalogs.InitPrivs);
        RoundTrip(view, SystemCatalogs.Aggregate);
    }

    [SkippableFact]
    public void Every_relation_opens_with_the_file_that_PostgreSQL_names_and_its_rows_can_be_read()
    {
        CatalogView view = stock.View();
        foreach (string line in stock.Classes)
        {
            string[] parts = line.Split('|');
            Relation relation = view.GetRelation(new Oid(uint.Parse(parts[0], CultureInfo.InvariantCulture)));
            Assert.Equal(parts[1], relation.Name);
            Assert.Equal(parts[2][0], relation.Kind);
            if (parts[3].Length == 0)
            {
                continue;
            }

            Assert.Equal(parts[3], RelationFiles.RelativePath(relation.Node, ForkNumber.Main));
            if (relation.Kind is 'r' or 't')
            {
                stock.Reader.ReadRows(relation, (_, _) => { });
            }

            if (relation.Kind == 'r')
            {
                Assert.All(view.GetIndexes(relation.Id), i => Assert.Equal(relation.Id, i.TableId));
            }
        }
    }

    [SkippableFact]
    public void A_fixed_description_of_a_catalog_equals_its_rows_in_pg_attribute_and_pg_index()
    {
        CatalogView view = stock.View();
        foreach (CatalogTable table in SystemCatalogs.All)
        {
            Relation actual = view.GetRelation(table.Id);
            CatalogRelation @fixed = view.Files(table);
            Assert.Equal(actual.Node, @fixed.Relation.Node);
            Assert.Equal(actual.ToastRelation, table.ToastId);
            Assert.Equal(actual.ToastIndex?.Relation.Node, @fixed.Relation.ToastIndex?.Relation.Node);
            for (int i = 0; i < actual.Desc.Count; i++)
            {
                TupleAttribute a = actual.Desc[i];
                Assert.Equal(a with { Dimensions = 0, HasDefault = false }, table.Desc[i]);
            }

            IReadOnlyList<IndexInfo> indexes = view.GetIndexes(table.Id);
            Assert.Equal(indexes.Select(i => i.Relation.Id), table.Indexes.Select(i => i.Id).Order());
            foreach (IndexInfo index in @fixed.Indexes)
            {
                IndexInfo other = indexes.Single(i => i.Relation.Id == index.Relation.Id);
                Assert.Equal(other.Relation.Node, index.Relation.Node);
                Assert.Equal(other.IsUnique, index.IsUnique);
                Assert.Equal(other.IsPrimary, index.IsPrimary);
                Assert.Equal(other.Columns.Select(c => (c.HeapAttribute, c.Attribute.Length, c.EqualImage)), index.Columns.Select(c => (c.HeapAttribute, c.Attribute.Length, c.EqualImage)));
            }
        }
    }

    [SkippableFact]
    public void A_user_table_comes_with_columns_indexes_constraints_and_defaults()
    {
        CatalogView view = stock.View();
        PgClass parent = view.ResolveRelation(null, "parent", Public);
        Relation relation = view.GetRelation(parent.Oid);
        Assert.Equal(["id", "name", "amount", "note"], relation.Desc.Attributes.ToArray().Select(a => a.Name));
        Assert.Equal(24, relation.Desc[1].TypeModifier);
        Assert.True(relation.Toast is not null && relation.ToastIndex is not null);
        IndexInfo key = Assert.Single(view.GetIndexes(parent.Oid));
        Assert.True(key.IsPrimary && key.IsUnique && key.Columns[0].Compare is not null && key.Columns[0].EqualImage);
        Assert.Equal(["parent_amount_check", "parent_pkey"], view.GetConstraints(parent.Oid).Select(c => c.ConName));
        Assert.Equal("child_parent_id_fkey", Assert.Single(view.GetReferencingConstraints(parent.Oid)).ConName);
        Assert.StartsWith("{FUNCEXPR", view.GetDefault(parent.Oid, 2), StringComparison.Ordinal);
        Assert.Equal("the parent", view.CommentOn(SystemCatalogs.Class.Id, parent.Oid, 0));
        Assert.NotNull(view.GetStatistic(parent.Oid, 1));

        PgClass child = view.ResolveRelation("public", "child", Public);
        Assert.Equal(70, view.GetRelation(child.Oid).FillFactor);
        IndexInfo descending = view.GetIndexes(child.Oid).Single(i => i.Relation.Name == "child_desc");
        Assert.True(descending.Columns[0].Descending && !descending.Columns[0].NullsFirst && descending.KeyCount == 2 && descending.Columns.Count == 3);
        IndexInfo partial = view.GetIndexes(child.Oid).Single(i => i.Relation.Name == "child_part");
        Assert.True(partial.HasExpressions && partial.HasPredicate);
        Assert.StartsWith("({QUERY", Assert.Single(view.GetRules(view.ResolveRelation(null, "both_of", Public).Oid)).EvAction, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Rows_older_than_a_column_get_its_missing_value()
    {
        CatalogView view = stock.View();
        Relation relation = view.GetRelation(view.ResolveRelation(null, "added", Public).Oid);
        Assert.True(relation.Desc[0].IsDropped);
        Assert.Equal(42, relation.Desc[1].Missing!.Value.Int32);
        Assert.Equal("forty-two", relation.Desc[2].Missing!.Value.AsText());
    }

    [SkippableFact]
    public void Names_are_found_along_the_search_path()
    {
        CatalogView view = stock.View();
        IReadOnlyList<Oid> path = view.ResolveSearchPath(["$user", "s", "public", "nowhere"], "postgres");
        Assert.Equal(3, path.Count);
        Assert.Equal(PgOids.CatalogNamespace, path[0].Value);
        Assert.Equal(path[1], view.ResolveRelation(null, "parent", path).RelNamespace);
        Assert.Equal(SqlStates.UndefinedTable, Assert.Throws<PgException>(() => view.ResolveRelation(null, "nothing", path)).SqlState);
        Assert.Equal(PgTypes.Int4, view.FindTypeByName(null, "int4", path)!.Oid.Value);
        Assert.Contains(view.FunctionsByName("now"), f => f.ProSrc == "now");
        Assert.Equal("int4pl", view.FunctionById(view.OperatorsByName("+", new Oid(PgTypes.Int4), new Oid(PgTypes.Int4))[0].OprCode)!.ProSrc);
        Assert.Equal(["work_mem=8MB"], view.Settings(view.Database.Id, Oid.Invalid));
        Assert.True(view.RoleByName("postgres")!.RolSuper);
    }

    [SkippableFact]
    public void A_second_lookup_reads_no_catalog()
    {
        CatalogView first = stock.View();
        void Look(CatalogView v)
        {
            Oid id = v.ResolveRelation(null, "child", Public).Oid;
            v.GetRelation(id);
            v.GetIndexes(id);
            v.GetConstraints(id);
            v.GetDefaults(id);
            v.GetStatistic(id, 1);
            v.OperatorsByName("=");
        }

        Look(first);
        int before = stock.Reader.Scans;
        Look(stock.View());
        Assert.Equal(before, stock.Reader.Scans);
    }

    private void RoundTrip<TRow>(CatalogView view, CatalogTable<TRow> table)
        where TRow : class, ICatalogRow<TRow>
    {
        int rows = 0;
        stock.Reader.Scan(view.Files(table), null, [], null, (values, tid) =>
        {
            rows++;
            byte[] before = HeapTupleCodec.Form(table.Desc, values);
            byte[] after = HeapTupleCodec.Form(table.Desc, table.Write(table.Read(values)));
            Assert.True(before.AsSpan().SequenceEqual(after), $"{table.Name} {tid}");
        });
        Assert.True(rows > 0, table.Name);
    }
}
