using System.Globalization;
using SharedStorage.Format.Tuples;
using SharedStorage.PgWire.Messages;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Session;
using SharedStorage.Sql.Types;

namespace SharedStorage.PgWire.Session;

/// <summary>Turns results into messages: DataRow by each column's type and format, and COPY both ways.</summary>
internal sealed class WireSink(SqlSession session, MessageReader reader, MessageWriter writer) : IResultSink
{
    private readonly EvalContext _context = session.EvalContext;
    private RowDescription? _description;
    private PgType[] _types = [];
    private short[] _formats = [];

    /// <summary>In the extended protocol the client asks for the columns itself.</summary>
    public bool Extended { get; set; }

    public void BeginRows(RowDescription description, ReadOnlySpan<short> formats)
    {
        if (formats.Length > 1 && formats.Length != description.Count)
        {
            throw new PgException(
                SqlStates.ProtocolViolation, $"bind message has {formats.Length} result formats but query has {description.Count} columns");
        }

        if (!ReferenceEquals(_description, description) || _formats.Length != description.Count)
        {
            _description = description;
            _types = new PgType[description.Count];
            _formats = new short[description.Count];
            for (int i = 0; i < _types.Length; i++)
            {
                _types[i] = TypeRegistry.Get(description.Columns[i].TypeId, _context.Catalogs);
            }
        }

        for (int i = 0; i < _formats.Length; i++)
        {
            _formats[i] = MessageWriter.Format(formats, i);
        }

        if (!Extended)
        {
            writer.RowDescription(description, formats);
        }
    }

    public void Row(ReadOnlySpan<Datum> values)
    {
        writer.Begin('D');
        writer.Int16((short)values.Length);
        for (int i = 0; i < values.Length; i++)
        {
            if (values[i].IsNull)
            {
                writer.Int32(-1);
                continue;
            }

            int start = writer.BeginValue();
            if (_formats[i] == 0)
            {
                _types[i].Output(values[i], writer, _context);
            }
            else
            {
                _types[i].Send(values[i], writer, _context);
            }

            writer.EndValue(start);
        }

        writer.End();
    }

    public void Complete(string tag) => writer.CommandComplete(tag);

    public void EmptyQuery() => writer.Empty('I');

    public void CopyOutBegin(int columns, bool binary) => CopyResponse('H', columns, binary);

    public void CopyOutData(ReadOnlySpan<byte> data)
    {
        writer.Begin('d');
        writer.Bytes(data);
        writer.End();
    }

    public void CopyOutEnd() => writer.Empty('c');

    public void CopyInBegin(int columns, bool binary)
    {
        CopyResponse('G', columns, binary);
        writer.Flush();
    }

    public bool CopyInRead(out ReadOnlyMemory<byte> chunk)
    {
        while (true)
        {
            if (!reader.Read())
            {
                throw new PgException(SqlStates.ConnectionFailure, "unexpected EOF on client connection with an open transaction") { Fatal = true };
            }

            switch (reader.Type)
            {
                case FrontendMessage.CopyData:
                    chunk = reader.BodyMemory;
                    return true;
                case FrontendMessage.CopyDone:
                    chunk = default;
                    return false;
                case FrontendMessage.CopyFail:
                    throw new PgException(SqlStates.QueryCanceled, $"COPY from stdin failed: {reader.CString()}");
                case FrontendMessage.Flush or FrontendMessage.Sync:
                    // A client that pipelines sends these without waiting; they mean nothing within a COPY.
                    continue;
                default:
                    throw new PgException(
                        SqlStates.ProtocolViolation,
                        string.Create(CultureInfo.InvariantCulture, $"unexpected message type 0x{(byte)reader.Type:X2} during COPY from stdin"))
                    { Fatal = true };
            }
        }
    }

    private void CopyResponse(char type, int columns, bool binary)
    {
        writer.Begin(type);
        writer.Byte(binary ? (byte)1 : (byte)0);
        writer.Int16((short)columns);
        for (int i = 0; i < columns; i++)
        {
            writer.Int16(binary ? (short)1 : (short)0);
        }

        writer.End();
    }
}
