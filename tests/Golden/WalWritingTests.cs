using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Golden;

/// <summary>Our log under PostgreSQL's eyes.</summary>
public sealed unsafe class WalWritingTests : IDisposable
{
    private const int Threads = 6;
    private const int PerThread = 500;
    private static readonly Lsn Begin = new(0x1000000);

    private readonly string _folder = StockPostgres.NewRoot();
    private readonly byte* _page = (byte*)NativeMemory.AllocZeroed(Page.Size);

    public void Dispose()
    {
        NativeMemory.Free(_page);
        Directory.Delete(_folder, recursive: true);
    }

    [SkippableTheory]
    [InlineData(WalCompression.None, 64 << 10)]
    [InlineData(WalCompression.Pglz, 1 << 20)]
    [InlineData(WalCompression.Lz4, 16 << 20)]
    public void pg_waldump_reads_what_many_threads_inserted_to_the_end(WalCompression compression, int buffers)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        var directory = new WalDirectory(_folder, 1 << 20, 7);
        var options = new WalInserterOptions { Directory = directory, Timeline = new TimelineId(3), BufferSize = buffers, Compression = compression };
        var start = new WalStart { InsertAt = Begin, PreviousRecord = Lsn.Invalid, RedoPointer = Begin };
        var page = new Page(new Span<byte>(_page, Page.Size));
        page.Initialize(0);
        page.Header.Lower = 200;
        page.Header.Upper = 5000;
        new Random(1).NextBytes(page.Bytes[6000..]);
        Lsn end;
        using (WalInserter wal = WalInserter.Start(options, start))
        {
            wal.StartWriter(TimeSpan.FromMilliseconds(2));
            Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() => InsertMany(wal, t)))];
            Array.ForEach(threads, t => t.Start());
            Array.ForEach(threads, t => t.Join());
            end = wal.Reserved;
            wal.Flush(end);
        }

        string[] arguments = ["-p", _folder, "-t", "3", "-s", Begin.ToString(), "-e", end.ToString()];
        (int code, string output, string error) = StockPostgres.TryToolAsCaller("pg_waldump", arguments);
        Assert.Equal((0, ""), (code, error));
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal((Threads * PerThread) + Threads, lines.Length);
        Assert.Equal(output, ToolRunner.Run(["waldump", .. arguments]).Output);
    }

    private void InsertMany(WalInserter wal, int thread)
    {
        var random = new Random(thread);
        var tag = new BufferTag(new RelFileNode(new Oid(1663), new Oid(5), new Oid(16384)), ForkNumber.Main, new BlockNumber((uint)thread));
        byte[] text = new byte[70_000];
        Span<byte> header = stackalloc byte[24];
        for (int i = 0; i < PerThread; i++)
        {
            WalRecordBuilder record = wal.Begin(new Xid((uint)(3 + thread)));
            Lsn end;
            switch (random.Next(4))
            {
                case 0:
                    int length = i % 50 == 0 ? random.Next(text.Length) : random.Next(200);
                    header.Clear();
                    BinaryPrimitives.WriteUInt64LittleEndian(header[8..], 2);
                    BinaryPrimitives.WriteUInt64LittleEndian(header[16..], (ulong)length);
                    end = wal.Insert(record.AddData(header).AddData("p\0"u8).AddData(text.AsSpan(0, length)), Rmgr.LogicalMessage, 0);
                    break;
                case 1:
                    end = wal.Insert(record.AddBlock(0, tag, _page, WalBlockFlags.Standard | WalBlockFlags.ForceImage), Rmgr.Xlog, 0xB0);
                    break;
                default:
                    record.AddBlock(0, tag, _page, WalBlockFlags.Standard).AddBlockData(0, text.AsSpan(0, random.Next(1, 300))).AddData([1, 0, 0]);
                    end = wal.Insert(record, Rmgr.Heap, 0);
                    break;
            }

            if (random.Next(10) == 0)
            {
                wal.Flush(end);
            }
        }

        wal.Insert(wal.Begin(Xid.Invalid).AddData([0]), Rmgr.Xlog, 0x20);
    }
}
