using SharedStorage.Access.Btree;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.VisibilityMap;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;

namespace SharedStorage.Access.Heap;

/// <summary>How to vacuum a table; the defaults are PostgreSQL's settings.</summary>
public sealed record HeapVacuumOptions
{
    /// <summary>VACUUM (FREEZE): both ages count as 0.</summary>
    public bool Freeze { get; init; }
    public uint FreezeMinAge { get; init; } = 50_000_000;
    public uint FreezeTableAge { get; init; } = 150_000_000;
    public uint MultiFreezeMinAge { get; init; } = 5_000_000;
    public uint MultiFreezeTableAge { get; init; } = 150_000_000;
    public bool DisablePageSkipping { get; init; }
    public bool Truncate { get; init; } = true;

    /// <summary>Null decides by the number of dead items (auto).</summary>
    public bool? IndexCleanup { get; init; }

    /// <summary>How fast it may go; null is as fast as it can.</summary>
    public VacuumPace? Pace { get; init; }

    /// <summary>Dead items remembered before the indexes are cleaned: 64 MB (maintenance_work_mem) at eight bytes each.</summary>
    public int MaxDeadItems { get; init; } = 8 << 20;
}

/// <summary>What the table's row of pg_class says before.</summary>
public readonly record struct HeapVacuumStart(Xid RelFrozenXid, MultiXactId RelMinMxid, uint RelPages, double RelTuples);

/// <summary>What the table's row of pg_class is to say, and what was done.</summary>
public sealed record HeapVacuumResult
{
    public required uint Pages { get; init; }
    public required double Tuples { get; init; }
    public required uint AllVisible { get; init; }

    /// <summary>Invalid: pages were skipped, so the old values stay.</summary>
    public required Xid RelFrozenXid { get; init; }
    public required MultiXactId RelMinMxid { get; init; }

    public long TuplesRemoved { get; init; }
    public long RecentlyDead { get; init; }
    public uint PagesScanned { get; init; }
    public uint PagesRemoved { get; init; }
    public int IndexScans { get; init; }
    public IReadOnlyList<BtreeVacuumStats> Indexes { get; init; } = [];
}

/// <summary>
/// VACUUM of one heap (PostgreSQL's vacuumlazy.c): prune and freeze page by page, clean the indexes of what is dead, make dead items unused, keep both maps, cut
/// the empty tail. The caller holds the table's SHARE UPDATE EXCLUSIVE lock in a transaction of its own.
/// </summary>
public sealed class HeapVacuum
{
    /// <summary>All-visible pages are skipped in runs of at least so many: fewer do not save a seek (SKIP_PAGES_THRESHOLD).</summary>
    private const uint SkipRun = 32;

    /// <summary>Dead items on fewer pages than this share are left for next time (BYPASS_THRESHOLD_PAGES).</summary>
    private const double BypassShare = 0.02;
    private const int BypassItems = (32 << 20) / Tid.Size;
    private const uint FreeSpaceEveryPages = 8u << 20 >> 13 << 10;
    private const uint TruncateMinimum = 1000;
    private const uint TruncateFraction = 16;

    private readonly StorageEngine _engine;
    private readonly Relation _relation;
    private readonly BtreeIndex[] _indexes;
    private readonly HeapVacuumOptions _options;
    private readonly HeapVacuumStart _start;
    private readonly HeapVacuumPages _pages;
    private readonly VisibilityMap _visibility;
    private readonly FreeSpaceMap _freeSpace;
    private readonly bool _aggressive;
    private readonly BtreeVacuumStats[] _stats;
    private bool _skippedAllVisible;
    private bool _cleanIndexes;
    private bool _mayBypass;
    private int _indexScans;

