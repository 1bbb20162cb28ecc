using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Unit.Catalog;

/// <summary>The same statements here and on stock PostgreSQL, on copies of one directory: then every row of the catalogs must be the same, numbers included.</summary>
public sealed class DdlTests
{
    private static readonly Oid Int4 = new(PgTypes.Int4), Int8 = new(PgTypes.Int8), Text = new(PgTypes.Text), BpChar = new(PgTypes.BpChar), Timestamp = new(PgTypes.Timestamp);
    private static readonly Oid Public = new(PgOids.PublicNamespace), None = Oid.Invalid, Default = new(PgOids.DefaultCollation);
    private static readonly Oid Int4Ops = new(1978), TextOps = new(3126), Int4Eq = new(96);

    [SkippableFact]
    public void Tables_keys_and_indexes_make_the_same_rows_as_on_PostgreSQL() => Compare(
        """
        CREATE TABLE history (tid int, bid int, mtime timestamp, filler char(22));
        CREATE TABLE tellers (tid int NOT NULL, bid int, note text DEFAULT 'none') WITH (fillfactor = 70);
        ALTER TABLE tellers ADD PRIMARY KEY (tid);
        CREATE TABLE branches (bid int NOT NULL, a int, b text, PRIMARY KEY (bid));
        ALTER TABLE tellers ADD CONSTRAINT tellers_bid_fkey FOREIGN KEY (bid) REFERENCES branches;
        CREATE INDEX branches_a_b ON branches (a DESC, b) INCLUDE (bid);
        ALTER TABLE branches ADD CONSTRAINT branches_a_key UNIQUE (a);
        ALTER TABLE tellers ADD CONSTRAINT positive CHECK (bid > 0);
        COMMENT ON TABLE branches IS 'all of them';
        CREATE SCHEMA s;
        CREATE TABLE s.branches (x bigint);
        """,
        engine =>
        {
            engine.Run(w => w.CreateTable(new NewTable { Name = "history", Namespace = Public, Columns = [Column("tid", Int4), Column("bid", Int4), Column("mtime", Timestamp), Column("filler", BpChar, 26)] }));
            engine.Run(w => w.CreateTable(Tellers()));
            engine.Run(w => w.CreateIndex(Key(w, "tellers", "tellers_pkey", 1)));
            engine.Run(w =>
            {
                w.CreateTable(new NewTable { Name = "branches", Namespace = Public, Columns = [Column("bid", Int4) with { NotNull = true }, Column("a", Int4), Column("b", Text)] });
                w.CreateIndex(Key(w, "branches", "branches_pkey", 1));
            });
            engine.Run(w => w.AddForeignKey(TellersToBranches(w)));
            engine.Run(w => w.CreateIndex(new NewIndex
            {
                Name = "branches_a_b",
                Table = Table(w, "branches"),
                Columns = [new NewIndexColumn { Column = 2, OperatorClass = Int4Ops, Descending = true, NullsFirst = true }, new NewIndexColumn { Column = 3, OperatorClass = TextOps, Collation = Default }],
                Included = [1],
            }));
            engine.Run(w => w.CreateIndex(Key(w, "branches", "branches_a_key", 2) with { Primary = false }));
            engine.Run(w => w.AddCheck(Table(w, "tellers"), "positive", NodeBuilder.Operator(
                new Oid(521), new Oid(147), new Oid(PgTypes.Bool), None, None, NodeBuilder.Var(1, 2, Int4, -1, None), Constant(0))));
            engine.Run(w => w.Comment(ObjectAddress.Relation(Table(w, "branches")), "all of them"));
            engine.Run(w => w.CreateSchema("s", w.CurrentUser));
            engine.Run(w => w.CreateTable(new NewTable { Name = "branches", Namespace = w.View.GetNamespace("s").Oid, Columns = [Column("x", Int8)] }));
        });

