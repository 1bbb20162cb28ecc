using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using SharedStorage.Format.Tuples;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Hosting.Settings;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Session;
using SharedStorage.Sql.Types;
using SharedStorage.TestKit;

namespace SharedStorage.Unit.Sql;

/// <summary>
/// A directory that stock PostgreSQL made and left, with its answers to <see cref="Queries"/>, and a reader's engine over it for sessions of ours.
/// </summary>
public sealed class SqlFixture : IDisposable
{
    private readonly StockPostgres? _server;
    private readonly NodeEngine? _engine;
    private readonly string _local = Directory.CreateTempSubdirectory("sql-local").FullName;

    public SqlFixture()
    {
        if (!StockPostgres.IsInstalled)
        {
            return;
        }

        _server = StockPostgres.Create();
        _server.Start();
        _server.Psql(Queries.Setup);
        Expected = [.. Queries.All.Select(Ask)];
        ExpectedOfSpills = [.. SpillQueries.All.Select(Ask)];
        _server.Stop();
        var arguments = new NodeArguments(_server.DataDirectory, _local, [KeyValuePair.Create("shared_buffers", "16MB")]);
        NodeSettings settings = NodeSettings.Load(arguments.DataDirectory, arguments.LocalDirectory, new System.Collections.Hashtable(), arguments.Settings);
        _engine = NodeEngine.Open(new NodeEnvironment(arguments, settings, NullLoggerFactory.Instance, TimeProvider.System, _ => { }));
        _engine.Tail.Run(Lsn.Max, CancellationToken.None);
        Node = new SqlNode { Engine = _engine.Storage, Catalogs = _engine.Catalogs, TemporaryFiles = TempDirectory.Open(Path.Combine(_local, "temp")) };
    }

    /// <summary>For each query the rows, a line each with "|" between columns, or "ERROR: message".</summary>
    public IReadOnlyList<string> Expected { get; } = [];

    /// <summary>The same for <see cref="SpillQueries"/>.</summary>
    public IReadOnlyList<string> ExpectedOfSpills { get; } = [];
    public SqlNode Node { get; } = null!;

    public SqlSession NewSession() => new(Node, new SessionStartup { User = "postgres", Database = "postgres", ProcessId = 1 });

    private string Ask(string sql)
    {
        (int code, string output, string error) = StockPostgres.TryTool("psql", "-X", "-A", "-t", "-q", "-h", "127.0.0.1", "-p",
            _server!.Port.ToString(System.Globalization.CultureInfo.InvariantCulture), "-U", "postgres", "-d", "postgres", "-c", sql);
        return code == 0 ? output.TrimEnd('\n') : error.Split('\n')[0].Replace("ERROR:  ", "ERROR: ", StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _engine?.Dispose();
        _server?.Dispose();
        Directory.Delete(_local, true);
    }
}

/// <summary>Writes results as psql does with -A -t.</summary>
internal sealed class TextSink(SqlSession session) : IResultSink
{
    private readonly StringBuilder _text = new();
    private RowDescription? _description;

    public string Text => _text.ToString().TrimEnd('\n');
    public List<string> Tags { get; } = [];

    public void BeginRows(RowDescription description, ReadOnlySpan<short> formats) => _description = description;

    public void Row(ReadOnlySpan<Datum> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            _text.Append(i > 0 ? "|" : "");
            if (!values[i].IsNull)
            {
                _text.Append(TypeRegistry.Get(_description!.Columns[i].TypeId, session.EvalContext.Catalogs).OutputText(values[i], session.EvalContext));
            }
        }

        _text.Append('\n');
    }

    public void Complete(string tag) => Tags.Add(tag);
    public void EmptyQuery() => Tags.Add("");
    public void CopyOutBegin(int columns, bool binary) => _text.Append("");
    public void CopyOutData(ReadOnlySpan<byte> data) => _text.Append(Encoding.UTF8.GetString(data));
    public void CopyOutEnd() => _text.Append("");
    public void CopyInBegin(int columns, bool binary) => _text.Append("");

    public bool CopyInRead(out ReadOnlyMemory<byte> chunk)
    {
        chunk = default;
        return false;
    }
}
