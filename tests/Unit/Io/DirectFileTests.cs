using System.Text;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Io;

public sealed class DirectFileTests : IDisposable
{
    private readonly TempDirectory _dir = new();

    public void Dispose() => _dir.Dispose();

    [Fact]
    public void A_file_is_really_open_with_O_DIRECT()
    {
        string path = _dir.File("direct");
        using DirectFile file = DirectFile.Open(path, BlockFileMode.Create);
        string fd = Directory.GetFiles("/proc/self/fd").Single(f => new FileInfo(f).LinkTarget == path);
        string flags = File.ReadAllLines($"/proc/self/fdinfo/{Path.GetFileName(fd)}").Single(l => l.StartsWith("flags:", StringComparison.Ordinal));
        int value = Convert.ToInt32(flags["flags:".Length..].Trim(), 8);
        Assert.NotEqual(0, value & Convert.ToInt32("040000", 8));
    }

    [Fact]
    public void What_is_written_is_read_and_the_end_is_a_short_read()
    {
        using DirectFile file = DirectFile.Open(_dir.File("data"), BlockFileMode.CreateNew);
        using var page = new AlignedBuffer(8192);
        page.Span.Fill(7);
        file.Write(8192, page.Span);
        file.DataSync();
        using var back = new AlignedBuffer(16384);
        Assert.Equal(16384, file.Read(0, back.Span));
        Assert.Equal(0, back.Span[8191]);
        Assert.Equal(7, back.Span[8192]);
        Assert.Equal(0, file.Read(16384, back.Span));
        Assert.Equal(8192, file.Read(8192, back.Span));
    }

    [Fact]
    public void Reserved_space_reads_as_zero_and_a_truncated_file_is_short()
    {
        using DirectFile file = DirectFile.Open(_dir.File("data"), BlockFileMode.Create);
        file.Allocate(0, 65536);
        Assert.Equal(65536, file.Length);
        using var back = new AlignedBuffer(65536);
        back.Span.Fill(1);
        Assert.Equal(65536, file.Read(0, back.Span));
        Assert.Equal(-1, back.Span.IndexOfAnyExcept((byte)0));
        file.Truncate(8192);
        Assert.Equal(8192, file.Length);
    }

    [Fact]
    public void A_missing_file_is_null_and_other_errors_carry_errno_and_path()
    {
        Assert.Null(DirectFile.TryOpen(_dir.File("none"), BlockFileMode.Read));
        StorageException e = Assert.Throws<StorageException>(() => DirectFile.TryOpen(_dir.File("no/such/folder"), BlockFileMode.Create));
        Assert.Equal(2, e.Errno);
        Assert.Contains("no/such/folder", e.Message, StringComparison.Ordinal);
        Assert.Equal(SqlStates.IoError, e.SqlState);
    }

    [Fact]
    public void A_write_to_a_file_that_is_open_for_reading_fails_with_errno_and_offset()
    {
        string path = _dir.File("data");
        DirectFile.Open(path, BlockFileMode.Create).Dispose();
        using DirectFile file = DirectFile.Open(path, BlockFileMode.Read);
        using var page = new AlignedBuffer(4096);
        StorageException e = Assert.Throws<StorageException>(() => file.Write(4096, page.Span));
        Assert.Contains("offset 4096", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_durable_file_is_replaced_as_a_whole_and_an_exclusive_one_is_made_once()
    {
        string path = _dir.File("state");
        Assert.Null(DurableFile.TryRead(path));
        DurableFile.Write(path, "one"u8);
        DurableFile.Write(path, "two"u8);
        Assert.Equal("two", Encoding.ASCII.GetString(DurableFile.TryRead(path)!));
        Assert.False(DurableFile.TryCreateNew(path, "three"u8));
        Assert.True(DurableFile.TryCreateNew(path + ".epoch", "1"u8));
        Assert.True(DurableFile.Remove(path));
        Assert.False(DurableFile.Remove(path));
    }

    [Fact]
    public void A_lock_is_held_once_until_it_is_given_back()
    {
        string path = _dir.File("lock");
        FileLock? first = FileLock.TryAcquire(path);
        Assert.NotNull(first);
        Assert.Null(FileLock.TryAcquire(path));
        first.Dispose();
        using FileLock? second = FileLock.TryAcquire(path);
        Assert.NotNull(second);
    }
}
