using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Commands;
using SharedStorage.Sql.Session;
using Xunit;

namespace SharedStorage.Unit.Sql;

public sealed class CopyReaderTests
{
    private static string Read(string data, int chunk, string? format = null)
    {
        PgQuery.Node[] options = format is null ? [] : [new PgQuery.Node { DefElem = new PgQuery.DefElem { Defname = "format", Arg = new PgQuery.Node { String = new PgQuery.String { Sval = format } } } }];
        var reader = new CopyReader(new Chunks(Encoding.UTF8.GetBytes(data), chunk), CopyOptions.Read(options, true));
        var lines = new List<string>();
        while (reader.Next())
        {
            lines.Add(string.Join('|', Enumerable.Range(0, reader.Count).Select(i => reader.IsNull(i) ? "<null>" : Encoding.UTF8.GetString(reader[i]))));
        }

        return string.Join('\n', lines);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(1000)]
    public void Text_is_split_however_the_chunks_fall(int chunk)
    {
        Assert.Equal("1|a\tb|<null>\n2||x\\y\n3|é\n|z", Read("1\ta\\tb\t\\N\n2\t\tx\\\\y\r\n3\té\\\n\tz\n\\.\nignored\n", chunk).Replace("3|é\n|z", "3|é\n|z", StringComparison.Ordinal));
        Assert.Equal("A|AB\u0001", Read("\\x41\t\\101\\x42\\1", chunk));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(1000)]
    public void Csv_is_split_however_the_chunks_fall(int chunk) =>
        Assert.Equal("1|a,\"b\n c|<null>\n2||x", Read("1,\"a,\"\"b\n c\",\n2,\"\",x\n", chunk, "csv"));

    [Fact]
    public void An_open_quote_at_the_end_is_an_error()
    {
        PgException e = Assert.Throws<PgException>(() => Read("1,\"a\n", 10, "csv"));
        Assert.Equal(SqlStates.BadCopyFileFormat, e.SqlState);
    }

    private sealed class Chunks(byte[] data, int size) : IResultSink
    {
        private int _at;

        public bool CopyInRead(out ReadOnlyMemory<byte> chunk)
        {
            int n = Math.Min(size, data.Length - _at);
            chunk = data.AsMemory(_at, n);
            _at += n;
            return n > 0;
        }

        public void BeginRows(RowDescription description, ReadOnlySpan<short> formats) => throw new NotSupportedException();
        public void Row(ReadOnlySpan<Datum> values) => throw new NotSupportedException();
        public void Complete(string tag) => throw new NotSupportedException();
        public void EmptyQuery() => throw new NotSupportedException();
        public void CopyOutBegin(int columns, bool binary) => throw new NotSupportedException();
        public void CopyOutData(ReadOnlySpan<byte> data) => throw new NotSupportedException();
        public void CopyOutEnd() => throw new NotSupportedException();
        public void CopyInBegin(int columns, bool binary) => throw new NotSupportedException();
    }
}
