using System.Buffers;
using System.Buffers.Binary;
using Google.Protobuf;

namespace SharedStorage.Control.Grpc;

/// <summary>
/// gRPC's length-prefixed messages (PROTOCOL-HTTP2.md): one byte "compressed", four bytes length, big-endian, then the message. Compression is not offered,
/// so a compressed message is a protocol error.
/// </summary>
internal static class GrpcFraming
{
    public const string ContentType = "application/grpc";
    public const int PrefixSize = 5;

    /// <summary>Control messages are small; 1 MiB holds a status of thousands of nodes and bounds what a stranger can make us allocate.</summary>
    public const int MaxMessageSize = 1 << 20;

    public static async ValueTask WriteAsync(Stream stream, IMessage message, CancellationToken cancel)
    {
        int size = message.CalculateSize();
        byte[] rented = ArrayPool<byte>.Shared.Rent(PrefixSize + size);
        try
        {
            rented[0] = 0;
            BinaryPrimitives.WriteInt32BigEndian(rented.AsSpan(1), size);
            message.WriteTo(rented.AsSpan(PrefixSize, size));
            await stream.WriteAsync(rented.AsMemory(0, PrefixSize + size), cancel).ConfigureAwait(false);
            await stream.FlushAsync(cancel).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>The next message; null at the end of the stream.</summary>
    /// <exception cref="RpcException">The stream ends within a message, or the message is compressed, too long or not parsable.</exception>
    public static async ValueTask<T?> ReadAsync<T>(Stream stream, MessageParser<T> parser, CancellationToken cancel)
        where T : class, IMessage<T>
    {
        byte[] prefix = new byte[PrefixSize];
        int got = await stream.ReadAtLeastAsync(prefix, PrefixSize, throwOnEndOfStream: false, cancel).ConfigureAwait(false);
        if (got == 0)
        {
            return null;
        }

        if (got < PrefixSize)
        {
            throw new RpcException(RpcStatus.Internal, "the stream ends within a message prefix");
        }

        if (prefix[0] != 0)
        {
            throw new RpcException(RpcStatus.Unimplemented, "compressed messages are not accepted");
        }

        uint size = BinaryPrimitives.ReadUInt32BigEndian(prefix.AsSpan(1));
        if (size > MaxMessageSize)
        {
            throw new RpcException(RpcStatus.ResourceExhausted, $"a message of {size} bytes exceeds the limit of {MaxMessageSize}");
        }

        byte[] rented = ArrayPool<byte>.Shared.Rent((int)size);
        try
        {
            int body = await stream.ReadAtLeastAsync(rented.AsMemory(0, (int)size), (int)size, throwOnEndOfStream: false, cancel).ConfigureAwait(false);
            if (body < size)
            {
                throw new RpcException(RpcStatus.Internal, "the stream ends within a message");
            }

            return parser.ParseFrom(rented, 0, (int)size);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new RpcException(RpcStatus.Internal, $"malformed message: {e.Message}");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
