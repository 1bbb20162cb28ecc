using SharedStorage.TestKit;

namespace SharedStorage.Golden;

/// <summary><c>waldump</c> and <c>controldata</c> against PostgreSQL's own programs, on a log that stock PostgreSQL wrote.</summary>
public sealed class WaldumpTests(WaldumpTests.Log log) : IClassFixture<WaldumpTests.Log>
{
    /// <summary>A stopped server whose log has many kinds of records.</summary>
    public sealed class Log : IDisposable
    {
        private readonly StockPostgres? _server;

        public Log()
        {
            if (!StockPostgres.IsInstalled)
            {
                return;
            }

            _server = StockPostgres.Create(EveryRecord.Settings, "--wal-segsize=4");
            try
            {
                (Start, End) = EveryRecord.Write(_server, checking: "heap,btree");
            }
            catch
            {
                _server.Dispose();
                throw;
            }
        }

        public StockPostgres Server => _server!;
        public string Start { get; } = "";
        public string End { get; } = "";

        public void Dispose() => _server?.Dispose();
    }

    [SkippableTheory]
    [InlineData("")]
    [InlineData("-b")]
    [InlineData("-z")]
    [InlineData("--stats=record")]
    [InlineData("-n 100")]
    [InlineData("-r Heap -r Btree -w")]
    [InlineData("-x 740")]
    [InlineData("-F fsm")]
    [InlineData("-R 1663/5/1259 -B 1")]
    [InlineData("-q")]
    [InlineData("-q -z")]
    [InlineData("--stat=rmgr -b")]
    [InlineData("-zn5")]
    [InlineData("--limit 5 --bkp-details")]
    [InlineData("-n -3 -r lOGicalMessage")]
    [InlineData("-n 0x -r standby -rxlog")]
    [InlineData("-r custom128")]
    [InlineData("-rTransaction --xid=741 --fork main")]
    [InlineData("-w -b -n 40")]
    [InlineData("--fullpage --stats=record")]
    [InlineData("--relation 1663/5/1259 --fork=vm")]
    [InlineData("-R 1664/0/1262 -z")]
    [InlineData("-F init")]
    [InlineData("-t 1 -bqw")]
    public void The_output_is_that_of_pg_waldump(string options)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string[] arguments =
        [
            "-p", log.Server.DataDirectory, "-s", log.Start, "-e", log.End, .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries),
        ];
        Assert.Equal((0, StockPostgres.Tool("pg_waldump", arguments), ""), ToolRunner.Run(["waldump", .. arguments]));
    }

    [SkippableFact]
    public void Records_of_all_resource_managers_occur_in_the_log_that_is_compared()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string statistics = ToolRunner.Run("waldump", "-p", log.Server.DataDirectory, "-s", log.Start, "-e", log.End, "-z").Output;
        IEnumerable<string> absent = statistics.Split('\n').Skip(3).TakeWhile(l => l[0] != ' ')
            .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(f => f[1] == "0").Select(f => f[0]);
        Assert.Empty(absent);
    }

    [SkippableFact]
    public void The_end_of_the_log_is_reported_as_pg_waldump_reports_it()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string[] arguments = ["-p", log.Server.DataDirectory, "-s", log.End];
        (int code, string output, string error) = ToolRunner.Run(["waldump", .. arguments]);
        (int expectedCode, string expected, string expectedError) = StockPostgres.TryTool("pg_waldump", arguments);
        Assert.Equal((expectedCode, expected), (code, output));
        Assert.Equal(expectedError["pg_waldump".Length..], error["waldump".Length..]);
    }

    [SkippableFact]
    public void A_start_within_a_record_goes_to_the_next_one()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string[] lines = StockPostgres.Tool("pg_waldump", "-p", log.Server.DataDirectory, "-s", log.Start, "-n", "2").Split('\n');
        string second = lines[1].Split("lsn: ")[1].Split(',')[0];
        string within = Primitives.Lsn.Parse(log.Start) is var start ? new Primitives.Lsn(start.Value + 8).ToString() : "";
        string[] arguments = ["-p", log.Server.DataDirectory, "-s", within, "-n", "1"];
        string output = ToolRunner.Run(["waldump", .. arguments]).Output;
        Assert.Equal(StockPostgres.Tool("pg_waldump", arguments), output);
        Assert.Contains(second, output, StringComparison.Ordinal);
    }

    /// <summary>{data} is the data directory, {first} and {second} are segments in it, {start} lies in the first.</summary>
    [SkippableTheory]
    [InlineData("")]
    [InlineData("--nothing")]
    [InlineData("--f")]
    [InlineData("-Z")]
    [InlineData("-qZ")]
    [InlineData("-n")]
    [InlineData("--limit")]
    [InlineData("--quiet=yes")]
    [InlineData("-n five")]
    [InlineData("-B x -R 1/2/3")]
    [InlineData("-B 4294967295")]
    [InlineData("-B 1 -p {data} -s {start}")]
    [InlineData("-e 12")]
    [InlineData("-s /")]
    [InlineData("-F map")]
    [InlineData("-R 1/2")]
    [InlineData("-R 0/2/3")]
    [InlineData("-r Nothing")]
    [InlineData("-r custom7")]
    [InlineData("-r list")]
    [InlineData("-r Heap -r LIST -p /nothing")]
    [InlineData("-t x")]
    [InlineData("-x x")]
    [InlineData("-z x y z")]
    [InlineData("--stats=all")]
    [InlineData("-p /nothing")]
    [InlineData("-p /etc/passwd")]
    [InlineData("-p {data}")]
    [InlineData("-p {data}/base -s 0/1")]
    [InlineData("/nothing/000000010000000000000001")]
    [InlineData("{data}/pg_wal/0000000100000000000000FF")]
    [InlineData("-p {data} {second} {first}")]
    [InlineData("-p {data} {first} 0000000100000000000000FF")]
    [InlineData("-p {data} {second} -s {start}")]
    [InlineData("-p {data} {first} -e 7/0")]
    [InlineData("-p {data} {first} {second} -e 7/0 -q")]
    [InlineData("-p {data} {first} {second} -z")]
    [InlineData("-q -- {data}/pg_wal/{first} {data}/pg_wal/{second}")]
    [InlineData("{data}/pg_wal/{first} {second} {second} -s {start}")]
    [InlineData("-p {data} -s 7/0 -q")]
    [InlineData("-p {data} -s {start} -e 0/1")]
    [InlineData("-p {data} -s {start} -n 3 -e {start}")]
    [InlineData("-p {data} -s {start} -t 2")]
    [InlineData("{data}/PG_VERSION")]
    public void Arguments_are_taken_and_refused_as_pg_waldump_does(string arguments)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string[] segments = [.. Directory.GetFiles(Path.Combine(log.Server.DataDirectory, "pg_wal"), "00000001*").Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)];
        string start = new Primitives.Lsn((Convert.ToUInt64(segments[2][16..], 16) * (4 << 20)) + 40).ToString();
        string[] words = [.. arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(a => a
            .Replace("{data}", log.Server.DataDirectory, StringComparison.Ordinal).Replace("{first}", segments[2], StringComparison.Ordinal)
            .Replace("{second}", segments[3], StringComparison.Ordinal).Replace("{start}", start, StringComparison.Ordinal))];
        (int code, string output, string error) = StockPostgres.TryTool("pg_waldump", words);
        string expectedError = error.Replace(StockPostgres.BinDirectory + "/", "", StringComparison.Ordinal).Replace("pg_waldump", "waldump", StringComparison.Ordinal);
        (int ourCode, string ourOutput, string ourError) = ToolRunner.Run(["waldump", .. words]);
        Assert.Equal((code, output, expectedError), (ourCode, ourOutput, ourError.Replace("sharedstorage waldump", "waldump", StringComparison.Ordinal)));
    }

    [SkippableFact]
    public void A_live_log_is_followed_until_it_is_interrupted()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create().Start();
        string start = server.Psql("SELECT redo_lsn FROM pg_control_checkpoint()");
        using System.Diagnostics.Process follower = ToolRunner.Start("waldump", "-p", server.DataDirectory, "-s", start, "-f", "-r", "LogicalMessage");
        server.Psql("SELECT pg_logical_emit_message(false, 'first', 'x')");
        Assert.Contains("prefix \"first\"", follower.StandardOutput.ReadLine(), StringComparison.Ordinal);
        server.Psql("SELECT pg_logical_emit_message(false, 'second', 'y')");
        Assert.Contains("prefix \"second\"", follower.StandardOutput.ReadLine(), StringComparison.Ordinal);
        StockPostgres.Run("/bin/kill", ["-INT", follower.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)], asCaller: true);
        follower.WaitForExit();
        Assert.Equal((0, ""), (follower.ExitCode, follower.StandardError.ReadToEnd()));
    }

    [SkippableFact]
    public void A_segment_is_dumped_by_its_name()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string wal = Path.Combine(log.Server.DataDirectory, "pg_wal");
        string file = Directory.GetFiles(wal, "00000001*").Order(StringComparer.Ordinal).ElementAt(2);
        Assert.Equal(StockPostgres.Tool("pg_waldump", file), ToolRunner.Run("waldump", file).Output);
    }

    [SkippableFact]
    public void The_control_file_is_shown_as_pg_controldata_shows_it()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Assert.Equal((0, StockPostgres.Tool("pg_controldata", log.Server.DataDirectory), ""), ToolRunner.Run("controldata", log.Server.DataDirectory));
    }
}
