using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.TestKit;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Unit.Btree;

/// <summary>
/// R9: on a reader each page that a scan steps on may be of a later version than the one before. Scans over a history of splits and page deletions, record by record,
/// where every step may find the tail any number of records further on.
/// </summary>
public sealed class BtreeVersionTests(BtreeVersionTests.History history) : IClassFixture<BtreeVersionTests.History>
{
    private const int Rounds = 400;

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_scan_beside_splits_and_page_deletions_gives_each_lasting_entry_once_and_in_order(bool backward)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        int seed = Environment.TickCount;
        var random = new Random(seed);
        for (int round = 0; round < Rounds; round++)
        {
            using var pages = new VersionedPages(history, random);
            var found = new List<Tid>();
            using BtreeScan scan = pages.Scan(backward);
            while (scan.Next())
            {
                if (history.Lasting.Contains(scan.Tid))
                {
                    found.Add(scan.Tid);
                }
            }

            if (backward)
            {
                found.Reverse();
            }

            Assert.True(found.SequenceEqual(history.LastingInOrder), $"seed {seed}, round {round}: {found.Count} of {history.LastingInOrder.Count} entries, {pages}");
        }
    }

    [SkippableFact]
    public void An_entry_that_vacuum_removed_before_the_map_was_read_is_noticed_by_its_leaf()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        int seed = Environment.TickCount;
        var random = new Random(seed);
        (int removed, int unchanged) = (0, 0);
        for (int round = 0; round < Rounds; round++)
        {
            using var pages = new VersionedPages(history, random);
            using BtreeScan scan = pages.Scan(backward: round % 2 == 0);
            while (scan.Next())
            {
                // The visibility map would be read here, at this version; the leaf is looked at after it.
                pages.Advance();
                bool isGone = history.RemovedAt.TryGetValue(scan.Tid, out int at) && at <= pages.Version;
                bool same = scan.IsLeafUnchanged();
                Assert.False(isGone && same, $"seed {seed}, round {round}: {scan.Tid} was removed by record {at}, {pages}");
                removed += isGone ? 1 : 0;
                unchanged += same ? 1 : 0;
            }
        }

        Assert.True(removed > 0 && unchanged > 0, $"nothing was tried: {removed} removed, {unchanged} unchanged");
    }

    [SkippableFact]
    public void A_neighbour_that_was_split_and_whose_new_page_was_deleted_between_two_steps_is_not_taken_for_damage()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        int seed = Environment.TickCount;
        var random = new Random(seed);
        int met = 0;
        for (int round = 0; round < 200_000; round++)
        {
            met += history.WalkLeft(random) ? 1 : 0;
        }

        Assert.True(met > 10_000, $"seed {seed}: only {met} pages had a left neighbour");
    }

    /// <summary>All versions of all pages of one index: a file, and the records after it.</summary>
    public sealed unsafe class History : IDisposable
    {
        private const int Initial = 6000;
        private readonly Dictionary<uint, List<(int Version, AlignedBuffer Page)>> _pages = [];

        public History()
        {
            if (!StockPostgres.IsInstalled)
            {
                return;
            }

            using StockPostgres server = StockPostgres.Create(["autovacuum = off"]).Start();
            server.PsqlFile("CREATE TABLE w (k int); CREATE INDEX w_k ON w (k);");
            RelFileNode node = WriterOnStock.NodeOf(server, "w_k");
            server.Stop();
            Index = BtreeScanTests.Info("w_k", [BtreeScanTests.Column("k", 23, 4, true, 4, new Oid(1976), 0)]);
            Index = Index with { Relation = Index.Relation with { Node = node, FillFactor = 90 } };
            using var writer = new WriterOnStock(server);
            Make(writer, node);
        }

        internal IndexInfo Index { get; private set; } = null!;

        /// <summary>How many records there are; version n is the state after n of them.</summary>
        public int Versions { get; private set; }

        public HashSet<Tid> Lasting { get; } = [];
        public List<Tid> LastingInOrder { get; } = [];
        public Dictionary<Tid, int> RemovedAt { get; } = [];

        internal byte* At(uint block, int version)
        {
            // A page that is not there yet is one that nothing points to.
            List<(int Version, AlignedBuffer Page)> all = _pages[block];
            int at = all.Count - 1;
            while (at > 0 && all[at].Version > version)
            {
                at--;
            }

            return all[at].Page.Pointer;
        }

        public uint BlockCount => (uint)_pages.Count;

        /// <summary>One step left from a leaf, the tail jumping after the first and after the second page. False: the page is no leaf with a neighbour.</summary>
        public bool WalkLeft(Random random)
        {
            var block = (uint)random.Next(1, _pages.Count);
            int version = random.Next(Versions);
            if (_pages[block][0].Version > version)
            {
                return false;
            }

            ref BtreeOpaque opaque = ref BtreePage.Opaque(new Page(new Span<byte>(At(block, version), SharedStorage.Format.Pages.Page.Size)));
            if (!opaque.IsLeaf || opaque.IsIgnored || opaque.IsLeftmost)
            {
                return false;
            }

            int first = Math.Min(Versions, version + random.Next(2000));
            int second = Math.Min(Versions, first + random.Next(3000));
            using var pages = new VersionedPages(this, version, first, second);
            BtreeBuffer left = new BtreeDescent(pages, new BtreeSchema(Index)).WalkLeft(pages.Get(block, LatchMode.Shared));
            if (left.IsValid)
            {
                left.Release();
            }

            return true;
        }

        public void Dispose()
        {
            foreach ((int _, AlignedBuffer page) in _pages.Values.SelectMany(p => p))
            {
                page.Dispose();
            }
        }

        private void Make(WriterOnStock writer, RelFileNode node)
        {
            var index = new BtreeIndex(writer.Engine, Index);
            Transaction tx = writer.Engine.Transactions.Begin();
            for (int i = 0; i < Initial; i++)
            {
                Insert(index, tx, i * 10, Place(i));
            }

            // The history's first version, then splits and page deletions in the same places again and again. The transaction goes on, so no page is used anew.
            uint blocks = writer.Engine.Buffers.BlockCount(node, ForkNumber.Main);
            for (uint b = 0; b < blocks; b++)
            {
                using PinnedCopy copy = new(writer, new BufferTag(node, ForkNumber.Main, new BlockNumber(b)));
                Add(b, 0, copy.Bytes);
            }

            Lsn from = writer.Engine.WritableWal.Inserted;
            for (int round = 0; round < 4; round++)
            {
                int start = round % 2 == 0 ? 20_000 : 40_000;
                for (int i = 0; i < 1500; i++)
                {
                    Insert(index, tx, start + (i % 300), new Tid(new BlockNumber((uint)(1000 + round)), (ushort)(i + 1)));
                }

                int current = round;
                index.BulkDelete(tx, t => t.Block.Value == 1000 + current || (t.Block.Value >= 20 && t.Block.Value < 24 + (2 * current)));
            }

            Lsn to = writer.Engine.WritableWal.Inserted;
            writer.Engine.WritableWal.Flush(to);
            Replay(writer.Log(from), node, to);
            Look();
            tx.Abort();
        }

        private void Replay(WalReader log, RelFileNode node, Lsn to)
        {
            var table = new RedoTable();
            var record = new WalRecord();
            using WalReader reader = log;
            while (reader.Position < to)
            {
                Assert.Equal(WalRead.Record, reader.Read(record));
                if (record.Rmgr != Rmgr.Btree)
                {
                    continue;
                }

                Versions++;
                for (int id = 0; id < record.BlockCount; id++)
                {
                    if (record.HasBlock(id) && record.Block(id).Tag.Rel == node)
                    {
                        BufferTag tag = record.Block(id).Tag;
                        uint block = tag.Block.Value;
                        var next = new AlignedBuffer(SharedStorage.Format.Pages.Page.Size);
                        if (_pages.ContainsKey(block))
                        {
                            new ReadOnlySpan<byte>(At(block, Versions), SharedStorage.Format.Pages.Page.Size).CopyTo(next.Span);
                        }

                        table.Apply(record, tag, new Page(next.Span));
                        (_pages.TryGetValue(block, out var all) ? all : _pages[block] = []).Add((Versions, next));
                    }
                }
            }
        }

        /// <summary>What each whole version holds, by scans that stand still.</summary>
        private void Look()
        {
            List<Tid> before = Items(0);
            var lasting = new HashSet<Tid>(before);
            for (int version = 1; version <= Versions; version++)
            {
                List<Tid> now = Items(version);
                var set = now.ToHashSet();
                foreach (Tid tid in before)
                {
                    if (!set.Contains(tid))
                    {
                        RemovedAt.TryAdd(tid, version);
                        lasting.Remove(tid);
                    }
                }

                before = now;
            }

            Lasting.UnionWith(lasting);
            LastingInOrder.AddRange(before.Where(lasting.Contains));
            Assert.True(RemovedAt.Count > 500 && Lasting.Count > 3000 && Versions > 500, $"{RemovedAt.Count} removed, {Lasting.Count} lasting, {Versions} records");
        }

        private List<Tid> Items(int version)
        {
            using var pages = new VersionedPages(this, version);
            using BtreeScan scan = pages.Scan(backward: false);
            var items = new List<Tid>();
            while (scan.Next())
            {
                items.Add(scan.Tid);
            }

            return items;
        }

        private void Add(uint block, int version, ReadOnlySpan<byte> bytes)
        {
            var page = new AlignedBuffer(SharedStorage.Format.Pages.Page.Size);
            bytes.CopyTo(page.Span);
            _pages[block] = [(version, page)];
        }

        private static Tid Place(int i) => new(new BlockNumber((uint)(i / 100)), (ushort)((i % 100) + 1));

        private static void Insert(BtreeIndex index, Transaction tx, int key, Tid tid) => index.Insert(tx, [Datum.FromInt32(key)], tid, UniqueCheck.No, null!);
    }

    private readonly ref struct PinnedCopy
    {
        private readonly PinnedPage _page;

        public PinnedCopy(WriterOnStock writer, in BufferTag tag) => _page = writer.Engine.Buffers.Pin(tag);

        public ReadOnlySpan<byte> Bytes => _page.Page.Bytes;

        public void Dispose() => _page.Dispose();
    }

    /// <summary>The pages as a reader sees them whose tail runs on between two steps of a scan.</summary>
    private sealed unsafe class VersionedPages : BtreePages, IDisposable
    {
        private readonly History _history;
        private readonly Random? _random;
        private readonly int[] _script = [];
        private readonly int _pace;
        private int _steps;

        /// <summary>A tail of its own pace, from none to hundreds of records between two steps.</summary>
        public VersionedPages(History history, Random random)
            : base("w_k")
        {
            (_history, _random) = (history, random);
            _pace = random.Next(4) switch { 0 => 1, 1 => 4, 2 => 40, _ => 400 };
            Version = random.Next(history.Versions);
        }

        /// <summary>The versions of the first steps; the last one stays.</summary>
        public VersionedPages(History history, params int[] script)
            : base("w_k") => (_history, _script) = (history, script);

        public int Version { get; private set; }
        public override bool CanWrite => false;
        public override uint BlockCount => _history.BlockCount;

        public void Advance()
        {
            if (_random is null)
            {
                Version = _script[Math.Min(_steps, _script.Length - 1)];
            }
            else if (_random.Next(3) == 0)
            {
                Version = Math.Min(_history.Versions, Version + _random.Next(_pace + 1));
            }

            _steps++;
        }

        public BtreeScan Scan(bool backward)
        {
            var schema = new BtreeSchema(_history.Index);
            return new BtreeScan(new BtreeDescent(this, schema), schema, [], backward);
        }

        public override BtreeBuffer Pin(uint block)
        {
            Advance();
            return new BtreeBuffer(_history.At(block, Version), block);
        }

        public override string ToString() => $"version {Version} of {_history.Versions} after {_steps} steps, pace {_pace}";

        public void Dispose()
        {
            // The pages are the history's.
        }
    }
}
