using Microsoft.Win32.SafeHandles;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Session;
using SharedStorage.TestKit;

namespace SharedStorage.Unit.Sql;

/// <summary>What does not fit into work_mem goes to files of the node and gives the same answers; the files go with the query.</summary>
public sealed class SpillTests(SqlFixture fixture) : IClassFixture<SqlFixture>
{
    [SkippableFact]
    public void Queries_beyond_work_mem_give_the_answers_of_PostgreSQL()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        var wrong = new List<string>();
        for (int i = 0; i < SpillQueries.All.Length; i++)
        {
            string sql = SpillQueries.All[i];
            foreach (string memory in new[] { "64kB", "1GB" })
            {
                long before = fixture.Node.TemporaryFiles!.Created;
                string answer = Run(session, $"set work_mem = '{memory}'; {sql}");
                bool spilled = fixture.Node.TemporaryFiles.Created > before;
                if (answer != fixture.ExpectedOfSpills[i])
                {
                    wrong.Add($"{memory}: {sql}\n  {answer}\n  PostgreSQL: {fixture.ExpectedOfSpills[i]}");
                }

                if (spilled != (memory == "64kB"))
                {
                    wrong.Add($"{memory}: {(spilled ? "files were written" : "nothing was written")}: {sql}");
                }

                if (FilesLeft().Length > 0)
                {
                    wrong.Add($"{memory}: files are left: {sql}");
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [SkippableFact]
    public void A_cursor_moves_over_rows_in_a_file_as_over_rows_in_memory()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        const string moves = "declare c scroll cursor for select i, repeat('c', i % 90) from generate_series(1, 6000) i; fetch 2 from c; fetch last from c; fetch backward 3 from c; "
            + "fetch absolute 3000 from c; fetch relative -1000 from c; move 500 in c; fetch prior from c; fetch absolute -5000 from c; fetch backward all from c; close c";
        using SqlSession session = fixture.NewSession();
        string inMemory = Run(session, "set work_mem = '1GB'; begin; " + moves + "; commit");
        string inFile = Run(session, "set work_mem = '64kB'; begin; " + moves + "; commit");
        Assert.Equal(inMemory, inFile);
        Assert.Empty(FilesLeft());
        Run(session, "begin; declare h cursor with hold for select i from generate_series(1, 20000) i; commit");
        Assert.NotEmpty(FilesLeft());
        Assert.EndsWith("20000", Run(session, "fetch last from h"), StringComparison.Ordinal);
        Run(session, "close h");
        Assert.Empty(FilesLeft());
    }

    [SkippableFact]
    public void Files_beyond_temp_file_limit_end_the_query_and_not_the_session()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        Run(session, "set work_mem = '64kB'; set temp_file_limit = '200kB'");
        PgException e = Assert.Throws<PgException>(() => Run(session, "select i from generate_series(1, 100000) i order by i desc offset 99999"));
        Assert.Equal("53400", e.SqlState);
        Assert.Equal("temporary file size exceeds temp_file_limit (200kB)", e.Message);
        Assert.Empty(FilesLeft());
        Assert.Equal("1", Run(session, "select i from generate_series(1, 5000) i order by i desc offset 4999"));
    }

    [SkippableFact]
    public void An_error_in_the_middle_takes_the_files_along()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        Run(session, "set work_mem = '64kB'");
        Assert.Equal("22012", Assert.Throws<PgException>(() => Run(
            session, "select count(*) from generate_series(1, 30000) a(i) join generate_series(1, 30000) b(j) on a.i = b.j and 1 / (a.i - 29000) <> 5")).SqlState);
        Assert.Empty(FilesLeft());
        Run(session, "begin");
        Run(session, "declare c cursor for select i from generate_series(1, 30000) i order by i desc; fetch 1 from c");
        Assert.NotEmpty(FilesLeft());
        Run(session, "rollback");
        Assert.Empty(FilesLeft());
    }

