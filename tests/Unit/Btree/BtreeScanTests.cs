using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Btree.Checks;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Unit.Btree;

/// <summary>Scans of index files that stock PostgreSQL wrote, against the rows that its own index scans give.</summary>
public sealed class BtreeScanTests(BtreeScanTests.Source source) : IClassFixture<BtreeScanTests.Source>
{
    private static readonly Oid Integer = new(1976);
    private static readonly Oid Text = new(1994);

    [SkippableTheory]
    [InlineData("a = 77", 0, BtreeStrategy.Equal, "77")]
    [InlineData("a < 50", 0, BtreeStrategy.Less, "50")]
    [InlineData("a <= 50", 0, BtreeStrategy.LessOrEqual, "50")]
    [InlineData("a >= 1950", 0, BtreeStrategy.GreaterOrEqual, "1950")]
    [InlineData("a > 1950", 0, BtreeStrategy.Greater, "1950")]
    [InlineData("a IS NULL", 0, BtreeStrategy.IsNull, null)]
    [InlineData("a IS NOT NULL", 0, BtreeStrategy.IsNotNull, null)]
    [InlineData("a = 999999", 0, BtreeStrategy.Equal, "999999")]
    [InlineData("b = 'k3'", 1, BtreeStrategy.Equal, "k3")]
    [InlineData("b > 'k5'", 1, BtreeStrategy.Greater, "k5")]
    [InlineData("b IS NULL", 1, BtreeStrategy.IsNull, null)]
    public void One_key_gives_the_rows_of_PostgreSQL(string where, int column, BtreeStrategy strategy, string? value)
    {
        Check(where, [new BtreeScanKey(column, strategy, Value(column, value))]);
    }

    [SkippableTheory]
    [InlineData("a = 77 AND b >= 'k4'", BtreeStrategy.Equal, "77", BtreeStrategy.GreaterOrEqual, "k4")]
    [InlineData("a = 77 AND b < 'k4'", BtreeStrategy.Equal, "77", BtreeStrategy.Less, "k4")]
    [InlineData("a = 77 AND b IS NULL", BtreeStrategy.Equal, "77", BtreeStrategy.IsNull, null)]
    [InlineData("a = 77 AND b IS NOT NULL", BtreeStrategy.Equal, "77", BtreeStrategy.IsNotNull, null)]
    [InlineData("a >= 1000 AND b = 'k7'", BtreeStrategy.GreaterOrEqual, "1000", BtreeStrategy.Equal, "k7")]
    [InlineData("a > 1000 AND b <= 'k2'", BtreeStrategy.Greater, "1000", BtreeStrategy.LessOrEqual, "k2")]
    [InlineData("a < 20 AND b > 'k8'", BtreeStrategy.Less, "20", BtreeStrategy.Greater, "k8")]
    [InlineData("a <= 20 AND b = 'k1'", BtreeStrategy.LessOrEqual, "20", BtreeStrategy.Equal, "k1")]
    [InlineData("a IS NULL AND b = 'k1'", BtreeStrategy.IsNull, null, BtreeStrategy.Equal, "k1")]
    [InlineData("a IS NOT NULL AND b IS NULL", BtreeStrategy.IsNotNull, null, BtreeStrategy.IsNull, null)]
    public void Two_keys_give_the_rows_of_PostgreSQL(string where, BtreeStrategy first, string? a, BtreeStrategy second, string? b)
    {
        Check(where, [new BtreeScanKey(0, first, Value(0, a)), new BtreeScanKey(1, second, Value(1, b))]);
    }

    [SkippableFact]
    public void Keys_on_one_column_bound_it_from_both_sides() => Check(
        "a > 100 AND a <= 120 AND a >= 50 AND a < 5000",
        [
            new BtreeScanKey(0, BtreeStrategy.GreaterOrEqual, Value(0, "50")), new BtreeScanKey(0, BtreeStrategy.Greater, Value(0, "100")),
            new BtreeScanKey(0, BtreeStrategy.LessOrEqual, Value(0, "120")), new BtreeScanKey(0, BtreeStrategy.Less, Value(0, "5000")),
        ]);

    [SkippableFact]
    public void No_key_gives_all_rows() => Check("true", []);

