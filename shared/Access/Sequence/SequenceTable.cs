using System.Buffers.Binary;
using SharedStorage.Access.Heap;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Access.Sequence;

/// <summary>What pg_sequence says of a sequence.</summary>
public readonly record struct SequenceLimits(long Increment, long Min, long Max, long Cache, bool Cycle);

/// <summary>The values that a session took at once: the first one, the last one, and the step between.</summary>
public readonly record struct SequenceRange(long First, long Last, long Increment);

/// <summary>
/// A sequence: one row on one page, changed in place whatever becomes of the transaction (PostgreSQL's sequence.c). The log is told 32 values ahead, so most calls log
/// nothing; after a crash, and on readers, the row stands at what was logged.
/// </summary>
public sealed class SequenceTable(StorageEngine engine, Relation relation)
{
    private const int ValuesAhead = 32;
    private const uint Magic = 0x1717;
    private const byte LogOp = 0x00;
    private const int LastValueAt = 24, LogCountAt = 32, CalledAt = 40, RowSize = 41;

    private readonly BufferTag _tag = new(relation.Node, ForkNumber.Main, new BlockNumber(0));

    /// <summary>The page of a new sequence, whose file is empty.</summary>
    public void Create(Transaction tx, long value, bool called)
    {
        Create(tx, ForkNumber.Main, value, called);
        if (relation.Persistence == 'u')
        {
            // R16: what it is after a crash.
            Create(tx, ForkNumber.Init, value, called);
        }
    }

