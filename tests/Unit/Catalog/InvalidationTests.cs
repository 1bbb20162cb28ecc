using System.Globalization;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Invalidation;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Catalog;

public sealed class InvalidationTests
{
    private static readonly Oid Db = new(5);

    [SkippableFact]
    public void The_messages_for_new_rows_are_those_in_PostgreSQLs_commit_record()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres server = StockPostgres.Create(["autovacuum = off"]).Start();
        server.Psql("CREATE TABLE referenced (x int PRIMARY KEY)");
        Lsn begin = Lsn.Parse(server.Psql("SELECT pg_current_wal_insert_lsn()"));
        uint first = uint.Parse(
            server.Psql("CREATE TABLE inv (a int PRIMARY KEY, b text DEFAULT 'x', c int REFERENCES referenced); SELECT 'inv'::regclass::oid"), CultureInfo.InvariantCulture);
        server.Stop();

        HashSet<InvalidationMessage> theirs = MessagesOfFirstCommit(server.DataDirectory, begin);
        var manager = new CatalogManager(new FileCatalogReader(server.DataDirectory), new RelationMaps(server.DataDirectory), new None(), new Lsn(1));
        CatalogView view = manager.Database(Db, null).View(null);
        var ours = new List<InvalidationMessage>();
        AddAll(ours, view, SystemCatalogs.Class, r => r.Oid.Value >= first || r.RelName == "referenced");
        AddAll(ours, view, SystemCatalogs.Attribute, r => r.AttRelId.Value >= first);
        AddAll(ours, view, SystemCatalogs.Type, r => r.Oid.Value >= first);
        AddAll(ours, view, SystemCatalogs.Index, r => r.IndexRelId.Value >= first);
        AddAll(ours, view, SystemCatalogs.Constraint, r => r.Oid.Value >= first);
        AddAll(ours, view, SystemCatalogs.Depend, r => r.ObjId.Value >= first);

        Assert.Equal(Sorted(theirs), Sorted(ours.ToHashSet()));
        Assert.Contains(theirs, m => m.Kind == InvalidationKind.CatalogCache);
    }

    [Fact]
    public void A_message_written_is_read_again()
    {
        Span<byte> bytes = stackalloc byte[InvalidationMessage.Size];
        foreach (InvalidationMessage m in new InvalidationMessage[]
        {
            new(InvalidationKind.CatalogCache, 55, Db, 0xDEADBEEF), new(InvalidationKind.Catalog, 0, Db, 1259), new(InvalidationKind.Relation, 0, Oid.Invalid, 16384),
            new(InvalidationKind.RelationMap, 0, Db, 0), new(InvalidationKind.Snapshot, 0, Db, 2608),
        })
        {
            m.Write(bytes);
            Assert.Equal(m, InvalidationMessage.Read(bytes));
        }
    }

    [Fact]
    public void A_message_of_an_unknown_kind_makes_everything_forgotten()
    {
        var bytes = new byte[InvalidationMessage.Size];
        bytes[0] = 0x80;
        var set = new InvalidationSet();
        set.Add(bytes, Db);
        Assert.True(set.AllRelations && set.Touches(SystemCatalogs.Type.Id) && !set.IsEmpty);
    }

    private static IEnumerable<string> Sorted(HashSet<InvalidationMessage> messages) =>
        messages.Select(m => m.ToString()).Order(StringComparer.Ordinal);

    private static HashSet<InvalidationMessage> MessagesOfFirstCommit(string dataDirectory, Lsn begin)
    {
        var directory = new WalDirectory(Path.Combine(dataDirectory, "pg_wal"), 16 << 20, 0);
        using WalReader reader = WalReader.Open(directory, directory.ReadHistory(new TimelineId(1)), begin);
        var record = new WalRecord();
        while (reader.Read(record) == WalRead.Record)
        {
            if (record.Rmgr != Rmgr.Transaction || (record.OpCode & XactEnd.OpMask) != XactEnd.OpCommit)
            {
                continue;
            }

            XactEnd end = XactEnd.Read(record.Info, record.MainData);
            var messages = new HashSet<InvalidationMessage>();
            for (ReadOnlySpan<byte> rest = end.Invalidations; !rest.IsEmpty; rest = rest[InvalidationMessage.Size..])
            {
                messages.Add(InvalidationMessage.Read(rest));
            }

            return messages;
        }

        throw new InvalidOperationException("no commit record");
    }

    private static void AddAll<TRow>(List<InvalidationMessage> messages, CatalogView view, CatalogTable<TRow> table, Func<TRow, bool> which)
        where TRow : class, ICatalogRow<TRow>
    {
        foreach (TRow row in view.Scan(table).Where(which))
        {
            RowMessages.Add(messages, table, table.Write(row), Db);
        }
    }

    private sealed class None : IComparatorProvider
    {
        public Comparison<Datum>? Find(string supportFunction, PgCollationInfo? collation) => null;
    }
}
