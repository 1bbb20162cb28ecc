using System.Globalization;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Unit.Catalog;

/// <summary>A directory with some DDL by stock PostgreSQL, stopped, with PostgreSQL's own answers about its catalogs.</summary>
public sealed class StockCatalogFixture : IDisposable
{
    private const string Ddl = """
        CREATE TABLE parent (id int PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', amount numeric(10,2) CHECK (amount > 0), note text);
        CREATE TABLE child (id bigserial PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE, at timestamptz DEFAULT now(), UNIQUE (parent_id, at))
            WITH (fillfactor = 70);
        CREATE INDEX child_desc ON child (at DESC NULLS LAST, parent_id) INCLUDE (id);
        CREATE INDEX child_part ON child ((parent_id + 1)) WHERE at IS NOT NULL;
        CREATE VIEW both_of AS SELECT p.name, c.at FROM parent p JOIN child c ON c.parent_id = p.id;
        CREATE SCHEMA s; CREATE TABLE s.parent (a int);
        CREATE TABLE added (a int); INSERT INTO added VALUES (1); ALTER TABLE added ADD COLUMN b int DEFAULT 42, ADD COLUMN c text DEFAULT 'forty-two', DROP COLUMN a;
        INSERT INTO parent SELECT i, 'n' || i, i, repeat('t', i) FROM generate_series(1, 100) i;
        COMMENT ON TABLE parent IS 'the parent';
        ALTER DATABASE postgres SET work_mem = '8MB';
        ANALYZE;
        """;

    private readonly StockPostgres? _server;

    public StockCatalogFixture()
    {
        if (!StockPostgres.IsInstalled)
        {
            return;
        }

        _server = StockPostgres.Create(["autovacuum = off"]).Start();
        _server.Psql(Ddl);
        foreach (string line in _server.Psql("SELECT oid, datname FROM pg_database").Split('\n'))
        {
            string[] parts = line.Split('|');
            Databases[parts[1]] = new Oid(uint.Parse(parts[0], CultureInfo.InvariantCulture));
        }

        string counts = string.Join(" UNION ALL ", SystemCatalogs.All.Select(t => $"SELECT '{t.Name}', count(*) FROM {t.Name}"));
        foreach (string line in _server.Psql(counts).Split('\n'))
        {
            string[] parts = line.Split('|');
            Counts[parts[0]] = int.Parse(parts[1], CultureInfo.InvariantCulture);
        }

        Classes = _server.Psql("SELECT oid, relname, relkind, pg_relation_filepath(oid) FROM pg_class ORDER BY oid").Split('\n');
        _server.Stop();
        Reader = new FileCatalogReader(_server.DataDirectory);
        Manager = new CatalogManager(Reader, new RelationMaps(_server.DataDirectory), new NoComparators(), new Lsn(1));
    }

    internal FileCatalogReader Reader { get; } = null!;
    public CatalogManager Manager { get; } = null!;
    public Dictionary<string, Oid> Databases { get; } = [];
    public Dictionary<string, int> Counts { get; } = [];
    public string[] Classes { get; } = [];

    public CatalogView View()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        return Manager.Database(Databases["postgres"], null).View(null);
    }

    public void Dispose() => _server?.Dispose();

    private sealed class NoComparators : IComparatorProvider
    {
        public Comparison<Datum>? Find(string supportFunction, PgCollationInfo? collation) => null;
    }
}
