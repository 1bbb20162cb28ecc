using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;

namespace SharedStorage.PgWire.Messages;

/// <summary>
/// Builds the server's messages in one buffer and sends it when it is full or flushed. Nothing is allocated per message or row. Belongs to one thread.
/// </summary>
public sealed class MessageWriter(Stream stream) : IBufferWriter<byte>
{
    /// <summary>PostgreSQL's send buffer is 8 KiB; a larger one saves system calls for long results and stays in the second-level cache.</summary>
    private const int SendAt = 64 * 1024;

    private byte[] _buffer = new byte[SendAt + 8192];
    private int _length;
    private int _messageStart = -1;

    public void Begin(char type)
    {
        Ensure(5);
        _buffer[_length] = (byte)type;
        _messageStart = _length + 1;
        _length += 5;
    }

    public void End()
    {
        BinaryPrimitives.WriteInt32BigEndian(_buffer.AsSpan(_messageStart), _length - _messageStart);
        _messageStart = -1;
        if (_length >= SendAt)
        {
            Flush();
        }
    }

    public void Flush()
    {
        if (_length > 0)
        {
            int length = _length;
            _length = 0;
            stream.Write(_buffer, 0, length);
        }

        if (_buffer.Length > 4 * SendAt)
        {
            _buffer = new byte[SendAt + 8192];
        }
    }

    /// <summary>Gives up the message that was begun (its value could not be made).</summary>
    public void Abandon()
    {
        if (_messageStart >= 0)
        {
            _length = _messageStart - 1;
            _messageStart = -1;
        }
    }

    public void Byte(byte value)
    {
        Ensure(1);
        _buffer[_length++] = value;
    }

    public void Int16(short value)
    {
        Ensure(2);
        BinaryPrimitives.WriteInt16BigEndian(_buffer.AsSpan(_length), value);
        _length += 2;
    }

    public void Int32(int value)
    {
        Ensure(4);
        BinaryPrimitives.WriteInt32BigEndian(_buffer.AsSpan(_length), value);
        _length += 4;
    }

    public void Bytes(ReadOnlySpan<byte> value)
    {
        Ensure(value.Length);
        value.CopyTo(_buffer.AsSpan(_length));
        _length += value.Length;
    }

    public void CString(string value)
    {
        Ensure(Encoding.UTF8.GetMaxByteCount(value.Length) + 1);
        _length += Encoding.UTF8.GetBytes(value, _buffer.AsSpan(_length));
        _buffer[_length++] = 0;
    }

    /// <summary>Leaves room for a length in front of a value that is written next; <see cref="EndValue"/> fills it in.</summary>
    public int BeginValue()
    {
        Ensure(4);
        _length += 4;
        return _length;
    }

    public void EndValue(int start) => BinaryPrimitives.WriteInt32BigEndian(_buffer.AsSpan(start - 4), _length - start);

    public void Advance(int count) => _length += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Ensure(Math.Max(sizeHint, 256));
        return _buffer.AsMemory(_length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Ensure(Math.Max(sizeHint, 256));
        return _buffer.AsSpan(_length);
    }

    public void ReadyForQuery(TransactionBlockState state)
    {
        Begin('Z');
        Byte((byte)state);
        End();
    }

    public void Empty(char type)
    {
        Begin(type);
        End();
    }

    public void CommandComplete(string tag)
    {
        Begin('C');
        CString(tag);
        End();
    }

    public void ParameterStatus(string name, string value)
    {
        Begin('S');
        CString(name);
        CString(value);
        End();
    }

    public void RowDescription(RowDescription description, ReadOnlySpan<short> formats)
    {
        Begin('T');
        Int16((short)description.Count);
        for (int i = 0; i < description.Count; i++)
        {
            ResultColumn column = description.Columns[i];
            CString(column.Name);
            Int32((int)column.TableId.Value);
            Int16(column.AttributeNumber);
            Int32((int)column.TypeId.Value);
            Int16(column.TypeLength);
            Int32(column.TypeModifier);
            Int16(Format(formats, i));
        }

        End();
    }

    /// <summary>The format of a column: none is text, one counts for all.</summary>
    public static short Format(ReadOnlySpan<short> formats, int column) =>
        formats.Length switch { 0 => 0, 1 => formats[0], _ => formats[column] };

    public void Error(PgException error) => Report('E', error.Fatal ? "FATAL" : "ERROR", error);

    public void Notice(SqlNotice notice)
    {
        Begin('N');
        Field('S', notice.Severity);
        Field('V', notice.Severity);
        Field('C', notice.SqlState);
        Field('M', notice.Message);
        Field('D', notice.Detail);
        Field('H', notice.Hint);
        Field('P', notice.Position > 0 ? notice.Position.ToString(System.Globalization.CultureInfo.InvariantCulture) : null);
        Byte(0);
        End();
    }

    private void Report(char type, string severity, PgException e)
    {
        Begin(type);
        Field('S', severity);
        Field('V', severity);
        Field('C', e.SqlState);
        Field('M', e.Message);
        Field('D', e.Detail);
        Field('H', e.Hint);
        Field('P', e.Position > 0 ? e.Position.ToString(System.Globalization.CultureInfo.InvariantCulture) : null);
        Field('s', e.Schema);
        Field('t', e.Table);
        Field('c', e.Column);
        Field('d', e.DataType);
        Field('n', e.Constraint);
        Byte(0);
        End();
    }

    private void Field(char code, string? value)
    {
        if (value is not null)
        {
            Byte((byte)code);
            CString(value);
        }
    }

    private void Ensure(int count)
    {
        if (_length + count > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        }
    }
}
