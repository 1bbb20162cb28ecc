using SharedStorage.Buffers;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;

namespace SharedStorage.Recovery.Tail;

/// <summary>
/// Reads the log in order and makes each record known: its pages go into the LogIndex, its effects on transactions, files, the relation map and counters are applied, then
/// <c>applied</c> moves past it. It reads no data page and allocates nothing per record. The same tail serves a reader for ever and recovery to the end of the log.
/// </summary>
/// <remarks>
/// Order: index, effects, visible, applied. A session that sees a commit therefore finds every record before it in the index. Records that change pages only are made known
/// together, since their index entries cost less side by side; all others, commits among them, begin a new group: what they depend on is applied before they are visible.
/// </remarks>
public sealed class LogTail
{
    private WalReader _reader;
    private readonly WalRecord _record = new();
    private readonly RedoTable _table;
    private readonly BufferPool _pool;
    private readonly TransactionManager _transactions;
    private readonly TransactionReplay _replay;
    private readonly ReplayEffects _effects;
    private readonly LsnCell _applied;

    // The last record taken, and how many are not published yet.
    private Lsn _start;
    private Lsn _end;
    private int _unpublished;

    public LogTail(WalReader reader, RedoTable table, BufferPool pool, TransactionManager transactions, ReplayEffects effects, LsnCell applied)
    {
        _reader = reader;
        _table = table;
        _pool = pool;
        _transactions = transactions;
        _replay = new TransactionReplay(transactions);
        _effects = effects;
        _applied = applied;
    }

    /// <summary>Where the next record begins.</summary>
    public Lsn Position => _reader.Position;

    /// <summary>The start of the last record applied; invalid before the first.</summary>
    public Lsn LastRecord { get; private set; }

    public long Records { get; private set; }

    /// <summary>Called after each record is applied, by the thread that tails: a pin made there sees it and nothing later. For walcheck; null on a node.</summary>
    public Action<WalRecord>? RecordApplied { get; init; }

    /// <summary>
    /// Called before each record is made known, by the thread that tails: what must be met first may wait there, as a hot standby's conflicts do. Null where nothing is.
    /// </summary>
    public Action<WalRecord>? BeforeRecord { get; set; }

    /// <summary>Why the log ended, after <see cref="Run"/> gave <see cref="WalRead.End"/>.</summary>
    public WalEnd? End => _reader.End;

    /// <summary>
    /// Applies records up to <paramref name="limit"/>, or to the end of what can be verified when that is <see cref="Lsn.Max"/>. Gives why it stopped; a cancelled
    /// run stops between two records as if at the limit, and so does one that has gone on for <paramref name="atMost"/> bytes (one record at least).
    /// </summary>
    /// <exception cref="StorageException">I10: a record is unknown or malformed; the node must stop.</exception>
    public WalRead Run(Lsn limit, CancellationToken cancel, ulong atMost = ulong.MaxValue)
    {
        _reader.Limit = limit;
        Lsn start = _reader.Position;
        try
        {
            while (!cancel.IsCancellationRequested && _reader.Position - start < atMost)
            {
                WalRead read = _reader.Read(_record);
                if (read != WalRead.Record)
                {
                    return read;
                }

                Take(_record);
            }
        }
        finally
        {
            // Also when a record is refused: those before it are known.
            Publish();
        }

        return WalRead.AtLimit;
    }

    /// <summary>Goes on with another reader, which stands where this tail stands: the log's timeline has changed.</summary>
    public void Follow(WalReader reader)
    {
        Invariant.Check(reader.Position == _reader.Position, "R10", "a tail was to go on elsewhere than where it stopped");
        _reader.Dispose();
        _reader = reader;
    }

    /// <summary>What the record does beside pages.</summary>
    private void ApplyEffects(WalRecord record)
    {
        if (!_replay.Apply(record))
        {
            if (record.Rmgr == Rmgr.Xlog)
            {
                TimelineCheck.Check(record, _reader.TimelineAt(record.Start), _reader.Overwritten);
            }

            _effects.Apply(record, _replay);
        }
        else if (record.Rmgr == Rmgr.Transaction)
        {
            _effects.NoteDrops(record);
        }
    }

    /// <summary>Forgets buffered pages of the log before the next run: files may have grown.</summary>
    public void Refresh() => _reader.Refresh();

    /// <exception cref="StorageException">I10: with the record's position and the reason. <c>applied</c> has not moved.</exception>
    internal void ApplyOrReject(WalRecord record)
    {
        Take(record);
        Publish();
    }

    private void Take(WalRecord record)
    {
        try
        {
            Apply(record);
        }
        catch (Exception e) when (WalRecord.IsRejection(e))
        {
            throw record.Rejected(e);
        }
    }

    private void Apply(WalRecord record)
    {
        BeforeRecord?.Invoke(record);
        ref readonly ResourceManager manager = ref _table.ManagerOf(record);
        IndexPages(record, manager.Implied);
        if (manager.OnlyPages)
        {
            _replay.NoteXid(record.Xid);
        }
        else if (manager.Effects is { } instead)
        {
            Publish();
            instead(record);
        }
        else
        {
            if (!MayPrecede(record))
            {
                Publish();
            }

            ApplyEffects(record);
        }

        _start = record.Start;
        _end = record.End;
        _unpublished++;
        if (BeforeRecord is not null || RecordApplied is not null)
        {
            Publish();
            RecordApplied?.Invoke(record);
        }
    }

    /// <summary>
    /// Whether its effects may be there before the pages of records in front of it are in the index: an image has none. A commit must not: all before it is applied before it is visible, since a
    /// snapshot that sees it takes pages as of <c>applied</c>.
    /// </summary>
    private static bool MayPrecede(WalRecord record) => record.Rmgr switch
    {
        Rmgr.Xlog => record.OpCode is XlogOp.Image or XlogOp.ImageForHint,
        _ => false,
    };

    private void IndexPages(WalRecord record, ImpliedPagesRoutine? implies)
    {
        for (int id = 0; id < record.BlockCount; id++)
        {
            ref readonly WalBlock block = ref record.Block(id);
            if (block.InUse && _pool.QueueRecord(block.Tag, record.Start, block.ApplyImage || block.WillInit))
            {
                Publish();
            }
        }

        if (implies is not null)
        {
            Span<BufferTag> implied = stackalloc BufferTag[RedoTable.MaxImpliedPages];
            int count = implies(record, implied);
            for (int i = 0; i < count; i++)
            {
                if (_pool.QueueRecord(implied[i], record.Start, initializes: false))
                {
                    Publish();
                }
            }
        }
    }

    /// <summary>Makes what was taken known: index, then visible, then applied.</summary>
    private void Publish()
    {
        _pool.NoteQueued();
        if (_unpublished == 0)
        {
            return;
        }

        _transactions.AdvanceVisible(_end);
        _applied.Advance(_end);
        LastRecord = _start;
        Records += _unpublished;
        _unpublished = 0;
    }
}
