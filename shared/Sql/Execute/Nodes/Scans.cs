using System.Buffers.Binary;
using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>Numbers of columns beyond a table's own, in <see cref="Analyze.VarExpr.Column"/>.</summary>
internal static class SystemColumn
{
    public const short Ctid = -1, Xmin = -2, Cmin = -3, Xmax = -4, Cmax = -5, TableOid = -6;

    /// <summary>The row's place in the bits of a datum: for row locks and changes, not seen by SQL.</summary>
    public const short PackedTid = -100;

    public static long Pack(Tid tid) => ((long)tid.Block.Value << 16) | tid.Offset;
    public static Tid Unpack(long bits) => new(new BlockNumber((uint)(bits >> 16)), (ushort)bits);

    public static Datum ToDatum(Tid tid)
    {
        var bytes = new byte[Tid.Size];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)(tid.Block.Value >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), (ushort)tid.Block.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(4), tid.Offset);
        return Datum.FromBytes(bytes);
    }
}

/// <summary>What scans of a table have in common: the slot, system columns, the filter.</summary>
public abstract class TableScanNode : ExecNode
{
    private readonly int _entry;
    private readonly short[] _system;
    private readonly Datum[] _nullRow;
    private readonly Datum[] _row;

    protected TableScanNode(ExecContext context, int entry, Relation table, IReadOnlyList<short> systemColumns)
    {
        if (table.Persistence != 'p' && context.Engine.Wal is null)
        {
            // The log does not have them, so what is in their files belongs to nobody here.
            throw new PgException(SqlStates.FeatureNotSupported, "cannot access temporary or unlogged relations during recovery");
        }

        Context = context;
        _entry = entry;
        Table = table;
        _system = [.. systemColumns];
        Columns = table.Desc.Count;
        _row = NewRow();
        _nullRow = Slot.NullRow(_row.Length);
        Slot.Values = _row;
    }

    protected ExecContext Context { get; }
    public Relation Table { get; }
    public Slot Slot { get; } = new();
    protected int Columns { get; }
    protected Datum[] Row => _row;

    /// <summary>Set after construction, since it is compiled against this node's slot.</summary>
    public Evaluator? Filter { get; set; }

    public override void Publish(Env env)
    {
        for (int i = 0; i < Columns; i++)
        {
            env.Add(_entry, (short)(i + 1), new SlotRef(Slot, i));
        }

        for (int i = 0; i < _system.Length; i++)
        {
            env.Add(_entry, _system[i], new SlotRef(Slot, Columns + i));
        }
    }

    public override void NullExtend() => Slot.Values = _nullRow;

    protected void SetSystemColumns(Tid tid, in HeapTupleHeader header)
    {
        for (int i = 0; i < _system.Length; i++)
        {
            _row[Columns + i] = _system[i] switch
            {
                SystemColumn.PackedTid => Datum.FromInt64(SystemColumn.Pack(tid)),
                SystemColumn.Ctid => SystemColumn.ToDatum(tid),
                SystemColumn.TableOid => Datum.FromOid(Table.Id),
                SystemColumn.Xmin => Datum.FromUInt32(header.RawXmin),
                SystemColumn.Xmax => Datum.FromUInt32(header.RawXmax),
                _ => Datum.FromUInt32(header.RawCommandId),
            };
        }
    }

    private Datum[] NewRow() => new Datum[Columns + _system.Length];
}

public sealed class SeqScanNode : TableScanNode
{
    private readonly bool[]? _wanted;
    private HeapScan? _scan;

    public SeqScanNode(ExecContext context, int entry, Relation table, IReadOnlyList<short> systemColumns, bool[]? wanted)
        : base(context, entry, table, systemColumns) => _wanted = wanted;

    public override void Open()
    {
        _scan?.Dispose();
        _scan = new HeapTable(Context.Engine, Table).Scan(Context.Snapshot);
        _scan.Wanted = _wanted;
    }

    public override bool Next()
    {
        HeapScan scan = _scan!;
        Slot.Values = Row;
        while (scan.Next(Row))
        {
            if (Context.Cancel.IsSet)
            {
                Context.Cancel.Check();
            }

            SetSystemColumns(scan.Tid, scan.Header);
            if (Filter is null || Filter.IsTrue())
            {
                return true;
            }
        }

        return false;
    }

    public override void Close()
    {
        _scan?.Dispose();
        _scan = null;
    }
}
