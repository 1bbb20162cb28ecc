using System.Globalization;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>One session with a node, for transactions and cursors that stay open.</summary>
internal sealed class NodeSession : IDisposable
{
    private readonly NpgsqlConnection _connection;

    public NodeSession(ClusterNode node)
    {
        _connection = new NpgsqlConnection(AcknowledgedLoad.ConnectionString(node.Port) + ";Command Timeout=60");
        _connection.Open();
    }

    public void Execute(string sql)
    {
        using var command = new NpgsqlCommand(sql, _connection);
        command.ExecuteNonQuery();
    }

    public string Scalar(string sql)
    {
        using var command = new NpgsqlCommand(sql, _connection);
        return Convert.ToString(command.ExecuteScalar(), CultureInfo.InvariantCulture)!;
    }

    /// <summary>The first column of every row.</summary>
    public string[] Column(string sql)
    {
        using var command = new NpgsqlCommand(sql, _connection);
        using NpgsqlDataReader rows = command.ExecuteReader();
        var values = new List<string>();
        while (rows.Read())
        {
            values.Add(Convert.ToString(rows.GetValue(0), CultureInfo.InvariantCulture)!);
        }

        return [.. values];
    }

    public void Dispose() => _connection.Dispose();
}