    [SkippableFact]
    public void What_is_dropped_or_truncated_leaves_the_same_rows_as_on_PostgreSQL() => Compare(
        """
        CREATE TABLE tellers (tid int NOT NULL, bid int, note text DEFAULT 'none') WITH (fillfactor = 70);
        ALTER TABLE tellers ADD PRIMARY KEY (tid);
        CREATE TABLE branches (bid int NOT NULL, a int, b text, PRIMARY KEY (bid));
        ALTER TABLE tellers ADD CONSTRAINT tellers_bid_fkey FOREIGN KEY (bid) REFERENCES branches;
        TRUNCATE tellers;
        DROP TABLE branches CASCADE;
        CREATE TABLE branches (bid int NOT NULL);
        DROP TABLE branches;
        """,
        engine =>
        {
            engine.Run(w => w.CreateTable(Tellers()));
            engine.Run(w => w.CreateIndex(Key(w, "tellers", "tellers_pkey", 1)));
            engine.Run(w =>
            {
                w.CreateTable(new NewTable { Name = "branches", Namespace = Public, Columns = [Column("bid", Int4) with { NotNull = true }, Column("a", Int4), Column("b", Text)] });
                w.CreateIndex(Key(w, "branches", "branches_pkey", 1));
            });
            engine.Run(w => w.AddForeignKey(TellersToBranches(w)));
            engine.Run(w => w.Truncate(Table(w, "tellers")));
            engine.Run(w =>
            {
                PgException refused = Assert.Throws<PgException>(() => w.Drop([ObjectAddress.Relation(Table(w, "branches"))], cascade: false));
                Assert.Equal(("2BP01", "cannot drop table branches because other objects depend on it"), (refused.SqlState, refused.Message));
                Assert.Equal("constraint tellers_bid_fkey on table tellers depends on table branches", refused.Detail);
            });
            engine.Run(w =>
            {
                DropNotice? notice = w.Drop([ObjectAddress.Relation(Table(w, "branches"))], cascade: true);
                Assert.Equal("drop cascades to constraint tellers_bid_fkey on table tellers", notice?.Message);
            });
            engine.Run(w => w.CreateTable(new NewTable { Name = "branches", Namespace = Public, Columns = [Column("bid", Int4) with { NotNull = true }] }));
            engine.Run(w => w.Drop([ObjectAddress.Relation(Table(w, "branches"))], cascade: false));
            Assert.Null(engine.Look(v => v.FindRelationByName(null, "branches", [Public])));
        });

    [SkippableFact]
    public void An_index_made_over_updated_rows_leads_to_the_roots_of_their_chains()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres judge = StockPostgres.Create(["autovacuum = off"]);
        var engine = new WriterEngine(judge.DataDirectory);
        engine.Run(w => w.CreateTable(new NewTable { Name = "t", Namespace = Public, Columns = [Column("a", Int4), Column("b", Int4)] }));
        engine.Run(w =>
        {
            var heap = new HeapTable(engine.Engine, w.View.GetRelation(Table(w, "t")));
            for (int i = 0; i < 500; i++)
            {
                heap.Insert(w.Transaction, [Datum.FromInt32(i), Datum.FromInt32(0)]);
            }
        });
        for (int round = 1; round <= 2; round++)
        {
            engine.Run(w => UpdateEveryThird(engine, w, round));
        }

        engine.Run(w => w.CreateIndex(Key(w, "t", "t_a_key", 1) with { Primary = false }));
        engine.Crash();