    public HeapVacuum(StorageEngine engine, Relation relation, IReadOnlyList<IndexInfo> indexes, HeapVacuumStart start, HeapVacuumOptions options)
    {
        _engine = engine;
        _relation = relation;
        _indexes = [.. indexes.Select(i => new BtreeIndex(engine, i))];
        _stats = new BtreeVacuumStats[_indexes.Length];
        _options = options;
        _start = start;
        _visibility = new VisibilityMap(engine, relation.Node);
        _freeSpace = new FreeSpaceMap(engine, relation.Node);
        TransactionManager transactions = engine.Transactions;

        // The xid horizon first: H, taken after it, covers everything that ended before it (R5).
        Xid xidHorizon = transactions.XidHorizon;
        Lsn horizon = transactions.Horizon;
        MultiXactId oldestMulti = transactions.MultiXacts.OldestRunning;
        Xid freezeLimit = Back(xidHorizon, options.Freeze ? 0 : options.FreezeMinAge);
        MultiXactId multiCutoff = Back(oldestMulti, options.Freeze ? 0 : options.MultiFreezeMinAge);
        Xid tableLimit = Back(transactions.NextXid, options.Freeze ? 0 : options.FreezeTableAge);
        MultiXactId multiTableLimit = Back(transactions.MultiXacts.Next, options.Freeze ? 0 : options.MultiFreezeTableAge);
        _aggressive = options.DisablePageSkipping || start.RelFrozenXid.PrecedesOrEquals(tableLimit) || start.RelMinMxid.PrecedesOrEquals(multiTableLimit);
        _cleanIndexes = options.IndexCleanup ?? true;
        _mayBypass = options.IndexCleanup is null;
        var limits = new FreezeLimits(start.RelFrozenXid, start.RelMinMxid, freezeLimit, multiCutoff);
        var freezing = new HeapFreezing(transactions, limits, new RowLocks(engine, relation).Of) { OldestXid = xidHorizon, OldestMulti = oldestMulti };
        _pages = new HeapVacuumPages(engine, relation, _visibility, freezing, horizon, freezeLimit, _aggressive);
    }

    public HeapVacuumResult Run(Transaction tx)
    {
        uint blocks = _engine.Buffers.BlockCount(_relation.Node, ForkNumber.Main);
        ScanHeap(tx, blocks);
        if (_pages.Dead.Count > 0)
        {
            CleanDead(tx, blocks);
        }

        _freeSpace.Vacuum();
        if (_cleanIndexes)
        {
            for (int i = 0; i < _indexes.Length; i++)
            {
                _stats[i] = _indexes[i].VacuumCleanup(tx);
            }
        }

        uint left = _options.Truncate ? TruncateTail(tx, blocks) : blocks;
        bool whole = !_skippedAllVisible;
        return new HeapVacuumResult
        {
            Pages = left,
            Tuples = EstimateTuples(blocks),
            AllVisible = Math.Min(_visibility.Count().Visible, left),
            RelFrozenXid = whole ? _pages.Freezing.OldestXid : Xid.Invalid,
            RelMinMxid = whole ? _pages.Freezing.OldestMulti : MultiXactId.Invalid,
            TuplesRemoved = _pages.Removed,
            RecentlyDead = _pages.RecentlyDead,
            PagesScanned = _pages.Scanned,
            PagesRemoved = blocks - left,
            IndexScans = _indexScans,
            Indexes = _stats,
        };
    }

    private void ScanHeap(Transaction tx, uint blocks)
    {
        PinnedPage vm = default;
        try
        {
            uint skipUntil = 0;
            uint lastFreeSpace = 0;
            for (uint block = 0; block < blocks; block++)
            {
                if (block >= skipUntil && TrySkip(block, blocks, ref vm, ref skipUntil))
                {
                    block = skipUntil - 1;
                    continue;
                }

                if (_pages.Dead.Count > _options.MaxDeadItems - HeapPage.MaxItems)
                {
                    _mayBypass = false;
                    CleanDead(tx, blocks);
                }

                // No page is held here: the place to be cancelled, or to rest.
                long removed = _pages.Removed;
                tx.Session.CheckInterrupts?.Invoke();
                _engine.Buffers.AwaitRoomForChange();
                _pages.Scan(new BlockNumber(block), ref vm, _freeSpace, onePass: _indexes.Length == 0);
                _options.Pace?.Visited(_pages.Removed != removed);
                if (block - lastFreeSpace >= FreeSpaceEveryPages)
                {
                    _freeSpace.Vacuum(lastFreeSpace, block);
                    lastFreeSpace = block;
                }
            }
        }
        finally
        {
            if (vm.IsValid)
            {
                vm.Dispose();
            }
        }
    }

