using SharedStorage.Primitives;
using SharedStorage.Sql.Session;

namespace SharedStorage.Sql.Commands;

/// <summary>
/// Takes COPY data apart into rows of fields (copyfromparse.c). A field without escapes is a part of the buffer, so that a row costs no allocation.
/// </summary>
internal sealed class CopyReader(IResultSink sink, CopyOptions options)
{
    private byte[] _buffer = new byte[64 * 1024];
    private int _start, _end;
    private bool _inputEnded;
    private byte[] _decoded = new byte[1024];
    private int _decodedLength;

    /// <summary>A field: within the buffer, or (decoded) within the other one. Length -1 is null.</summary>
    private readonly record struct Field(int Offset, int Length, bool Decoded, bool Quoted);

    private readonly List<Field> _fields = [];

    /// <summary>The number of the current line, from 1.</summary>
    public long Line { get; private set; }
    public int Count => _fields.Count;
    public bool IsNull(int i) => _fields[i].Length < 0;

    public ReadOnlySpan<byte> this[int i]
    {
        get
        {
            Field f = _fields[i];
            return (f.Decoded ? _decoded : _buffer).AsSpan(f.Offset, f.Length);
        }
    }

    public bool WasQuoted(int i) => _fields[i].Quoted;

    /// <summary>The next row's fields; false at the end of the data.</summary>
    public bool Next()
    {
        int length = FindLine(out int consumed);
        if (length < 0)
        {
            return false;
        }

        Line++;
        int at = _start;
        _start += consumed;
        _fields.Clear();
        _decodedLength = 0;
        if (IsEndMark(_buffer.AsSpan(at, length)))
        {
            Drain();
            return false;
        }

        if (options.Csv)
        {
            SplitCsv(at, length);
        }
        else
        {
            SplitText(at, length);
        }

        return true;
    }

    private static bool IsEndMark(ReadOnlySpan<byte> line) => line.Length == 2 && line[0] == '\\' && line[1] == '.';

    /// <summary>Reads what the client still sends.</summary>
    public void Drain()
    {
        _start = _end = 0;
        while (!_inputEnded && sink.CopyInRead(out _))
        {
        }

        _inputEnded = true;
    }

    private bool Fill()
    {
        if (_inputEnded)
        {
            return false;
        }

        if (!sink.CopyInRead(out ReadOnlyMemory<byte> chunk))
        {
            _inputEnded = true;
            return false;
        }

        if (_end + chunk.Length > _buffer.Length)
        {
            int used = _end - _start;
            byte[] target = used + chunk.Length > _buffer.Length ? new byte[Math.Max(_buffer.Length * 2, used + chunk.Length)] : _buffer;
            Buffer.BlockCopy(_buffer, _start, target, 0, used);
            (_buffer, _start, _end) = (target, 0, used);
        }

        chunk.Span.CopyTo(_buffer.AsSpan(_end));
        _end += chunk.Length;
        return true;
    }

    /// <summary>The length of the line at _start without its end; -1 when there is none.</summary>
    private int FindLine(out int consumed)
    {
        int scanned = 0;
        bool inQuotes = false;
        while (true)
        {
            ReadOnlySpan<byte> data = _buffer.AsSpan(_start, _end - _start);
            int end = options.Csv ? CsvLineEnd(data, ref scanned, ref inQuotes) : TextLineEnd(data, ref scanned);
            if (end >= 0)
            {
                bool crlf = data[end] == '\r' && end + 1 < data.Length && data[end + 1] == '\n';
                bool lf = data[end] == '\n' && end > 0 && data[end - 1] == '\r';
                consumed = end + (crlf ? 2 : 1);
                return lf ? end - 1 : end;
            }

            if (!Fill())
            {
                consumed = data.Length;
                if (inQuotes)
                {
                    throw new PgException(SqlStates.BadCopyFileFormat, "unterminated CSV quoted field");
                }

                int length = data.Length > 0 && data[^1] == '\r' ? data.Length - 1 : data.Length;
                return data.Length == 0 ? -1 : length;
            }
        }
    }

    // A line ends at a newline that no backslash precedes.
    private static int TextLineEnd(ReadOnlySpan<byte> data, ref int scanned)
    {
        while (scanned < data.Length)
        {
            int at = data[scanned..].IndexOf((byte)'\n');
            if (at < 0)
            {
                break;
            }

            at += scanned;
            int backslashes = 0;
            while (at - backslashes > 0 && data[at - backslashes - 1] == '\\')
            {
                backslashes++;
            }

            if (backslashes % 2 == 0)
            {
                return at;
            }

            scanned = at + 1;
        }

        // A backslash at the end may belong to what comes.
        scanned = data.Length;
        return -1;
    }

