using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Catalog;

public sealed class EpochTests : IDisposable
{
    private static readonly Oid[] Public = [new(PgOids.PublicNamespace)];
    private readonly StockPostgres? _server = StockPostgres.IsInstalled ? StockPostgres.Create() : null;

    public void Dispose() => _server?.Dispose();

    [SkippableFact]
    public void An_old_snapshot_sees_the_catalogs_as_they_were_and_a_new_one_as_they_are()
    {
        Skip.If(_server is null, "PostgreSQL 15 is not installed");
        using var engine = new WriterEngine(_server!.DataDirectory);
        Transaction reader = engine.Engine.Transactions.Begin();
        using Snapshot before = reader.TakeSnapshot();
        CatalogView old = engine.Database.View(before);
        Assert.True(old.IsCurrent);
        engine.Run(w => w.CreateSchema("later", w.CurrentUser));
        Assert.False(old.IsCurrent);
        Assert.Null(old.NamespaceByName("later"));
        Assert.Null(engine.Database.View(before).NamespaceByName("later"));
        Assert.NotNull(engine.Look(v => v.NamespaceByName("later")));
        reader.Abort();
    }

    [SkippableFact]
    public void What_a_commit_did_not_change_is_not_read_again()
    {
        Skip.If(_server is null, "PostgreSQL 15 is not installed");
        using var engine = new WriterEngine(_server!.DataDirectory);
        object type = engine.Look(v => v.TypeById(new Oid(PgTypes.Int4)))!;
        object relation = engine.Look(v => v.GetRelation(SystemCatalogs.Am.Id));
        object version = engine.Look(v => v.Version);
        engine.Run(w => w.CreateSchema("other", w.CurrentUser));
        Assert.NotSame(version, engine.Look(v => v.Version));
        Assert.Same(type, engine.Look(v => v.TypeById(new Oid(PgTypes.Int4))));
        Assert.Same(relation, engine.Look(v => v.GetRelation(SystemCatalogs.Am.Id)));
    }

    [SkippableFact]
    public void A_rollback_to_a_savepoint_takes_the_tables_made_after_it_away()
    {
        Skip.If(_server is null, "PostgreSQL 15 is not installed");
        using var engine = new WriterEngine(_server!.DataDirectory);
        DatabaseCatalog database = engine.Database;
        Transaction tx = engine.Engine.Transactions.Begin();
        Create(database, engine, tx, "first");
        tx.BeginSub("s");
        Create(database, engine, tx, "second");
        Assert.Equal((true, true), Exist(database, tx));
        tx.AbortSub();
        Assert.Equal((true, false), Exist(database, tx));
        Create(database, engine, tx, "second");
        Assert.Equal((true, true), Exist(database, tx));
        tx.Commit();
        Assert.NotNull(engine.Look(v => v.FindRelationByName(null, "second", Public)));
    }

    [SkippableFact]
    public void A_row_type_keeps_the_table_that_was_made_under_the_name_of_an_array()
    {
        Skip.If(_server is null, "PostgreSQL 15 is not installed");
        using var engine = new WriterEngine(_server!.DataDirectory);
        engine.Run(w => w.CreateTable(Table("a")));
        engine.Run(w => w.CreateTable(Table("_a")));
        PgType array = engine.Look(v => v.TypeById(v.TypeById(v.FindRelationByName(null, "a", Public)!.RelType)!.TypArray))!;
        Assert.Equal("__a", array.TypName);
        PgException taken = Assert.Throws<PgException>(() => engine.Run(w => w.CreateTable(Table("a"))));
        Assert.Equal((SqlStates.DuplicateTable, "relation \"a\" already exists"), (taken.SqlState, taken.Message));
    }

    [Fact]
    public void Names_that_are_made_up_are_cut_as_PostgreSQL_cuts_them()
    {
        Assert.Equal("t_a_idx", ObjectNames.Make("t", "a", "idx"));
        string longName = new('x', 63);
        Assert.Equal(63, ObjectNames.Make(longName, longName, "fkey").Length);
        Assert.Equal($"{new string('x', 29)}_{new string('y', 29)}_idx", ObjectNames.Make(new string('x', 40), new string('y', 40), "idx"));
        Assert.Equal("t_pkey2", ObjectNames.Choose("t", null, "pkey", n => n is "t_pkey" or "t_pkey1"));
    }

    private static (bool First, bool Second) Exist(DatabaseCatalog database, Transaction tx)
    {
        using Snapshot snapshot = tx.TakeSnapshot();
        CatalogView view = database.View(snapshot);
        return (view.FindRelationByName(null, "first", Public) is not null, view.FindRelationByName(null, "second", Public) is not null);
    }

    private static void Create(DatabaseCatalog database, WriterEngine engine, Transaction tx, string name)
    {
        using var writer = new CatalogWriter(database, engine.Engine, tx, engine.Oids, new Oid(PgOids.BootstrapSuperuser));
        writer.CreateTable(Table(name));
    }

    private static NewTable Table(string name) => new()
    {
        Name = name,
        Namespace = Public[0],
        Columns = [new NewColumn { Name = "x", TypeId = new Oid(PgTypes.Text), Collation = new Oid(PgOids.DefaultCollation) }],
    };
}
