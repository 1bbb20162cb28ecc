using System.Buffers.Binary;
using System.Text;
using SharedStorage.Primitives;

namespace SharedStorage.PgWire.Messages;

/// <summary>The messages that a client sends, by their type byte (PostgreSQL's documentation, chapter "Message Formats").</summary>
public enum FrontendMessage : byte
{
    Bind = (byte)'B',
    Close = (byte)'C',
    CopyData = (byte)'d',
    CopyDone = (byte)'c',
    CopyFail = (byte)'f',
    Describe = (byte)'D',
    Execute = (byte)'E',
    Flush = (byte)'H',
    FunctionCall = (byte)'F',
    Parse = (byte)'P',
    Password = (byte)'p',
    Query = (byte)'Q',
    Sync = (byte)'S',
    Terminate = (byte)'X',
}

/// <summary>
/// Reads a client's messages through one buffer that grows to the message and shrinks again. Every length is checked before anything is allocated for it.
/// The body's spans are valid until the next read. Belongs to one thread.
/// </summary>
public sealed class MessageReader(Stream stream)
{
    /// <summary>PostgreSQL's limit for large messages (PQ_LARGE_MESSAGE_LIMIT is 1 GB less one).</summary>
    public const int MaxMessage = 0x3FFFFFFF;

    /// <summary>PostgreSQL's limit for messages that carry no data (PQ_SMALL_MESSAGE_LIMIT).</summary>
    public const int MaxSmallMessage = 10_000;

    /// <summary>PostgreSQL's limit for the startup packet (MAX_STARTUP_PACKET_LENGTH).</summary>
    public const int MaxStartup = 10_000;

    private const int InitialSize = 8192;
    private const int GrowthStep = 1 << 20;

    private byte[] _buffer = new byte[InitialSize];
    private int _start;
    private int _end;
    private int _bodyStart;
    private int _bodyEnd;
    private int _position;

    public FrontendMessage Type { get; private set; }

    public ReadOnlySpan<byte> Body => _buffer.AsSpan(_bodyStart, _bodyEnd - _bodyStart);

    public ReadOnlyMemory<byte> BodyMemory => _buffer.AsMemory(_bodyStart, _bodyEnd - _bodyStart);

    /// <summary>Whether at least one more byte lies in the buffer: then an answer need not be flushed yet.</summary>
    public bool HasBuffered => _end > _start;

    /// <summary>Reads the startup packet's body (no type byte). False: the client went away before its first byte.</summary>
    public bool ReadStartup()
    {
        if (!TryFill(4))
        {
            return false;
        }

        int length = BinaryPrimitives.ReadInt32BigEndian(_buffer.AsSpan(_start));
        if (length is < 8 or > MaxStartup)
        {
            throw Violation("invalid length of startup packet");
        }

        TakeBody(4, length - 4);
        return true;
    }

    /// <summary>Reads the next message. False: the client closed the connection between two messages.</summary>
    /// <exception cref="PgException">08P01, fatal: unknown type, or a length out of bounds; 08006: the connection ended within a message.</exception>
    public bool Read()
    {
        if (!TryFill(5))
        {
            return false;
        }

        byte type = _buffer[_start];
        int length = BinaryPrimitives.ReadInt32BigEndian(_buffer.AsSpan(_start + 1));
        int limit = LimitOf(type);
        if (length < 4 || length - 4 > limit)
        {
            throw Violation("invalid message length");
        }

        Type = (FrontendMessage)type;
        TakeBody(5, length - 4);
        return true;
    }

    public byte Byte() => Take(1)[0];

    public short Int16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public int Int32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    /// <summary>A zero-terminated string in UTF-8.</summary>
    public string CString()
    {
        ReadOnlySpan<byte> rest = _buffer.AsSpan(_position, _bodyEnd - _position);
        int zero = rest.IndexOf((byte)0);
        if (zero < 0)
        {
            throw new PgException(SqlStates.ProtocolViolation, "invalid string in message");
        }

        _position += zero + 1;
        try
        {
            return Utf8.GetString(rest[..zero]);
        }
        catch (DecoderFallbackException)
        {
            throw new PgException(SqlStates.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\"");
        }
    }

    public ReadOnlyMemory<byte> Memory(int length)
    {
        Take(length);
        return _buffer.AsMemory(_position - length, length);
    }

    /// <exception cref="PgException">08P01: bytes are left over.</exception>
    public void EndOfBody()
    {
        if (_position != _bodyEnd)
        {
            throw new PgException(SqlStates.ProtocolViolation, "invalid message format");
        }
    }

    public bool AtEnd => _position == _bodyEnd;

    private static UTF8Encoding Utf8 { get; } = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static int LimitOf(byte type) => (FrontendMessage)type switch
    {
        FrontendMessage.Query or FrontendMessage.Parse or FrontendMessage.Bind or FrontendMessage.CopyData or FrontendMessage.FunctionCall => MaxMessage,
        FrontendMessage.Close or FrontendMessage.CopyDone or FrontendMessage.CopyFail or FrontendMessage.Describe or FrontendMessage.Execute or
            FrontendMessage.Flush or FrontendMessage.Password or FrontendMessage.Sync or FrontendMessage.Terminate => MaxSmallMessage,
        _ => throw Violation($"invalid frontend message type {type}"),
    };

    private static PgException Violation(string message) => new(SqlStates.ProtocolViolation, message) { Fatal = true };

    private static PgException Lost() => new(SqlStates.ConnectionFailure, "unexpected EOF on client connection") { Fatal = true };

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > _bodyEnd - _position)
        {
            throw new PgException(SqlStates.ProtocolViolation, "insufficient data left in message");
        }

        _position += count;
        return _buffer.AsSpan(_position - count, count);
    }

    private void TakeBody(int headerSize, int bodySize)
    {
        _start += headerSize;
        if (!TryFill(bodySize) && bodySize > 0)
        {
            throw Lost();
        }

        _bodyStart = _position = _start;
        _bodyEnd = _start = _start + bodySize;
    }

    /// <summary>Makes sure that so many unread bytes are in the buffer. False: the end of the stream came before the first of them.</summary>
    private bool TryFill(int count)
    {
        if (_end - _start >= count)
        {
            return true;
        }

        MakeRoom(Math.Min(count, GrowthStep));
        bool any = _end > _start;
        while (_end - _start < count)
        {
            // A client that claims a gigabyte and sends nothing costs us one step of growth, not a gigabyte.
            if (_end == _buffer.Length)
            {
                MakeRoom(Math.Min(count, (_end - _start) + Math.Max(GrowthStep, _end - _start)));
            }

            int got = stream.Read(_buffer, _end, _buffer.Length - _end);
            if (got == 0)
            {
                return any ? throw Lost() : false;
            }

            any = true;
            _end += got;
        }

        return true;
    }

    private void MakeRoom(int count)
    {
        int unread = _end - _start;
        if (_start + count <= _buffer.Length)
        {
            return;
        }

        byte[] target = _buffer;
        if (count > _buffer.Length || (_buffer.Length > InitialSize && Math.Max(count, unread) <= InitialSize))
        {
            target = new byte[Math.Max(InitialSize, Math.Max(count, unread))];
        }

        Buffer.BlockCopy(_buffer, _start, target, 0, unread);
        _buffer = target;
        _start = 0;
        _end = unread;
    }
}