    private void Create(Transaction tx, ForkNumber fork, long value, bool called)
    {
        Span<Datum> values = [Datum.FromInt64(value), Datum.FromInt64(0), Datum.FromBool(called)];
        byte[] row = HeapTupleCodec.Form(relation.Desc, values);
        ref HeapTupleHeader header = ref HeapTupleCodec.Header(row);
        header.RawXmin = Xid.Frozen.Value;
        header.RawXmax = 0;
        header.InfoMask |= HeapInfoMask.XminFrozen | HeapInfoMask.XmaxInvalid;
        header.Ctid = new Tid(new BlockNumber(0), 1);
        Xid xid = tx.Xid;
        PinnedPage page = engine.Buffers.PinNew(relation.Node, fork);
        try
        {
            using Invariant.CriticalSection critical = Invariant.EnterCritical();
            page.MarkDirty();
            page.Page.Initialize(sizeof(uint));
            BinaryPrimitives.WriteUInt32LittleEndian(page.Page.SpecialSpace, Magic);
            Invariant.Check(HeapPage.TryPlace(page.Page, 1, row.Length, out Span<byte> place), "sequence", "an empty page has no room for a row");
            row.CopyTo(place);
            if (fork == ForkNumber.Init)
            {
                page.Page.SetLsn(PageImage.Log(engine, xid, page, standardLayout: true));
            }
            else
            {
                Log(xid, page, row);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
        finally
        {
            page.Unlatch();
            page.Dispose();
        }
    }

    /// <summary>Takes the next value, and as many more as the session may keep.</summary>
    /// <exception cref="PgException">2200H: the sequence is at its end.</exception>
    public SequenceRange Next(Transaction tx, SequenceLimits limits)
    {
        using PinnedPage page = engine.Buffers.Pin(_tag);
        return TryNext(page, limits, tx.XidOrInvalid, out SequenceRange range) || TryNext(page, limits, tx.Xid, out range)
            ? range
            : throw new InvariantException("sequence", "a transaction with a number could not log a value");
    }

    /// <summary>False when the value is to be logged and the transaction has no number yet: its commit must wait for the log.</summary>
    private bool TryNext(in PinnedPage page, SequenceLimits limits, Xid xid, out SequenceRange range)
    {
        range = default;
        using ExclusiveLatch latch = page.LatchExclusive();
        Span<byte> row = RowOf(page);
        long last = Read(row, LastValueAt), log = Read(row, LogCountAt), next = last, result = last;
        bool called = row[CalledAt] != 0;
        long fetch = limits.Cache, taken = 0;
        if (!called)
        {
            taken++;
            fetch--;
        }

        bool logs = log < fetch || !called || page.Page.Lsn <= engine.WritableWal.RedoPointer;
        if (logs && !xid.IsValid)
        {
            return false;
        }

        if (logs)
        {
            fetch = log = fetch + ValuesAhead;
        }

        for (; fetch > 0; fetch--)
        {
            if (!TryAdvance(ref next, limits))
            {
                if (taken > 0)
                {
                    break;
                }

                throw AtEnd(limits);
            }

            if (taken < limits.Cache)
            {
                log--;
                taken++;
                last = next;
                result = taken == 1 ? next : result;
            }
        }

        log -= fetch;
        Change(xid, page, row, next, last, log, logs);
        range = new SequenceRange(result, last, limits.Increment);
        return true;
    }

    /// <summary>setval: always logged.</summary>
    public void Set(Transaction tx, long value, bool called)
    {
        Xid xid = tx.Xid;
        using PinnedPage page = engine.Buffers.Pin(_tag);
        using ExclusiveLatch latch = page.LatchExclusive();
        Span<byte> row = RowOf(page);
        try
        {
            using Invariant.CriticalSection critical = Invariant.EnterCritical();
            page.MarkDirty();
            Write(row, value, 0, called);
            Log(xid, page, row);
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    private void Change(Xid xid, in PinnedPage page, Span<byte> row, long ahead, long last, long log, bool logs)
    {
        try
        {
            using Invariant.CriticalSection critical = Invariant.EnterCritical();
            page.MarkDirty();
            if (logs)
            {
                Write(row, ahead, 0, called: true);
                Log(xid, page, row);
            }

            Write(row, last, log, called: true);
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    private static bool TryAdvance(ref long value, SequenceLimits l)
    {
        Int128 next = (Int128)value + l.Increment;
        if (l.Increment > 0 ? next > l.Max : next < l.Min)
        {
            if (!l.Cycle)
            {
                return false;
            }

            value = l.Increment > 0 ? l.Min : l.Max;
            return true;
        }

        value = (long)next;
        return true;
    }

    private PgException AtEnd(SequenceLimits l) => new("2200H", l.Increment > 0
        ? $"nextval: reached maximum value of sequence \"{relation.Name}\" ({l.Max})"
        : $"nextval: reached minimum value of sequence \"{relation.Name}\" ({l.Min})");

    private static Span<byte> RowOf(in PinnedPage page)
    {
        Span<byte> row = page.Page.ItemBytes(1);
        return row.Length >= RowSize ? row : throw new StorageException("a sequence has no row");
    }

    private static long Read(ReadOnlySpan<byte> row, int at) => BinaryPrimitives.ReadInt64LittleEndian(row[at..]);

    private static void Write(Span<byte> row, long value, long log, bool called)
    {
        BinaryPrimitives.WriteInt64LittleEndian(row[LastValueAt..], value);
        BinaryPrimitives.WriteInt64LittleEndian(row[LogCountAt..], log);
        row[CalledAt] = called ? (byte)1 : (byte)0;
    }

    private unsafe void Log(Xid xid, in PinnedPage page, ReadOnlySpan<byte> row)
    {
        Span<byte> node = stackalloc byte[RelFileNode.Size];
        BinaryPrimitives.WriteUInt32LittleEndian(node, relation.Node.Tablespace.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(node[4..], relation.Node.Database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(node[8..], relation.Node.Relation.Value);
        WalRecordBuilder record = engine.WritableWal.Begin(xid).AddData(node).AddData(row);
        record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.WillInit);
        Page target = page.Page;
        target.Lsn = engine.WritableWal.Insert(record, Rmgr.Sequence, LogOp);
    }
}