    [SkippableFact]
    public void Contradicting_keys_and_null_values_give_nothing()
    {
        Check("a = 5 AND a = 6", [new BtreeScanKey(0, BtreeStrategy.Equal, Value(0, "5")), new BtreeScanKey(0, BtreeStrategy.Equal, Value(0, "6"))]);
        Check("a = NULL", [new BtreeScanKey(0, BtreeStrategy.Equal, Datum.Null)]);
    }

    [SkippableFact]
    public void Catalog_indexes_are_scanned_by_name()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        var schema = new BtreeSchema(Info("pg_class_relname_nsp_index", [Column("relname", 2275, -2, false, 1, Text, 950), Column("relnamespace", 26, 4, true, 4, new Oid(1989), 0)]));
        using var pages = new FilePages(source.ClassIndexPath);
        var scan = new BtreeScan(new BtreeDescent(pages, schema), schema, [new BtreeScanKey(0, BtreeStrategy.Equal, Datum.FromText("pg_type")), new BtreeScanKey(1, BtreeStrategy.Equal, Datum.FromOid(new Oid(11)))], false);
        Assert.True(scan.Next());
        var values = new Datum[2];
        scan.GetValues(values);
        Assert.Equal("pg_type", values[0].AsText());
        Assert.Equal(11L, values[1].Bits);
        Assert.False(scan.Next());
    }

    [SkippableFact]
    public void The_verifier_accepts_what_PostgreSQL_wrote_and_finds_damage()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Source.Index index = source.Indexes[0];
        var schema = new BtreeSchema(Info(index.Name, [Column("a", 23, 4, true, 4, Integer, 0), Column("b", 25, -1, false, 4, Text, 950)]));
        using (var pages = new FilePages(index.Path, index.Name))
        {
            BtreeReport report = BtreeVerifier.Check(schema, pages);
            Assert.True(report.IsSound, string.Join('\n', report.Problems));
            Assert.True(report.LeafPages > 10 && report.Levels > 1);
        }

        var damages = new Action<Page>[]
        {
            p => BtreePage.Opaque(p).Prev++,
            p => BtreePage.Opaque(p).Level++,
            p => (p.Item(2), p.Item(3)) = (p.Item(3), p.Item(2)),
            p => (p.Item(1), p.Item(p.ItemCount)) = (p.Item(p.ItemCount), p.Item(1)),
        };
        foreach (Action<Page> damage in damages)
        {
            using var pages = new FilePages(index.Path, index.Name);
            for (uint block = 1; ; block++)
            {
                Page page = pages.Pin(block).Page;
                if (BtreePage.Opaque(page).IsLeaf && !BtreePage.Opaque(page).IsIgnored && page.ItemCount > 5 && !BtreePage.Opaque(page).IsRightmost)
                {
                    damage(page);
                    break;
                }
            }

            Assert.False(BtreeVerifier.Check(schema, pages).IsSound);
        }
    }

    private static Datum Value(int column, string? text) => text is null ? Datum.Null
        : column == 0 ? Datum.FromInt32(int.Parse(text, CultureInfo.InvariantCulture)) : Datum.FromText(text);

    private void Check(string where, IReadOnlyList<BtreeScanKey> keys)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        foreach (Source.Index index in source.Indexes)
        {
            var schema = new BtreeSchema(Info(index.Name, [
                Column("a", 23, 4, true, 4, Integer, 0) with { Descending = index.Descending, NullsFirst = index.NullsFirst },
                Column("b", 25, -1, false, 4, Text, 950) with { Descending = index.BDescending, NullsFirst = index.BNullsFirst }]));
            using var pages = new FilePages(index.Path, index.Name);
            var descent = new BtreeDescent(pages, schema);
            var forward = new List<string>();
            using (var scan = new BtreeScan(descent, schema, keys, backward: false))
            {
                while (scan.Next())
                {
                    forward.Add(scan.Tid.ToString());
                }
            }

            List<string> expected = source.Rows(where, index);
            Assert.True(expected.SequenceEqual(forward), $"{index.Name}: {where}: {forward.Count} rows, expected {expected.Count}");

            var backward = new List<string>();
            using (var scan = new BtreeScan(descent, schema, keys, backward: true))
            {
                while (scan.Next())
                {
                    backward.Add(scan.Tid.ToString());
                }
            }

            // Rows of one key come in the order of the posting list in either direction.
            Assert.True(expected.Order(StringComparer.Ordinal).SequenceEqual(backward.Order(StringComparer.Ordinal)), $"{index.Name} backward: {where}");
            if (index.Unique)
            {
                backward.Reverse();
                Assert.Equal(expected, backward);
            }
        }
    }

    internal static IndexInfo Info(string name, IndexColumn[] columns, int? keyCount = null) => new()
    {
        Relation = new Relation
        {
            Id = new Oid(20000),
            Name = name,
            Node = new RelFileNode(RelFileNode.DefaultTablespace, new Oid(5), new Oid(20000)),
            Kind = 'i',
            Desc = new TupleDesc([.. columns.Select(c => c.Attribute)]),
        },
        TableId = new Oid(19999),
        Columns = columns,
        KeyCount = keyCount ?? columns.Length,
    };

    internal static IndexColumn Column(string name, uint type, short length, bool byValue, byte alignment, Oid family, uint collation) => new()
    {
        HeapAttribute = 1,
        Attribute = new TupleAttribute
        {
            Name = name,
            TypeId = new Oid(type),
            Length = length,
            ByValue = byValue,
            Alignment = alignment,
            Storage = length == -1 ? 'x' : 'p',
        },
        OperatorFamily = family,
        Collation = new Oid(collation),
        EqualImage = true,
    };

    /// <summary>A stock server with one table and many indexes on it, and their files after a clean stop.</summary>
    public sealed class Source : IDisposable
    {
        private readonly StockPostgres? _server;
        private readonly Dictionary<(string, string), List<string>> _rows = [];

        internal sealed record Index(string Name, string Path, bool Descending, bool NullsFirst, bool BDescending, bool BNullsFirst, bool Unique);

        public Source()
        {
            if (!StockPostgres.IsInstalled)
            {
                return;
            }

            _server = StockPostgres.Create(["autovacuum = off"]).Start();
            _server.PsqlFile("""
                CREATE TABLE s (a int, b text COLLATE "C", id int);
                CREATE INDEX i_plain ON s (a, b);
                CREATE INDEX i_desc ON s (a DESC, b);
                CREATE INDEX i_nf ON s (a NULLS FIRST, b DESC NULLS LAST);
                CREATE INDEX i_dl ON s (a DESC NULLS LAST, b NULLS FIRST);
                CREATE INDEX i_nodup ON s (a, b DESC) WITH (deduplicate_items = off);
                INSERT INTO s SELECT CASE WHEN i % 20 = 0 THEN NULL ELSE (i * 7919) % 2003 END, CASE WHEN i % 11 = 0 THEN NULL ELSE 'k' || (i % 10) END, i
                  FROM generate_series(1, 40000) i;
                DELETE FROM s WHERE a BETWEEN 200 AND 900;
                VACUUM s;
                CREATE INDEX i_built ON s (a, b);
                INSERT INTO s SELECT (i * 31) % 2003, 'k' || (i % 10), i FROM generate_series(1, 1000) i;
                CHECKPOINT;
                """);
            foreach ((string name, bool d, bool nf, bool bd, bool bnf) in new[]
            {
                ("i_plain", false, false, false, false), ("i_desc", true, true, false, false), ("i_nf", false, true, true, false),
                ("i_dl", true, false, false, true), ("i_nodup", false, false, true, true), ("i_built", false, false, false, false),
            })
            {
                string path = Path.Combine(_server.DataDirectory, _server.Psql($"SELECT pg_relation_filepath('{name}')"));
                Indexes.Add(new Index(name, path, d, nf, bd, bnf, name == "i_nodup"));
            }

            ClassIndexPath = Path.Combine(_server.DataDirectory, _server.Psql("SELECT pg_relation_filepath('pg_class_relname_nsp_index')"));
        }

        internal List<Index> Indexes { get; } = [];
        internal string ClassIndexPath { get; } = "";

        internal List<string> Rows(string where, Index index)
        {
            string order = $"a {(index.Descending ? "DESC" : "")} NULLS {(index.NullsFirst ? "FIRST" : "LAST")}, b {(index.BDescending ? "DESC" : "")} NULLS {(index.BNullsFirst ? "FIRST" : "LAST")}, ctid";
            if (!_rows.TryGetValue((where, order), out List<string>? rows))
            {
                string text = _server!.Psql($"SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT ctid FROM s WHERE {where} ORDER BY {order}");
                _rows[(where, order)] = rows = [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries)];
            }

            return rows;
        }

        public void Dispose() => _server?.Dispose();
    }
}
