using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>SET of a replication origin's progress (xl_replorigin_set); <paramref name="Force"/> moves it back too.</summary>
public readonly record struct OriginSetRecord(Lsn Remote, ushort Origin, bool Force)
{
    public static OriginSetRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new OriginSetRecord(reader.Lsn(), reader.UInt16(), reader.Bool());
    }
}

/// <summary>DROP of a replication origin (xl_replorigin_drop).</summary>
public readonly record struct OriginDropRecord(ushort Origin)
{
    public static OriginDropRecord Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).UInt16());
}
