using SharedStorage.Primitives;

namespace SharedStorage.Unit;

public sealed class PrimitivesTests
{
    [Theory]
    [InlineData("0/0", 0UL)]
    [InlineData("16/B374D848", 0x16_B374D848UL)]
    [InlineData("FFFFFFFF/FFFFFFFF", ulong.MaxValue)]
    public void An_lsn_is_read_as_PostgreSQL_writes_it(string text, ulong value)
    {
        Assert.Equal(value, Lsn.Parse(text).Value);
        Assert.Equal(text, Lsn.Parse(text).ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("/1")]
    [InlineData("1/")]
    [InlineData("123456789/0")]
    [InlineData("g/0")]
    [InlineData("-1/0")]
    public void What_is_no_lsn_is_refused(string text) => Assert.False(Lsn.TryParse(text, out _));

    [Fact]
    public void Transaction_numbers_wrap()
    {
        Assert.True(new Xid(uint.MaxValue).Precedes(new Xid(3)));
        Assert.False(new Xid(3).Precedes(new Xid(uint.MaxValue)));
        Assert.Equal(Xid.FirstNormal, new Xid(uint.MaxValue).Next());
        Assert.Equal(new Xid(uint.MaxValue), Xid.FirstNormal.Previous());
        Assert.True(Xid.Frozen.Precedes(new Xid(0x80000005)));
    }
}