    private int CsvLineEnd(ReadOnlySpan<byte> data, ref int scanned, ref bool inQuotes)
    {
        for (; scanned < data.Length; scanned++)
        {
            byte c = data[scanned];
            if (c == options.Escape && inQuotes && options.Escape != options.Quote)
            {
                if (scanned + 1 >= data.Length)
                {
                    return -1;
                }

                scanned++;
            }
            else if (c == options.Quote)
            {
                inQuotes = !inQuotes;
            }
            else if (c == '\n' && !inQuotes)
            {
                return scanned;
            }
        }

        return -1;
    }

    private void SplitText(int at, int length)
    {
        int end = at + length, from = at;
        while (true)
        {
            ReadOnlySpan<byte> rest = _buffer.AsSpan(from, end - from);
            int stop = rest.IndexOfAny(options.Delimiter, (byte)'\\');
            if (stop < 0 || rest[stop] == options.Delimiter)
            {
                int fieldLength = stop < 0 ? rest.Length : stop;
                bool isNull = rest[..fieldLength].SequenceEqual(options.Null);
                _fields.Add(new Field(from, isNull ? -1 : fieldLength, false, false));
                if (stop < 0)
                {
                    return;
                }

                from += stop + 1;
                continue;
            }

            // A backslash: the field is decoded into the other buffer.
            int next = DecodeText(from, end);
            if (next < 0)
            {
                return;
            }

            from = next;
        }
    }

    /// <summary>Decodes the field at the place; gives the place after its delimiter, or -1 at the end of the line.</summary>
    private int DecodeText(int from, int end)
    {
        int start = _decodedLength, i = from;
        EnsureDecoded(end - from);
        while (i < end && _buffer[i] != options.Delimiter)
        {
            byte c = _buffer[i++];
            if (c == '\\' && i < end)
            {
                c = Unescape(ref i, end);
            }

            _decoded[_decodedLength++] = c;
        }

        bool isNull = _buffer.AsSpan(from, i - from).SequenceEqual(options.Null);
        _fields.Add(new Field(start, isNull ? -1 : _decodedLength - start, true, false));
        return i < end ? i + 1 : -1;
    }

    private byte Unescape(ref int i, int end)
    {
        byte c = _buffer[i++];
        switch (c)
        {
            case (byte)'b':
                return 8;
            case (byte)'f':
                return 12;
            case (byte)'n':
                return 10;
            case (byte)'r':
                return 13;
            case (byte)'t':
                return 9;
            case (byte)'v':
                return 11;
            case (byte)'x' when i < end && char.IsAsciiHexDigit((char)_buffer[i]):
                int hex = Convert.ToInt32(((char)_buffer[i++]).ToString(), 16);
                if (i < end && char.IsAsciiHexDigit((char)_buffer[i]))
                {
                    hex = (hex * 16) + Convert.ToInt32(((char)_buffer[i++]).ToString(), 16);
                }

                return (byte)hex;
            case >= (byte)'0' and <= (byte)'7':
                int octal = c - '0';
                for (int n = 0; n < 2 && i < end && _buffer[i] is >= (byte)'0' and <= (byte)'7'; n++)
                {
                    octal = (octal * 8) + _buffer[i++] - '0';
                }

                return (byte)octal;
            default:
                return c;
        }
    }

    private void EnsureDecoded(int more)
    {
        if (_decodedLength + more > _decoded.Length)
        {
            Array.Resize(ref _decoded, Math.Max(_decoded.Length * 2, _decodedLength + more));
        }
    }

    private void SplitCsv(int at, int length)
    {
        int end = at + length, i = at;
        while (true)
        {
            int start = _decodedLength;
            EnsureDecoded(end - i);
            bool quoted = false, inQuotes = false;
            while (i < end && (inQuotes || _buffer[i] != options.Delimiter))
            {
                byte c = _buffer[i++];
                if (inQuotes && c == options.Escape && i < end && (_buffer[i] == options.Quote || _buffer[i] == options.Escape))
                {
                    _decoded[_decodedLength++] = _buffer[i++];
                }
                else if (c == options.Quote)
                {
                    (quoted, inQuotes) = (true, !inQuotes);
                }
                else
                {
                    _decoded[_decodedLength++] = c;
                }
            }

            int size = _decodedLength - start;
            bool isNull = !quoted && _decoded.AsSpan(start, size).SequenceEqual(options.Null);
            _fields.Add(new Field(start, isNull ? -1 : size, true, quoted));
            if (i >= end)
            {
                return;
            }

            i++;
        }
    }
}
