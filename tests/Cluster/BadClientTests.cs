using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Clients that break the rules: each gets its error, and the nodes and their other sessions go on.</summary>
public sealed class BadClientTests
{
    [SkippableFact]
    public void Bad_clients_get_errors_and_harm_nobody()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            foreach (ClusterNode node in cluster.Nodes)
            {
                BadBytes(node.Port);
                DeepNesting(node);
                Assert.Equal("1", node.Psql("select 1"));
                Assert.True(node.IsRunning);
            }

            WritesOnAReader(cluster.Nodes[1]);
            cluster.Writer.Psql("checkpoint");
            cluster.StopAll();
        });
    }

    private static void BadBytes(int port)
    {
        // No startup packet at all; a length that no startup packet has; a packet that never comes to its end.
        Send(port, Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        Send(port, [0x3F, 0xFF, 0xFF, 0xFF, 0, 3, 0, 0]);
        Send(port, [0, 0, 0, 50, 0, 3, 0, 0, (byte)'u'], close: true);

        // After a proper start: an unknown type; a query of one gigabyte; a query that stops in the middle; a Bind without its parts, which ends the message only.
        byte[] startup = Startup();
        Assert.Contains("08P01", Send(port, [.. startup, (byte)'?', 0, 0, 0, 4]), StringComparison.Ordinal);
        Assert.Contains("08P01", Send(port, [.. startup, (byte)'Q', 0x7F, 0xFF, 0xFF, 0xFF, 1, 2, 3]), StringComparison.Ordinal);
        Send(port, [.. startup, (byte)'Q', 0x3F, 0xFF, 0xFF, 0xFF, (byte)'s'], close: true);
        Send(port, [.. startup, (byte)'Q', 0, 0, 0, 100, (byte)'s'], close: true);
        Assert.Contains("08P01", Send(port, [.. startup, (byte)'B', 0, 0, 0, 7, 1, 2, 3, (byte)'S', 0, 0, 0, 4, (byte)'X', 0, 0, 0, 4]), StringComparison.Ordinal);
    }

    private static void DeepNesting(ClusterNode node)
    {
        // By way of a file: a command line holds no 200,000 characters.
        string file = Path.Combine(node.LocalDirectory, "nested.sql");
        File.WriteAllText(file, $"select {new string('(', 100_000)}1{new string(')', 100_000)};\n");
        (_, string output, string error) = StockPostgres.TryTool(
            "psql", "-X", "-v", "VERBOSITY=verbose", "-h", "127.0.0.1", "-p", $"{node.Port}", "-U", "postgres", "-d", "postgres", "-f", file);
        Assert.Contains("54001", output + error, StringComparison.Ordinal);
    }

    private static void WritesOnAReader(ClusterNode reader)
    {
        foreach ((string sql, string message) in new[]
        {
            ("insert into acknowledged values (1)", "cannot execute INSERT in a read-only transaction"),
            ("update pgbench_tellers set tbalance = 0", "cannot execute UPDATE in a read-only transaction"),
            ("delete from pgbench_history", "cannot execute DELETE in a read-only transaction"),
            ("create table t (a int)", "cannot execute CREATE TABLE in a read-only transaction"),
            ("truncate pgbench_history", "cannot execute TRUNCATE TABLE in a read-only transaction"),
            ("drop table pgbench_history", "cannot execute DROP TABLE in a read-only transaction"),
            ("copy acknowledged from stdin", "cannot execute COPY during recovery"),
            ("checkpoint", "cannot execute CHECKPOINT during recovery"),
        })
        {
            (int code, _, string error) = reader.TryPsql(sql);
            Assert.NotEqual(0, code);
            Assert.Contains($"25006: {message}", error, StringComparison.Ordinal);
        }
    }

    /// <summary>Sends bytes; gives what came back until the server closed, which it must, or "" when this client closes first.</summary>
    private static string Send(int port, byte[] bytes, bool close = false)
    {
        using var client = new TcpClient("127.0.0.1", port) { ReceiveTimeout = 20_000 };
        NetworkStream stream = client.GetStream();
        stream.Write(bytes);
        if (close)
        {
            return "";
        }

        var answer = new MemoryStream();
        try
        {
            stream.CopyTo(answer);
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            // Closed with unread bytes of ours: as good as an end.
        }

        return Encoding.Latin1.GetString(answer.ToArray());
    }

    private static byte[] Startup()
    {
        byte[] body = [0, 3, 0, 0, .. "user\0postgres\0database\0postgres\0\0"u8];
        byte[] packet = new byte[body.Length + 4];
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length);
        body.CopyTo(packet, 4);
        return packet;
    }
}