        judge.Start();
        judge.Psql("CREATE EXTENSION amcheck; SELECT bt_index_parent_check('t_a_key', true)");
        Assert.Equal("500|334", judge.Psql("SET enable_seqscan = off; SELECT count(*), sum(b) FROM t WHERE a >= 0"));
        Assert.Equal("500", judge.Psql("SELECT reltuples FROM pg_class WHERE relname = 't_a_key'"));
    }

    private static void UpdateEveryThird(WriterEngine engine, CatalogWriter w, int round)
    {
        var heap = new HeapTable(engine.Engine, w.View.GetRelation(Table(w, "t")));
        using SharedStorage.Transactions.Snapshot snapshot = w.Transaction.TakeSnapshot();
        var rows = new List<(Tid Tid, int A)>();
        var values = new Datum[2];
        using (HeapScan scan = heap.Scan(snapshot))
        {
            while (scan.Next(values))
            {
                rows.Add((scan.Tid, values[0].Int32));
            }
        }

        foreach ((Tid tid, int a) in rows.Where(r => r.A % 3 == 0))
        {
            ModifyResult result = heap.Update(
                w.Transaction, tid, [Datum.FromInt32(a), Datum.FromInt32(round)], snapshot, new HashSet<int>(), new HashSet<int>(), out _);
            Assert.Equal(ModifyOutcome.Ok, result.Outcome);
        }
    }

    [SkippableFact]
    public void Own_changes_are_seen_by_the_next_command_only_and_by_nobody_after_an_abort()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres server = StockPostgres.Create();
        using var engine = new WriterEngine(server.DataDirectory);
        DatabaseCatalog database = engine.Database;
        SharedStorage.Transactions.Transaction tx = engine.Engine.Transactions.Begin();
        using (var writer = new CatalogWriter(database, engine.Engine, tx, engine.Oids, new Oid(PgOids.BootstrapSuperuser)))
        {
            Oid id = writer.NewOid(SystemCatalogs.Namespace);
            writer.Insert(SystemCatalogs.Namespace, new PgNamespace { Oid = id, NspName = "mine", NspOwner = writer.CurrentUser });
            Assert.Null(writer.View.NamespaceByName("mine"));
            writer.NextCommand();
            Assert.Equal(id, writer.View.NamespaceByName("mine")?.Oid);
            Assert.Null(engine.Look(v => v.NamespaceByName("mine")));
        }

        tx.Abort();
        Assert.Null(engine.Look(v => v.NamespaceByName("mine")));
        engine.Run(w => w.CreateSchema("mine", w.CurrentUser));
        Assert.NotNull(engine.Look(v => v.NamespaceByName("mine")));
    }

    private static void Compare(string sql, Action<WriterEngine> ours)
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres theirs = StockPostgres.Create(["autovacuum = off"]);
        using StockPostgres judge = theirs.Clone();
        var engine = new WriterEngine(judge.DataDirectory);
        try
        {
            ours(engine);
        }
        finally
        {
            engine.Crash();
        }

        theirs.Start();
        foreach (string statement in sql.Split(";\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            theirs.Psql(statement.TrimEnd(';'));
        }

        judge.Start("autovacuum=off");
        foreach (string query in CatalogComparison.Catalogs)
        {
            Assert.Equal(theirs.Psql(query), judge.Psql(query));
        }

        Assert.Equal(CatalogComparison.Dump(theirs), CatalogComparison.Dump(judge));
        judge.Psql("CREATE EXTENSION amcheck; SELECT bt_index_parent_check(c.oid, true) FROM pg_class c WHERE relkind = 'i' AND relam = 403");
    }

    private static NewColumn Column(string name, Oid type, int modifier = -1) => new()
    {
        Name = name,
        TypeId = type,
        TypeModifier = modifier,
        Collation = type == Text || type == BpChar ? Default : None,
    };

    private static NewTable Tellers() => new()
    {
        Name = "tellers",
        Namespace = Public,
        Columns =
        [
            Column("tid", Int4) with { NotNull = true },
            Column("bid", Int4),
            Column("note", Text) with { Default = NodeBuilder.Const(Text, -1, Default, -1, false, NodeConstants.Encode(Datum.FromText("none"), -1, false)) },
        ],
        Options = ["fillfactor=70"],
    };

    private static NewIndex Key(CatalogWriter w, string table, string name, short column) => new()
    {
        Name = name,
        Table = Table(w, table),
        Columns = [new NewIndexColumn { Column = column, OperatorClass = Int4Ops }],
        Unique = true,
        Primary = true,
        IsConstraint = true,
    };

    private static NewForeignKey TellersToBranches(CatalogWriter w) => new()
    {
        Name = "tellers_bid_fkey",
        Table = Table(w, "tellers"),
        ReferencedTable = Table(w, "branches"),
        Columns = [2],
        ReferencedColumns = [1],
        ReferencedIndex = w.View.GetIndexes(Table(w, "branches"))[0].Relation.Id,
        PfEqOperators = [Int4Eq],
        PpEqOperators = [Int4Eq],
        FfEqOperators = [Int4Eq],
    };

    private static Oid Table(CatalogWriter w, string name) => w.View.ResolveRelation(null, name, [Public]).Oid;

    private static NodeTree Constant(int value) =>
        NodeBuilder.Const(Int4, -1, None, 4, true, NodeConstants.Encode(Datum.FromInt32(value), 4, true));
}
