using SharedStorage.Primitives;
using SharedStorage.Sql.Parse;
using SharedStorage.Sql.Session;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>DDL, COPY, VACUUM and the like; one per statement.</summary>
internal sealed partial class CommandRunner(SqlSession session, SourceText source, IResultSink sink)
{
    private SqlSession Session { get; } = session;
    private SourceText Source { get; } = source;
    private IResultSink Sink { get; } = sink;

    /// <summary>Runs the command and gives its tag.</summary>
    public string Run(Pg.Node tree) => tree.NodeCase switch
    {
        _ => throw PgException.NotSupported(Name(tree)),
    };

    private static string Name(Pg.Node tree)
    {
        // "CreateSeqStmt" reads as "create seq".
        string name = tree.NodeCase.ToString();
        name = name.EndsWith("Stmt", StringComparison.Ordinal) ? name[..^4] : name;
        return string.Concat(name.Select((c, i) => i > 0 && char.IsUpper(c) ? " " + c : c.ToString())).ToUpperInvariant();
    }
}
