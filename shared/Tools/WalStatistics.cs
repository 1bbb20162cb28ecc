using System.Globalization;
using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Describe;

namespace SharedStorage.Tools;

/// <summary>Counts and sizes by resource manager or by record, as <c>pg_waldump --stats</c> prints them.</summary>
internal sealed class WalStatistics
{
    private const int RmgrCount = byte.MaxValue + 1;
    private const int KindCount = 16;

    private readonly Row[] _rows = new Row[RmgrCount * KindCount];
    private Lsn _end;

    private struct Row
    {
        public ulong Count;
        public ulong Length;
        public ulong Images;

        public readonly ulong Total => Length + Images;

        public void Add(in Row other)
        {
            Count += other.Count;
            Length += other.Length;
            Images += other.Images;
        }
    }

    public Lsn Start { get; set; }

    public void Add(WalRecord record)
    {
        // The highest bit of a transaction record's op code is a flag.
        int kind = record.Rmgr == Rmgr.Transaction ? (record.Info >> 4) & 7 : record.Info >> 4;
        ref Row row = ref _rows[((int)record.Rmgr * KindCount) + kind];
        uint images = (uint)WalDescription.ImageLength(record);
        row.Count++;
        row.Length += record.TotalLength - images;
        row.Images += images;
        _end = record.End;
    }

    public void Print(bool perRecord, StringBuilder into)
    {
        if (!_end.IsValid)
        {
            return;
        }

        Row total = default;
        foreach (ref readonly Row row in _rows.AsSpan())
        {
            total.Add(in row);
        }

        into.Append($"WAL statistics between {Start} and {_end}:\n");
        Heading(into, "Type", "N", "(%)", "Record size", "FPI size", "Combined size");
        Heading(into, "----", "-", "---", "-----------", "--------", "-------------");
        for (int rmgr = 0; rmgr < RmgrCount; rmgr++)
        {
            if (!Enum.IsDefined((Rmgr)rmgr) && rmgr < (int)WalDescription.FirstCustom)
            {
                continue;
            }

            PrintRmgr(rmgr, perRecord, in total, into);
        }

        into.Append($"{"",-27} {"--------",20} {"",8} {"--------",20} {"",8} {"--------",20} {"",8} {"--------",20}\n");
        into.Append($"{"Total",-27} {total.Count,20} {"",-9}{total.Length,20} {Share(total.Length, total.Total),-9}");
        into.Append($"{total.Images,20} {Share(total.Images, total.Total),-9}{total.Total,20} {"[100%]",-6}\n");
    }

    private void PrintRmgr(int rmgr, bool perRecord, in Row total, StringBuilder into)
    {
        string name = WalDescription.NameOf((Rmgr)rmgr);
        ReadOnlySpan<Row> kinds = _rows.AsSpan(rmgr * KindCount, KindCount);
        if (!perRecord)
        {
            Row sum = default;
            foreach (ref readonly Row kind in kinds)
            {
                sum.Add(in kind);
            }

            if (sum.Count > 0 || rmgr < (int)WalDescription.FirstCustom)
            {
                Line(name, in sum, in total, into);
            }

            return;
        }

        for (int kind = 0; kind < KindCount; kind++)
        {
            if (kinds[kind].Count != 0)
            {
                string id = WalDescription.Identify((Rmgr)rmgr, (byte)(kind << 4)) ?? $"UNKNOWN ({kind << 4:x})";
                Line($"{name}/{id}", in kinds[kind], in total, into);
            }
        }
    }

    private static void Line(string name, in Row row, in Row total, StringBuilder into)
    {
        into.Append($"{name,-27} {row.Count,20} {Percent(row.Count, total.Count)} {row.Length,20} {Percent(row.Length, total.Length)} ");
        into.Append($"{row.Images,20} {Percent(row.Images, total.Images)} {row.Total,20} {Percent(row.Total, total.Total)}\n");
    }

    private static void Heading(StringBuilder into, string type, string n, string percent, string size, string images, string combined)
    {
        into.Append($"{type,-27} {n,20} {percent,8} {size,20} {percent,8} ");
        into.Append($"{images,20} {percent,8} {combined,20} {percent,8}\n");
    }

    private static string Percent(ulong part, ulong whole)
    {
        double percent = whole == 0 ? 0 : 100.0 * part / whole;
        return "(" + percent.ToString("F2", CultureInfo.InvariantCulture).PadLeft(6) + ")";
    }

    private static string Share(ulong part, ulong whole)
    {
        double percent = whole == 0 ? 0 : 100.0 * part / whole;
        return "[" + percent.ToString("F2", CultureInfo.InvariantCulture) + "%]";
    }
}
