using SharedStorage.Catalog.Ddl;
using SharedStorage.Hosting.Engine;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Session;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Hosting.Node;

/// <summary>What the sessions of a node share, from its engine; and what changes when the node opens for writes.</summary>
public static class NodeSql
{
    private static readonly DateTimeOffset PostgresEpoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <param name="server">The node's server, once there is one.</param>
    /// <param name="checkMayAnswer">Throws when the node may not answer now; null always may.</param>
    public static SqlNode Create(NodeEnvironment environment, NodeEngine engine, Func<PgServer?> server, Action? checkMayAnswer) => new()
    {
        Engine = engine.Storage,
        Catalogs = engine.Catalogs,
        Time = environment.Time,
        CurrentLsn = () => engine.Storage.Wal?.Inserted ?? engine.Applied.Value,
        FlushedLsn = () => engine.Storage.Wal?.Flushed ?? engine.Applied.Value,
        CancelSession = id => server()?.CancelSession(id) ?? false,
        TerminateSession = (id, reason) => server()?.TerminateSession(id, reason) ?? false,
        CheckMayAnswer = checkMayAnswer,
        DataDirectory = environment.DataDirectory,
        Port = (int)environment.Settings.Number("port"),
        StartTimestamp = (environment.Time.GetUtcNow() - PostgresEpoch).Ticks / 10,
        Settings = environment.Settings.ForSessions(),
        TemporaryFiles = TempDirectory.Open(Path.Combine(environment.LocalDirectory, "temp")),
    };

    /// <summary>Port and limits of the node's server.</summary>
    /// <exception cref="PgException">No place would be left for ordinary clients.</exception>
    public static PgServerOptions ServerOptions(NodeEnvironment environment)
    {
        int most = (int)environment.Settings.Number("max_connections");
        int reserved = (int)environment.Settings.Number("superuser_reserved_connections");
        if (reserved >= most)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"superuser_reserved_connections ({reserved}) must be less than max_connections ({most})");
        }

        return new PgServerOptions { Port = (int)environment.Settings.Number("port"), MaxConnections = most, ReservedConnections = reserved };
    }

    /// <summary>The node has become the writer: sessions may change data from now on.</summary>
    public static void OpenForWrites(SqlNode node, NodeEngine engine, WalInserter wal, OidCounter oids, Action checkpoint, Action vacuumFinished, Action<Oid, Oid, Lsn> removeDatabaseFolder)
    {
        engine.Storage.NewOid = () => oids.Next(wal);
        node.Oids = oids;
        node.Checkpoint = checkpoint;
        node.AwaitConsistency = null;
        node.VacuumFinished = vacuumFinished;
        node.RemoveDatabaseFolder = removeDatabaseFolder;
    }
}
