using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Io;

public sealed class RelationFilesTests : IDisposable
{
    private static readonly RelFileNode Rel = new(RelFileNode.DefaultTablespace, new Oid(5), new Oid(16384));

    private readonly TempDirectory _dir = new();
    private readonly AlignedBuffer _page = new(8192);

    public RelationFilesTests() => Directory.CreateDirectory(_dir.File("base/5"));

    public void Dispose()
    {
        _page.Dispose();
        _dir.Dispose();
    }

    [Fact]
    public void Paths_are_those_of_PostgreSQL()
    {
        Assert.Equal("base/5/16384", RelationFiles.RelativePath(Rel, ForkNumber.Main));
        Assert.Equal("base/5/16384_vm", RelationFiles.RelativePath(Rel, ForkNumber.VisibilityMap));
        Assert.Equal("global/1262_fsm", RelationFiles.RelativePath(new(RelFileNode.GlobalTablespace, Oid.Invalid, new Oid(1262)), ForkNumber.FreeSpaceMap));
        Assert.Equal("pg_tblspc/900/PG_15_202209061/5/7_init", RelationFiles.RelativePath(new(new Oid(900), new Oid(5), new Oid(7)), ForkNumber.Init));
    }

    [Fact]
    public void Pages_are_written_read_counted_and_cut()
    {
        using var files = new RelationFiles(_dir.Path, readOnly: false);
        Assert.Equal(0u, files.BlockCount(Rel, ForkNumber.Main));
        Assert.False(files.Exists(Rel, ForkNumber.Main));
        files.Create(Rel, ForkNumber.Main, mayExist: false);
        Assert.True(files.Exists(Rel, ForkNumber.Main));
        Assert.Throws<StorageException>(() => files.Create(Rel, ForkNumber.Main, mayExist: false));
        for (uint b = 0; b < 3; b++)
        {
            _page.Span.Fill((byte)(b + 1));
            files.Write(Tag(b), _page.Span);
        }

        Assert.Equal(3u, files.BlockCount(Rel, ForkNumber.Main));
        Assert.True(files.TryRead(Tag(1), _page.Span));
        Assert.Equal(2, _page.Span[100]);
        Assert.False(files.TryRead(Tag(3), _page.Span));
        files.SyncAllWritten();
        files.Truncate(Rel, ForkNumber.Main, 1);
        Assert.Equal(1u, files.BlockCount(Rel, ForkNumber.Main));
        files.Unlink(Rel, ForkNumber.Main);
        Assert.False(files.Exists(Rel, ForkNumber.Main));
        files.SyncAllWritten();
    }

    [Fact]
    public void A_page_of_a_later_segment_fills_up_the_earlier_ones()
    {
        using var files = new RelationFiles(_dir.Path, readOnly: false);
        uint far = RelationFiles.BlocksPerSegment + 5;
        _page.Span.Fill(9);
        files.Write(Tag(far), _page.Span);
        Assert.True(File.Exists(_dir.File("base/5/16384.1")));
        Assert.Equal(far + 1, files.BlockCount(Rel, ForkNumber.Main));
        Assert.True(files.TryRead(Tag(far), _page.Span));
        Assert.Equal(9, _page.Span[0]);
        Assert.True(files.TryRead(Tag(17), _page.Span));
        Assert.Equal(0, _page.Span[0]);
        files.Truncate(Rel, ForkNumber.Main, 2);
        Assert.Equal(2u, files.BlockCount(Rel, ForkNumber.Main));
        Assert.Equal(0, new FileInfo(_dir.File("base/5/16384.1")).Length);
        files.Unlink(Rel, ForkNumber.Main);
        Assert.False(File.Exists(_dir.File("base/5/16384.1")));
    }

    [Fact]
    public void Extended_blocks_read_as_zero()
    {
        using var files = new RelationFiles(_dir.Path, readOnly: false);
        files.Extend(Rel, ForkNumber.Main, 0, 10);
        Assert.Equal(10u, files.BlockCount(Rel, ForkNumber.Main));
        _page.Span.Fill(1);
        Assert.True(files.TryRead(Tag(9), _page.Span));
        Assert.Equal(-1, _page.Span.IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void A_reader_cannot_write()
    {
        using var files = new RelationFiles(_dir.Path, readOnly: true);
        Assert.Throws<InvariantException>(() => files.Write(Tag(0), _page.Span));
        Assert.Throws<InvariantException>(() => files.Create(Rel, ForkNumber.Main, mayExist: true));
        Assert.False(files.TryRead(Tag(0), _page.Span));
    }

    [Fact]
    public void The_number_of_open_files_is_bounded_and_pages_of_closed_ones_are_synced()
    {
        int open = 0, syncs = 0, most = 0;
        using var files = new RelationFiles(_dir.Path, readOnly: false, maxOpenFiles: 4, opener: (path, mode) =>
            DirectFile.TryOpen(path, mode) is { } f ? new CountingFile(f, n => most = Math.Max(most, open += n), () => syncs++) : null);
        for (uint i = 0; i < 20; i++)
        {
            files.Write(new BufferTag(Rel with { Relation = new Oid(20000 + i) }, ForkNumber.Main, new BlockNumber(0)), _page.Span);
        }

        files.SyncAllWritten();
        Assert.Equal(20, syncs);
        Assert.InRange(most, 1, 5);
    }

    [Fact]
    public void A_failed_sync_stops_the_node_once_and_is_never_tried_again()
    {
        int stops = 0, syncs = 0;
        using var files = new RelationFiles(_dir.Path, readOnly: false, failStop: _ => stops++, opener: (path, mode) =>
            DirectFile.TryOpen(path, mode) is { } f ? new CountingFile(f, _ => { }, () =>
            {
                syncs++;
                throw new StorageException("no");
            }) : null);
        files.Write(Tag(0), _page.Span);
        Assert.Throws<StorageException>(files.SyncAllWritten);
        Assert.Throws<StorageException>(files.SyncAllWritten);
        Assert.Throws<StorageException>(() => files.Write(Tag(0), _page.Span));
        Assert.Equal(1, stops);
        Assert.Equal(1, syncs);
    }

    private static BufferTag Tag(uint block) => new(Rel, ForkNumber.Main, new BlockNumber(block));

    private sealed class CountingFile : IBlockFile
    {
        private readonly IBlockFile _inner;
        private readonly Action<int> _count;
        private readonly Action _sync;

        public CountingFile(IBlockFile inner, Action<int> count, Action sync)
        {
            (_inner, _count, _sync) = (inner, count, sync);
            count(1);
        }

        public string Path => _inner.Path;
        public long Length => _inner.Length;
        public int Read(long offset, Span<byte> buffer) => _inner.Read(offset, buffer);
        public void Write(long offset, ReadOnlySpan<byte> buffer) => _inner.Write(offset, buffer);

        public void DataSync()
        {
            _sync();
            _inner.DataSync();
        }

        public void Allocate(long offset, long length) => _inner.Allocate(offset, length);
        public void Truncate(long length) => _inner.Truncate(length);

        public void Dispose()
        {
            _count(-1);
            _inner.Dispose();
        }
    }
}
