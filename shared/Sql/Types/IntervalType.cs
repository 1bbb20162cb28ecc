using System.Buffers;
using System.Buffers.Binary;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>A span of months, days and microseconds; each has its own sign.</summary>
internal readonly record struct IntervalValue(int Months, int Days, long Time)
{
    public static IntervalValue Read(Datum d)
    {
        ReadOnlySpan<byte> b = d.Bytes;
        return new IntervalValue(
            BinaryPrimitives.ReadInt32LittleEndian(b[12..]), BinaryPrimitives.ReadInt32LittleEndian(b[8..]), BinaryPrimitives.ReadInt64LittleEndian(b));
    }

    public Datum ToDatum()
    {
        var b = new byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(b, Time);
        BinaryPrimitives.WriteInt32LittleEndian(b.AsSpan(8), Days);
        BinaryPrimitives.WriteInt32LittleEndian(b.AsSpan(12), Months);
        return Datum.FromBytes(b);
    }

    /// <summary>Microseconds with months of 30 days and days of 24 hours: what the order goes by.</summary>
    public Int128 Span => ((((Int128)Months * 30) + Days) * Calendar.PerDay) + Time;

    /// <exception cref="PgException">22008: out of range.</exception>
    public static IntervalValue Checked(long months, long days, Int128 time)
    {
        if (months != (int)months || days != (int)days || time != (long)time)
        {
            throw Calendar.IntervalOutOfRange();
        }

        return new IntervalValue((int)months, (int)days, (long)time);
    }
}

/// <summary>interval, with its fields and precision as type modifier (precision in the low 16 bits, the mask of fields above).</summary>
internal sealed class IntervalType : PgType
{
    public const int FullRange = 0x7FFF;
    public const int FullPrecision = 0xFFFF;
    public const int Month = 1 << 1;
    public const int Year = 1 << 2;
    public const int Day = 1 << 3;
    public const int Hour = 1 << 10;
    public const int Minute = 1 << 11;
    public const int Second = 1 << 12;

    private static readonly (int Mask, string Text)[] Ranges =
    [
        (Year, " year"), (Month, " month"), (Day, " day"), (Hour, " hour"), (Minute, " minute"), (Second, " second"),
        (Year | Month, " year to month"), (Day | Hour, " day to hour"), (Day | Hour | Minute, " day to minute"),
        (Day | Hour | Minute | Second, " day to second"), (Hour | Minute, " hour to minute"), (Hour | Minute | Second, " hour to second"),
        (Minute | Second, " minute to second"), (FullRange, ""),
    ];

    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        int range = typeModifier >= 0 ? (typeModifier >> 16) & FullRange : FullRange;
        return Adjust(new IntervalParser(range, context).Parse(text), typeModifier).ToDatum();
    }

    /// <summary>Cuts to the fields of a modifier and rounds to its precision.</summary>
    public static IntervalValue Adjust(IntervalValue v, int typeModifier)
    {
        if (typeModifier < 0)
        {
            return v;
        }

        int range = (typeModifier >> 16) & FullRange;
        if (!Ranges.Any(r => r.Mask == range))
        {
            throw new PgException(SqlStates.InternalError, $"unrecognized interval typmod: {typeModifier}");
        }

        v = range switch
        {
            Year => new IntervalValue(v.Months / 12 * 12, 0, 0),
            Month or (Year | Month) => new IntervalValue(v.Months, 0, 0),
            Day => v with { Time = 0 },
            Hour or (Day | Hour) => v with { Time = v.Time / Calendar.PerHour * Calendar.PerHour },
            Minute or (Hour | Minute) or (Day | Hour | Minute) => v with { Time = v.Time / Calendar.PerMinute * Calendar.PerMinute },
            _ => v,
        };
        int precision = typeModifier & 0xFFFF;
        return precision == FullPrecision ? v : v with { Time = Calendar.RoundTo(v.Time, precision) };
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) =>
        TextScan.WriteAscii(IntervalText.Format(IntervalValue.Read(value), context.IntervalStyle), output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 16);
        var v = new IntervalValue(
            BinaryPrimitives.ReadInt32BigEndian(data[12..]), BinaryPrimitives.ReadInt32BigEndian(data[8..]), BinaryPrimitives.ReadInt64BigEndian(data));
        return Adjust(v, typeModifier).ToDatum();
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        IntervalValue v = IntervalValue.Read(value);
        BinaryOutput.Integer(v.Time, 8, output);
        BinaryOutput.Integer(v.Days, 4, output);
        BinaryOutput.Integer(v.Months, 4, output);
    }

    public override int Compare(Datum a, Datum b, Collation? collation) => IntervalValue.Read(a).Span.CompareTo(IntervalValue.Read(b).Span);
    public override int Hash(Datum value) => HashMix.Of((long)IntervalValue.Read(value).Span);

    public override int ParseTypeModifier(IReadOnlyList<int> parts)
    {
        if (parts.Count is 0 or > 2 || !Ranges.Any(r => r.Mask == parts[0]))
        {
            throw new PgException(SqlStates.InvalidParameterValue, "invalid INTERVAL type modifier");
        }

        if (parts.Count == 1)
        {
            return parts[0] == FullRange ? -1 : (parts[0] << 16) | FullPrecision;
        }

        return parts[1] < 0
            ? throw new PgException(SqlStates.InvalidParameterValue, $"INTERVAL({parts[1]}) precision must not be negative")
            : (parts[0] << 16) | Math.Min(parts[1], 6);
    }

    public override string FormatTypeModifier(int typeModifier)
    {
        if (typeModifier < 0)
        {
            return "";
        }

        int range = (typeModifier >> 16) & FullRange;
        int precision = typeModifier & 0xFFFF;
        string fields = Ranges.FirstOrDefault(r => r.Mask == range).Text ?? "";
        return precision == FullPrecision ? fields : $"{fields}({precision})";
    }
}
