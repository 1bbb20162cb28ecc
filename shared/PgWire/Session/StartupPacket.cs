using SharedStorage.PgWire.Messages;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;

namespace SharedStorage.PgWire.Session;

/// <summary>The first packet of a connection: protocol version and parameters, or a request to cancel or to encrypt.</summary>
internal sealed class StartupPacket
{
    private const int CancelRequest = 80877102;
    private const int SslRequest = 80877103;
    private const int GssRequest = 80877104;

    private readonly Dictionary<string, string> _parameters = new(StringComparer.Ordinal);

    /// <summary>Answers encryption requests (no), carries out a cancel request, and gives the startup packet; null when there is nothing more to do.</summary>
    public static StartupPacket? Negotiate(MessageReader reader, MessageWriter writer, Action<int, int> cancel)
    {
        // A client asks at most once for each kind of encryption.
        for (int attempt = 0; attempt < 3; attempt++)
        {
            if (!reader.ReadStartup())
            {
                return null;
            }

            int code = reader.Int32();
            switch (code)
            {
                case SslRequest or GssRequest:
                    // What was sent beyond the request would be taken for encrypted data: PostgreSQL refuses it for the same reason.
                    if (reader.HasBuffered)
                    {
                        throw new PgException(SqlStates.ProtocolViolation, "received unencrypted data after SSL request") { Fatal = true };
                    }

                    writer.Byte((byte)'N');
                    writer.Flush();
                    continue;
                case CancelRequest:
                    cancel(reader.Int32(), reader.Int32());
                    return null;
                default:
                    return Parse(code, reader, writer);
            }
        }

        throw new PgException(SqlStates.ProtocolViolation, "too many encryption requests") { Fatal = true };
    }

    public SessionStartup ToStartup(int processId)
    {
        if (!_parameters.Remove("user", out string? user) || user.Length == 0)
        {
            throw new PgException(SqlStates.InvalidAuthorizationSpecification, "no PostgreSQL user name specified in startup packet") { Fatal = true };
        }

        string database = _parameters.Remove("database", out string? d) && d.Length > 0 ? d : user;
        if (_parameters.Remove("replication", out string? replication) && replication is not ("" or "false" or "off" or "no" or "0"))
        {
            throw new PgException(SqlStates.FeatureNotSupported, "replication connections are not supported yet") { Fatal = true };
        }

        return new SessionStartup { User = user, Database = database, ProcessId = processId, Parameters = _parameters };
    }

    private static StartupPacket Parse(int version, MessageReader reader, MessageWriter writer)
    {
        int major = version >> 16;
        int minor = version & 0xFFFF;
        if (major != 3)
        {
            throw new PgException(
                SqlStates.FeatureNotSupported,
                $"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0")
            { Fatal = true };
        }

        var packet = new StartupPacket();
        var unknown = new List<string>();
        while (true)
        {
            string name = reader.CString();
            if (name.Length == 0)
            {
                break;
            }

            string value = reader.CString();
            if (name.StartsWith("_pq_.", StringComparison.Ordinal))
            {
                unknown.Add(name);
            }
            else
            {
                packet._parameters[name] = value;
            }
        }

        reader.EndOfBody();
        if (minor > 0 || unknown.Count > 0)
        {
            writer.Begin('v');
            writer.Int32(0);
            writer.Int32(unknown.Count);
            foreach (string name in unknown)
            {
                writer.CString(name);
            }

            writer.End();
        }

        return packet;
    }
}
