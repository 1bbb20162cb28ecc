using System.Globalization;
using System.Text.RegularExpressions;
using SharedStorage.Format.Control;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Unit.Format;

public sealed class ControlFileTests : IClassFixture<ControlFileTests.Directory>
{
    private readonly Directory _directory;

    public ControlFileTests(Directory directory) => _directory = directory;

    public sealed class Directory : IDisposable
    {
        public StockPostgres Postgres { get; } = StockPostgres.Create();

        public void Dispose() => Postgres.Dispose();
    }

    private string Path => System.IO.Path.Combine(_directory.Postgres.DataDirectory, ControlFile.FileName);

    [Fact]
    public void The_fields_are_those_that_pg_controldata_prints()
    {
        ControlFile file = new ControlFileStore(_directory.Postgres.DataDirectory).Read();
        file.CheckCompatible();
        string text = StockPostgres.Tool("pg_controldata", "-D", _directory.Postgres.DataDirectory);
        string Field(string name) => Regex.Match(text, $"^{Regex.Escape(name)}: +(.*)$", RegexOptions.Multiline).Groups[1].Value.Trim();
        CheckPoint point = file.CheckPoint;
        Assert.Equal(Field("Database system identifier"), file.SystemIdentifier.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(Field("Latest checkpoint location"), file.CheckPointAt.ToString());
        Assert.Equal(Field("Latest checkpoint's REDO location"), point.Redo.ToString());
        Assert.Equal(Field("Latest checkpoint's NextXID"), point.NextXid.ToString());
        Assert.Equal(Field("Latest checkpoint's NextOID"), point.NextOid.ToString());
        Assert.Equal(Field("Latest checkpoint's NextMultiXactId"), point.NextMulti.ToString());
        Assert.Equal(Field("Latest checkpoint's oldestXID"), point.OldestXid.ToString());
        Assert.Equal(Field("Latest checkpoint's oldestXID's DB"), point.OldestXidDatabase.ToString());
        Assert.Equal(Field("Latest checkpoint's oldestMultiXid"), point.OldestMulti.ToString());
        Assert.Equal(Field("Latest checkpoint's oldestActiveXID"), point.OldestActiveXid.ToString());
        Assert.Equal(Field("Bytes per WAL segment"), file.WalSegmentSize.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(Field("max_connections setting"), file.MaxConnections.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(Field("Mock authentication nonce"), Convert.ToHexStringLower(file.MockNonce));
        Assert.Equal("shut down", Field("Database cluster state"));
        Assert.Equal(ClusterState.ShutDown, file.State);
    }

    [Fact]
    public void What_is_written_is_byte_for_byte_what_PostgreSQL_wrote()
    {
        byte[] original = File.ReadAllBytes(Path);
        ControlFile file = ControlFile.Read(original);
        byte[] written = new byte[ControlFile.FileSize];
        file.Write(written);
        Assert.Equal(original, written);
    }

    [Fact]
    public void Each_damaged_byte_is_found()
    {
        byte[] bytes = File.ReadAllBytes(Path);
        for (int i = 0; i < 292; i++)
        {
            byte[] damaged = [.. bytes];
            damaged[i] ^= 0x40;
            Assert.True(Record.Exception(() => ControlFile.Read(damaged)) is StorageException or PgException, $"byte {i}");
        }

        Assert.Throws<StorageException>(() => ControlFile.Read(bytes.AsSpan(0, 100)));
    }

    [Fact]
    public void A_directory_without_checksums_is_refused_with_the_command_that_enables_them()
    {
        ControlFile file = ControlFile.Read(File.ReadAllBytes(Path));
        file.DataChecksumVersion = 0;
        PgException e = Assert.Throws<PgException>(file.CheckCompatible);
        Assert.Contains("pg_checksums --enable", e.Hint, StringComparison.Ordinal);
    }
}