    [Fact]
    public void Rows_come_back_from_bytes_as_they_were()
    {
        Datum[] row = [Datum.Null, Datum.FromInt32(-1), Datum.FromInt64(long.MinValue), Datum.FromInt64(long.MaxValue), Datum.FromBytes([]), Datum.FromText(new string('a', 70_000)), default];
        var buffer = new RowBuffer();
        buffer.Add(row);
        buffer.Add([]);
        int at = 0;
        Datum[] back = buffer.Read(buffer.Written, ref at);
        Assert.True(back[0].IsNull);
        Assert.Equal(row[1..4].Select(d => d.Bits), back[1..4].Select(d => d.Bits));
        Assert.Equal(row[4].Bytes, back[4].Bytes);
        Assert.Equal(row[5].Bytes, back[5].Bytes);
        Assert.Equal(0, back[6].Bits);
        Assert.Empty(buffer.Read(buffer.Written, ref at));
        Assert.Equal(buffer.Length, at);
    }

    [Fact]
    public void A_sort_in_many_passes_keeps_the_order_of_equal_rows_and_needs_the_room_of_one()
    {
        using var temp = new TempFolder();
        var session = new SpillSession(TempDirectory.Open(temp.Path), 1) { WorkMemory = 16 << 10 };
        var owner = new SpillOwner(session);
        var sorter = new RowSorter(owner, static (a, b) => a[0].Int32.CompareTo(b[0].Int32), new CancelFlag());
        var random = new Random(7);
        var rows = Enumerable.Range(0, 50_000).Select(i => (Key: random.Next(1000), Number: i)).ToList();
        rows.ForEach(r => sorter.Add([Datum.FromInt32(r.Key), Datum.FromInt32(r.Number)]));
        Assert.True(sorter.IsOnDisk);
        long written = session.OnDisk;
        sorter.Finish();
        var sorted = new List<(int, int)>();
        while (sorter.Next() is { } row)
        {
            sorted.Add((row[0].Int32, row[1].Int32));
        }

        Assert.Equal(rows.OrderBy(r => r.Key).Select(r => (r.Key, r.Number)), sorted);
        Assert.True(session.OnDisk < written * 3 / 2, $"{written} bytes grew to {session.OnDisk}");
        sorter.Clear();
        Assert.Equal(0, session.OnDisk);
        Assert.Empty(Directory.GetFiles(temp.Path));
    }

    [Fact]
    public void A_full_disk_is_an_error_with_the_files_name_and_the_session_goes_on()
    {
        using var temp = new TempFolder();
        var disk = new FullDisk(temp.Path) { Left = 40_000 };
        var session = new SpillSession(disk, 1) { WorkMemory = 1 << 10 };
        var owner = new SpillOwner(session);
        var store = new RowStore(owner);
        PgException e = Assert.Throws<PgException>(() =>
        {
            for (int i = 0; i < 100_000; i++)
            {
                store.Add([Datum.FromInt32(i)]);
            }
        });
        Assert.Equal("53100", e.SqlState);
        Assert.Equal($"could not write to file \"{Path.Combine(temp.Path, "pgsql_tmp1.0")}\": No space left on device", e.Message);
        owner.Release();
        Assert.Empty(Directory.GetFiles(temp.Path));
        disk.Left = long.MaxValue;
        store.Clear();
        for (int i = 0; i < 5000; i++)
        {
            store.Add([Datum.FromInt32(i)]);
        }

        Assert.Equal(4321, store.NewReader()[4321][0].Int32);
        owner.Release();
    }

    [Fact]
    public void What_a_killed_node_left_is_removed_at_the_next_start()
    {
        using var temp = new TempFolder();
        File.WriteAllText(Path.Combine(temp.Path, "pgsql_tmp99.3"), "left");
        TempDirectory.Open(temp.Path);
        Assert.Empty(Directory.GetFiles(temp.Path));
    }

    private string[] FilesLeft() => Directory.GetFiles(fixture.Node.TemporaryFiles!.DirectoryPath);

    private static string Run(SqlSession session, string sql)
    {
        var sink = new TextSink(session);
        session.ExecuteSimple(sql, sink);
        return sink.Text;
    }

    private sealed class TempFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("spill").FullName;
        public void Dispose() => Directory.Delete(Path, recursive: true);
    }

    private sealed class FullDisk(string path) : TempDirectory(path)
    {
        public long Left { get; set; }

        internal override void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, long at)
        {
            Left -= bytes.Length;
            if (Left < 0)
            {
                throw new IOException("No space left on device", 28);
            }

            base.Write(file, bytes, at);
        }
    }
}