    /// <summary>
    /// Looks for a run of pages that need no visit from this one on. Gives its end in <paramref name="next"/>; when the run is too short, the page up to
    /// which one need not look again.
    /// </summary>
    private bool TrySkip(uint block, uint blocks, ref PinnedPage vm, ref uint next)
    {
        next = block;
        bool passedAllVisible = false;
        while (next < blocks - 1 && !_options.DisablePageSkipping)
        {
            VisibilityBits bits = _visibility.Get(new BlockNumber(next), ref vm);
            if ((bits & VisibilityBits.AllVisible) == 0 || (_aggressive && (bits & VisibilityBits.AllFrozen) == 0))
            {
                break;
            }

            // Not frozen means that old xids may be left there.
            passedAllVisible |= (bits & VisibilityBits.AllFrozen) == 0;
            next++;
        }

        if (next - block < SkipRun)
        {
            next = Math.Max(next, block + 1);
            return false;
        }

        _skippedAllVisible |= passedAllVisible;
        return true;
    }

    /// <summary>Takes the dead items out of the indexes, then out of the heap (lazy_vacuum); leaves a few for next time.</summary>
    private void CleanDead(Transaction tx, uint blocks)
    {
        DeadItems dead = _pages.Dead;
        if (_mayBypass && _pages.DeadPages < blocks * BypassShare && dead.Count < BypassItems)
        {
            dead.Clear();
            return;
        }

        if (_cleanIndexes)
        {
            for (int i = 0; i < _indexes.Length; i++)
            {
                tx.Session.CheckInterrupts?.Invoke();
                _stats[i] = _indexes[i].BulkDelete(tx, dead.Contains);
            }

            _indexScans++;
            _pages.MakeUnused(_freeSpace);
        }

        dead.Clear();
    }

    private uint TruncateTail(Transaction tx, uint blocks)
    {
        uint empty = blocks - _pages.LastNonempty;
        if (empty == 0 || (empty < TruncateMinimum && empty < blocks / TruncateFraction))
        {
            return blocks;
        }

        // Nobody waits behind a vacuum: without the lock the tail stays for next time.
        LockTag tag = LockTag.Relation(_relation.LockDatabase, _relation.Id);
        if (!_engine.Locks.TryAcquire(tx, tag, LockMode.AccessExclusive))
        {
            return blocks;
        }

        try
        {
            if (_engine.Buffers.BlockCount(_relation.Node, ForkNumber.Main) != blocks)
            {
                return blocks;
            }

            uint left = CountNonempty(blocks);
            if (left < blocks)
            {
                RelationStorage.Truncate(_engine, _relation.Node, new BlockNumber(left));
            }

            return left;
        }
        finally
        {
            _engine.Locks.Release(tx, tag, LockMode.AccessExclusive);
        }
    }

    /// <summary>Rows may have come since the scan: the tail is looked at again, under the lock.</summary>
    private uint CountNonempty(uint blocks)
    {
        uint left = blocks;
        while (left > _pages.LastNonempty)
        {
            using PinnedPage page = _engine.Buffers.Pin(new BufferTag(_relation.Node, ForkNumber.Main, new BlockNumber(left - 1)));
            using SharedLatch latch = page.LatchShared();
            for (int item = 1; !page.Page.IsNew && item <= page.Page.ItemCount; item++)
            {
                if (page.Page.Item(item).IsUsed)
                {
                    return left;
                }
            }

            left--;
        }

        return left;
    }

    /// <summary>Rows of pages that were not visited are taken to lie as densely as before (vac_estimate_reltuples).</summary>
    private double EstimateTuples(uint blocks)
    {
        uint scanned = _pages.Scanned;
        if (scanned >= blocks)
        {
            return _pages.Live;
        }

        if ((_start.RelPages == blocks && scanned < blocks * 0.02) || scanned <= 1)
        {
            return _start.RelTuples;
        }

        double density = _start.RelTuples < 0 || _start.RelPages == 0 ? (double)_pages.Live / scanned : _start.RelTuples / _start.RelPages;
        return Math.Floor((density * (blocks - scanned)) + _pages.Live + 0.5);
    }

    private static Xid Back(Xid xid, uint by)
    {
        var back = new Xid(xid.Value - by);
        return back.IsNormal && back.PrecedesOrEquals(xid) ? back : Xid.FirstNormal;
    }

    private static MultiXactId Back(MultiXactId multi, uint by)
    {
        var back = new MultiXactId(multi.Value - by);
        return back.IsValid && back.PrecedesOrEquals(multi) ? back : MultiXactId.First;
    }
}
