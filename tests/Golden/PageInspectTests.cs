using System.Globalization;
using SharedStorage.TestKit;

namespace SharedStorage.Golden;

/// <summary><c>pageinspect</c> against PostgreSQL's extension, page by page, on the files of a stopped server.</summary>
public sealed class PageInspectTests : IDisposable
{
    private readonly StockPostgres? _server;
    private readonly Dictionary<string, string> _files = [];
    private readonly Dictionary<string, int> _blocks = [];

    public PageInspectTests()
    {
        if (!StockPostgres.IsInstalled)
        {
            return;
        }

        _server = StockPostgres.Create(["autovacuum = off", "fsync = off"]).Start();
        _server.PsqlFile("""
            CREATE EXTENSION pageinspect;
            CREATE TABLE rows (id int, a text, b int, c text);
            INSERT INTO rows SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('x', i % 40) END, CASE WHEN i % 5 = 0 THEN NULL ELSE i % 7 END, md5(i::text) FROM generate_series(1, 2000) i;
            CREATE INDEX plain ON rows (id);
            CREATE INDEX many ON rows (b);
            CREATE INDEX text ON rows (c, a);
            DELETE FROM rows WHERE id BETWEEN 300 AND 900;
            UPDATE rows SET b = b + 1 WHERE id % 11 = 0;
            BEGIN; SELECT count(*) FROM (SELECT id FROM rows WHERE id < 20 FOR UPDATE) x; COMMIT;
            VACUUM rows;
            DELETE FROM rows WHERE id % 13 = 0;
            SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM rows WHERE id > 0;
            """);

        // Checksums are computed in copies on the way out: only pages that were read from files have them.
        _server.Stop();
        _server.Start();
        foreach (string relation in new[] { "rows", "plain", "many", "text" })
        {
            _files[relation] = Path.Combine(_server.DataDirectory, _server.Psql($"SELECT pg_relation_filepath('{relation}')"));
            _blocks[relation] = int.Parse(_server.Psql($"SELECT pg_relation_size('{relation}') / 8192"), CultureInfo.InvariantCulture);
        }
    }

    public void Dispose() => _server?.Dispose();

    [SkippableTheory]
    [InlineData("rows", "page_header", "page_header(get_raw_page('rows', {0}))")]
    [InlineData("rows", "heap_page_items", "heap_page_items(get_raw_page('rows', {0}))")]
    [InlineData("plain", "page_header", "page_header(get_raw_page('plain', {0}))")]
    [InlineData("plain", "bt_page_stats", "bt_page_stats('plain', {0})")]
    [InlineData("plain", "bt_page_items", "bt_page_items('plain', {0})")]
    [InlineData("many", "bt_page_stats", "bt_page_stats('many', {0})")]
    [InlineData("many", "bt_page_items", "bt_page_items('many', {0})")]
    [InlineData("text", "bt_page_stats", "bt_page_stats('text', {0})")]
    [InlineData("text", "bt_page_items", "bt_page_items('text', {0})")]
    public void Pages_are_shown_as_the_extension_shows_them(string relation, string part, string function)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        int first = part.StartsWith("bt_", StringComparison.Ordinal) ? 1 : 0;
        foreach (int block in Enumerable.Range(first, _blocks[relation] - first).Where(b => b < 4 || b == _blocks[relation] - 1))
        {
            string expected = Rows("SELECT * FROM " + string.Format(CultureInfo.InvariantCulture, function, block));
            (int code, string output, string error) = Inspect(relation, block, part);
            Assert.Equal((0, expected, ""), (code, output, error));
        }
    }

    [SkippableTheory]
    [InlineData("plain")]
    [InlineData("many")]
    public void The_metapage_is_shown_as_the_extension_shows_it(string index)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Assert.Equal((0, Rows($"SELECT * FROM bt_metap('{index}')"), ""), Inspect(index, 0, "bt_metap"));
    }

    [SkippableFact]
    public void All_parts_are_shown_under_their_names_and_a_missing_block_is_an_error()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string all = ToolRunner.Run("pageinspect", _files["many"], "--block", "1", "--count", "2").Output;
        Assert.Contains("block 2: btree\npage_header\nlsn|", all, StringComparison.Ordinal);
        Assert.Contains("\nbt_page_items\nitemoffset|", all, StringComparison.Ordinal);
        (int code, _, string error) = ToolRunner.Run("pageinspect", _files["many"], "--block", "100000");
        Assert.Equal(1, code);
        Assert.Contains("block 100000", error, StringComparison.Ordinal);
    }

    private (int Code, string Output, string Error) Inspect(string relation, int block, string part) =>
        ToolRunner.Run("pageinspect", _files[relation], "--block", block.ToString(CultureInfo.InvariantCulture), "--only", part);

    /// <summary>As psql prints them unaligned, without the count at the end.</summary>
    private string Rows(string query)
    {
        string output = StockPostgres.Tool(
            "psql", "-X", "-A", "-P", "footer=off", "-h", "127.0.0.1", "-p", _server!.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", "-d", "postgres", "-c", query);
        return output;
    }
}
