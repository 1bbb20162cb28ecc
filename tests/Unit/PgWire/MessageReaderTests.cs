using SharedStorage.PgWire.Messages;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.PgWire;

public sealed class MessageReaderTests
{
    private static MessageReader Over(params byte[][] parts) => new(new DribblingStream([.. parts.SelectMany(p => p)]));

    /// <summary>Gives one byte a read, as the worst network may.</summary>
    private sealed class DribblingStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, 1));
    }

    private static byte[] Message(char type, byte[] body)
    {
        int length = body.Length + 4;
        return [(byte)type, (byte)(length >> 24), (byte)(length >> 16), (byte)(length >> 8), (byte)length, .. body];
    }

    [Fact]
    public void Messages_come_one_after_the_other_however_they_are_cut()
    {
        byte[] large = new byte[100_000];
        large[99_998] = (byte)'x';
        MessageReader reader = Over(Message('Q', "select 1\0"u8.ToArray()), Message('Q', large), Message('S', []));
        Assert.True(reader.Read());
        Assert.Equal("select 1", reader.CString());
        reader.EndOfBody();
        Assert.True(reader.Read());
        Assert.Equal(large.Length, reader.Body.Length);
        Assert.True(reader.Read());
        Assert.Equal(FrontendMessage.Sync, reader.Type);
        Assert.False(reader.Read());
    }

    [Theory]
    [InlineData('Q', 0x7FFFFFFF)]
    [InlineData('Q', 0x40000004)]
    [InlineData('Q', 3)]
    [InlineData('Q', -1)]
    [InlineData('S', 10_005)]
    [InlineData('?', 4)]
    public void A_length_or_type_out_of_bounds_ends_the_session(char type, int length)
    {
        MessageReader reader = Over([(byte)type, (byte)(length >> 24), (byte)(length >> 16), (byte)(length >> 8), (byte)length]);
        PgException e = Assert.Throws<PgException>(() => reader.Read());
        Assert.Equal(SqlStates.ProtocolViolation, e.SqlState);
        Assert.True(e.Fatal);
    }

    [Fact]
    public void A_claimed_gigabyte_that_never_comes_takes_no_gigabyte()
    {
        int length = MessageReader.MaxMessage;
        MessageReader reader = Over([(byte)'Q', (byte)(length >> 24), (byte)(length >> 16), (byte)(length >> 8), (byte)length, 1, 2, 3]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        PgException e = Assert.Throws<PgException>(() => reader.Read());
        Assert.Equal(SqlStates.ConnectionFailure, e.SqlState);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 4 << 20);
    }

    [Fact]
    public void Fields_beyond_the_body_and_bytes_left_over_are_errors()
    {
        MessageReader reader = Over(Message('B', [0, 1]));
        Assert.True(reader.Read());
        Assert.Throws<PgException>(() => reader.Int32());
        Assert.Equal(1, reader.Int16());
        reader.EndOfBody();
        MessageReader open = Over(Message('Q', "abc"u8.ToArray()));
        Assert.True(open.Read());
        Assert.Throws<PgException>(() => open.CString());
        Assert.Throws<PgException>(() => open.EndOfBody());
    }

    [Fact]
    public void Bytes_that_are_no_UTF8_are_named_so()
    {
        MessageReader reader = Over(Message('Q', [0xC3, 0x28, 0]));
        Assert.True(reader.Read());
        Assert.Equal(SqlStates.CharacterNotInRepertoire, Assert.Throws<PgException>(() => reader.CString()).SqlState);
    }
}
