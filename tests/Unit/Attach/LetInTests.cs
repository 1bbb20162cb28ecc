using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Hosting.Settings;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Session;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Attach;

/// <summary>A client whose first snapshot replay cannot let live is let in with a later one.</summary>
public sealed class LetInTests
{
    /// <summary>Where a node's snapshots are admitted: ends the first ones as a conflict with replay would.</summary>
    private sealed class Conflicts(int times) : ISnapshotAdmission
    {
        public int Left { get; private set; } = times;

        public bool MayOpen(Lsn snapshot) => Left == 0;

        public void Await()
        {
            Left--;
            throw new PgException(SqlStates.SerializationFailure, "canceling statement due to conflict with recovery");
        }
    }

    [SkippableFact]
    public void A_client_that_conflicts_with_replay_while_it_is_let_in_is_let_in_all_the_same()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres directory = StockPostgres.Create();
        string local = Directory.CreateTempSubdirectory("let-in").FullName;
        try
        {
            var arguments = new NodeArguments(directory.DataDirectory, local, [KeyValuePair.Create("shared_buffers", "16MB")]);
            NodeSettings settings = NodeSettings.Load(arguments.DataDirectory, arguments.LocalDirectory, new System.Collections.Hashtable(), arguments.Settings);
            using NodeEngine engine = NodeEngine.Open(new NodeEnvironment(arguments, settings, NullLoggerFactory.Instance, TimeProvider.System, _ => { }));
            engine.Tail.Run(Lsn.Max, CancellationToken.None);
            var conflicts = new Conflicts(3);
            engine.Transactions.Admission = conflicts;
            var node = new SqlNode { Engine = engine.Storage, Catalogs = engine.Catalogs, TemporaryFiles = TempDirectory.Open(Path.Combine(local, "temp")) };
            using var server = new PgServer(node, new PgServerOptions { Port = 0 }, () => null, NullLogger.Instance);
            Assert.Equal('R', FirstAnswer(server.Port));
            Assert.Equal(0, conflicts.Left);
        }
        finally
        {
            Directory.Delete(local, recursive: true);
        }
    }

    /// <summary>The type of the first message to a client: 'R' lets it in, 'E' is an error.</summary>
    private static char FirstAnswer(int port)
    {
        using var client = new TcpClient("127.0.0.1", port);
        byte[] parameters = Encoding.UTF8.GetBytes("user\0postgres\0database\0postgres\0\0");
        byte[] packet = new byte[8 + parameters.Length];
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(4), 3 << 16);
        parameters.CopyTo(packet, 8);
        NetworkStream stream = client.GetStream();
        stream.ReadTimeout = 60_000;
        stream.Write(packet);
        return (char)stream.ReadByte();
    }
}
