using System.Buffers.Binary;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Wal;

/// <summary>A folder with a log of 1 MiB segments, for tests: messages are told apart by their xid, which is also their every byte.</summary>
internal sealed class WalLog : IDisposable
{
    public const int SegmentSize = 1 << 20;
    public static readonly Lsn Begin = new(0x1000000);

    public string Folder { get; } = Directory.CreateTempSubdirectory("sharedstorage-wal-").FullName;
    public BlockFileOpener Opener { get; set; } = DirectFile.TryOpen;
    public WalDirectory Segments => new(Folder, SegmentSize, 42) { Opener = Opener };

    public WalInserterOptions Options(int buffer = 256 << 10) => new() { Directory = Segments, Timeline = new TimelineId(1), BufferSize = buffer };

    public WalInserter Start(WalInserterOptions? options = null) => WalInserter.Start(
        options ?? Options(), new WalStart { InsertAt = Begin, PreviousRecord = Lsn.Invalid, RedoPointer = Begin });

    public WalReader Open(TimelineId? timeline = null, Lsn? from = null) =>
        WalReader.Open(Segments, Segments.ReadHistory(timeline ?? new TimelineId(1)), from ?? Begin);

    public static Lsn Insert(WalInserter wal, uint xid, int length)
    {
        WalRecordBuilder record = wal.Begin(new Xid(xid));
        Span<byte> header = stackalloc byte[24];
        header.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], 2);
        BinaryPrimitives.WriteUInt64LittleEndian(header[16..], (ulong)length);
        byte[] text = new byte[length];
        text.AsSpan().Fill((byte)xid);
        return wal.Insert(record.AddData(header).AddData("p\0"u8).AddData(text), Rmgr.LogicalMessage, 0);
    }

    public List<(Lsn Start, Lsn End, uint Xid)> ReadAll(TimelineId? timeline = null, Lsn? from = null) => ReadAll(out _, timeline, from);

    public List<(Lsn Start, Lsn End, uint Xid)> ReadAll(out WalEnd end, TimelineId? timeline = null, Lsn? from = null)
    {
        using WalReader reader = Open(timeline, from);
        var record = new WalRecord();
        var found = new List<(Lsn, Lsn, uint)>();
        while (reader.Read(record) == WalRead.Record)
        {
            if (record.Rmgr == Rmgr.LogicalMessage)
            {
                Assert.True(record.MainData[26..].IndexOfAnyExcept((byte)record.Xid.Value) < 0);
            }

            found.Add((record.Start, record.End, record.Xid.Value));
        }

        end = reader.End!;
        return found;
    }

    /// <summary>Changes bytes on disk.</summary>
    public void Damage(Lsn at, params byte[] bytes)
    {
        using FileStream file = File.OpenWrite(Segments.SegmentPath(new TimelineId(1), WalLayout.SegmentOf(at, SegmentSize)));
        file.Position = WalLayout.SegmentOffset(at, SegmentSize);
        file.Write(bytes);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
