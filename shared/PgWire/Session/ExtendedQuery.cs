using System.Buffers;
using SharedStorage.PgWire.Messages;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;

namespace SharedStorage.PgWire.Session;

/// <summary>The messages of the extended protocol: Parse, Bind, Describe, Execute, Close.</summary>
internal static class ExtendedQuery
{
    public static void Handle(SqlSession session, MessageReader reader, MessageWriter writer, WireSink sink)
    {
        switch (reader.Type)
        {
            case FrontendMessage.Parse:
                Parse(session, reader, writer);
                break;
            case FrontendMessage.Bind:
                Bind(session, reader, writer);
                break;
            case FrontendMessage.Describe:
                Describe(session, reader, writer);
                break;
            case FrontendMessage.Execute:
                Execute(session, reader, writer, sink);
                break;
            case FrontendMessage.Close:
                Close(session, reader, writer);
                break;
            default:
                throw new PgException(SqlStates.ProtocolViolation, $"invalid frontend message type {(byte)reader.Type}") { Fatal = true };
        }
    }

    private static void Parse(SqlSession session, MessageReader reader, MessageWriter writer)
    {
        string name = reader.CString();
        string sql = reader.CString();
        int count = reader.Int16() & 0xFFFF;
        var types = count == 0 ? [] : new Oid[count];
        for (int i = 0; i < count; i++)
        {
            types[i] = new Oid((uint)reader.Int32());
        }

        reader.EndOfBody();
        session.Prepare(name, sql, types);
        writer.Empty('1');
    }

    private static void Bind(SqlSession session, MessageReader reader, MessageWriter writer)
    {
        string portal = reader.CString();
        string statement = reader.CString();
        Span<short> parameterFormats = Formats(reader, stackalloc short[16]);
        int count = reader.Int16() & 0xFFFF;
        if (parameterFormats.Length > 1 && parameterFormats.Length != count)
        {
            throw new PgException(SqlStates.ProtocolViolation, $"bind message has {parameterFormats.Length} parameter formats but {count} parameters");
        }

        ReadOnlyMemory<byte>?[] values = ArrayPool<ReadOnlyMemory<byte>?>.Shared.Rent(count);
        try
        {
            for (int i = 0; i < count; i++)
            {
                int length = reader.Int32();
                values[i] = length == -1 ? null : reader.Memory(length);
            }

            Span<short> resultFormats = Formats(reader, stackalloc short[16]);
            reader.EndOfBody();
            session.Bind(portal, statement, parameterFormats, values.AsSpan(0, count), resultFormats);
        }
        finally
        {
            ArrayPool<ReadOnlyMemory<byte>?>.Shared.Return(values, clearArray: true);
        }

        writer.Empty('2');
    }

    private static void Describe(SqlSession session, MessageReader reader, MessageWriter writer)
    {
        byte what = reader.Byte();
        string name = reader.CString();
        reader.EndOfBody();
        RowDescription? description;
        IReadOnlyList<short> formats = [];
        if (what == 'S')
        {
            description = session.DescribeStatement(name, out IReadOnlyList<Oid> types);
            writer.Begin('t');
            writer.Int16((short)types.Count);
            foreach (Oid type in types)
            {
                writer.Int32((int)type.Value);
            }

            writer.End();
        }
        else
        {
            description = what == 'P'
                ? session.DescribePortal(name, out formats)
                : throw new PgException(SqlStates.ProtocolViolation, $"invalid DESCRIBE message subtype {what}");
        }

        if (description is null)
        {
            writer.Empty('n');
        }
        else
        {
            writer.RowDescription(description, formats as short[] ?? [.. formats]);
        }
    }

    private static void Execute(SqlSession session, MessageReader reader, MessageWriter writer, WireSink sink)
    {
        string portal = reader.CString();
        int maxRows = reader.Int32();
        reader.EndOfBody();
        sink.Extended = true;
        try
        {
            ExecuteResult result = session.Execute(portal, Math.Max(0, maxRows), sink);
            switch (result.Outcome)
            {
                case ExecuteOutcome.Complete:
                    writer.CommandComplete(result.Tag!);
                    break;
                case ExecuteOutcome.Suspended:
                    writer.Empty('s');
                    break;
                default:
                    writer.Empty('I');
                    break;
            }
        }
        finally
        {
            sink.Extended = false;
        }
    }

    private static void Close(SqlSession session, MessageReader reader, MessageWriter writer)
    {
        byte what = reader.Byte();
        string name = reader.CString();
        reader.EndOfBody();
        if (what == 'S')
        {
            session.CloseStatement(name);
        }
        else if (what == 'P')
        {
            session.ClosePortal(name);
        }
        else
        {
            throw new PgException(SqlStates.ProtocolViolation, $"invalid CLOSE message subtype {what}");
        }

        writer.Empty('3');
    }

    private static Span<short> Formats(MessageReader reader, Span<short> small)
    {
        int count = reader.Int16() & 0xFFFF;
        Span<short> formats = count <= small.Length ? small[..count] : new short[count];
        for (int i = 0; i < count; i++)
        {
            formats[i] = reader.Int16();
            if (formats[i] is not (0 or 1))
            {
                throw new PgException(SqlStates.InvalidParameterValue, $"unsupported format code: {formats[i]}");
            }
        }

        return formats;
    }
}
