using System.Text;
using SharedStorage.Buffers;
using SharedStorage.Format.Control;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.Recovery.Tail;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Wal;
using SharedStorage.Wal.Describe;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Hostile;

/// <summary>Puts one wrong record through all that reads records: decoding, description, the tail with its effects, and redo of each page, with guards around the page.</summary>
internal sealed class HostileTarget(string dataDirectory) : IDisposable
{
    /// <summary>After so many records transactions and pool are made anew: wrong xids fill them.</summary>
    public const int RecordsEach = 2000;

    private const byte Guard = 0xA5;
    private readonly WalRecord _record = new();
    private readonly RedoTable _table = new();
    private readonly StringBuilder _text = new();
    private readonly byte[] _guarded = new byte[3 * Page.Size];
    private RelationFiles? _files;
    private BufferPool? _pool;
    private LogTail? _tail;
    private Lsn _position;
    private WalReader? _reader;

    public long Decoded { get; private set; }
    public long Tailed { get; private set; }
    public long Redone { get; private set; }
    public long Refused { get; private set; }

    public void Renew()
    {
        Dispose();
        ControlFile control = new ControlFileStore(dataDirectory).Read();
        CheckPoint point = control.CheckPoint;
        _position = point.Redo;
        var applied = new LsnCell(point.Redo);
        _files = new RelationFiles(dataDirectory, readOnly: true);
        _pool = new BufferPool(new BufferPoolOptions { Frames = 16, Files = _files, Applied = applied, Consistent = new LsnCell(point.Redo), LogIndexBytes = 4 << 20 });
        var transactions = new TransactionManager(dataDirectory, readOnly: true, new LockManager(), TimeProvider.System);
        transactions.Start(new TransactionStart
        {
            NextXid = point.NextXid,
            OldestXid = point.OldestXid,
            OldestXidDatabase = point.OldestXidDatabase,
            OldestActiveXid = point.OldestActiveXid,
            MultiXacts = new(point.NextMulti, point.NextMultiOffset, point.OldestMulti, point.OldestMultiDatabase),
            Begin = point.Redo,
        });
        var directory = new WalDirectory(Path.Combine(dataDirectory, "pg_wal"), (int)control.WalSegmentSize, control.SystemIdentifier);
        WalReader reader = WalReader.Open(directory, directory.ReadHistory(point.Timeline), control.CheckPointAt);
        _tail = new LogTail(reader, _table, _pool, transactions, new ReplayEffects(_pool) { NextOid = point.NextOid }, applied);
        _reader = reader;
    }

    /// <summary>Anything but an error that has the record's position and a reason is a failure.</summary>
    public void Try(byte[] bytes, CorpusRecord mutated, Random random)
    {
        // A log goes forward, whatever is in it: tail, index and transactions rely on that.
        CorpusRecord source = mutated with { Start = _position, End = _position + (ulong)WalLayout.AlignUp(bytes.Length) };
        _position = source.End;
        if (!HostileWalTests.TryDecode(_record, bytes, source))
        {
            return;
        }

        Decoded++;
        _text.Clear();
        Named(source, () => WalDescription.Line(_record, details: true, _text));
        if (Named(source, () => _tail!.ApplyOrReject(_record)))
        {
            Tailed++;
        }

        for (int id = 0; id < _record.BlockCount; id++)
        {
            if (_record.HasBlock(id))
            {
                RedoPage(_record.Block(id).Tag, PageFor(id, source, random), source);
            }
        }

        Span<BufferTag> implied = stackalloc BufferTag[RedoTable.MaxImpliedPages];
        int count;
        try
        {
            count = _table.ManagerOf(_record).Implied?.Invoke(_record, implied) ?? 0;
        }
        catch (Exception e) when (WalRecord.IsRejection(e))
        {
            // The tail has refused the record for the same reason.
            Refused++;
            return;
        }

        foreach (BufferTag tag in implied[..count])
        {
            RedoPage(tag, PageFor(-1, source, random), source);
        }
    }

    public void Dispose()
    {
        _reader?.Dispose();
        _pool?.Dispose();
        _files?.Dispose();
    }

    /// <summary>Mostly the page that the record was written for; sometimes another one, or one that was never filled.</summary>
    private static byte[]? PageFor(int id, CorpusRecord source, Random random) =>
        random.Next(10) == 0 ? null
        : (uint)id < (uint)source.Pages.Length ? source.Pages[id]
        : source.Pages.Length > 0 ? source.Pages[random.Next(source.Pages.Length)] : null;

    private void RedoPage(BufferTag tag, byte[]? page, CorpusRecord source)
    {
        _guarded.AsSpan().Fill(Guard);
        Span<byte> middle = _guarded.AsSpan(Page.Size, Page.Size);
        middle.Clear();
        page?.CopyTo(middle);
        if (Named(source, () => _table.Apply(_record, tag, new Page(_guarded.AsSpan(Page.Size, Page.Size)))))
        {
            Redone++;
        }
        else
        {
            Refused++;
        }

        bool intact = !_guarded.AsSpan(0, Page.Size).ContainsAnyExcept(Guard) && !_guarded.AsSpan(2 * Page.Size).ContainsAnyExcept(Guard);
        Assert.True(intact, $"redo wrote outside the page: {_record}");
    }

    private static bool Named(CorpusRecord source, Action step)
    {
        try
        {
            step();
            return true;
        }
        catch (StorageException e)
        {
            Assert.True(e.Message.Contains(source.Start.ToString(), StringComparison.Ordinal), $"an error without the record's position {source.Start}: {e.Message}");
            return false;
        }
    }
}
