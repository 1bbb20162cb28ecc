using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>Comparison, length, parts and casts of text, bpchar, name and bytea (varlena.c, varchar.c, name.c).</summary>
internal static class TextFunctions
{
    public static void Add(FunctionTable t)
    {
        AddTextComparisons(t);
        AddBpCharComparisons(t);
        AddNameComparisons(t);
        AddByteComparisons(t, "bytea");
        AddByteComparisons(t, "uuid_");
        AddCasts(t);
        AddLengths(t);
        AddParts(t);
        AddBytea(t);
    }

    internal static Datum Text(ReadOnlySpan<byte> s) => Datum.FromBytes(s.ToArray());
    internal static string Str(Datum d) => Encoding.UTF8.GetString(d.Bytes);
    /// <summary>Identifiers and words: only ASCII letters are lowered.</summary>
    internal static string LowerAscii(string s) => string.Create(s.Length, s, static (span, text) =>
    {
        for (int i = 0; i < span.Length; i++)
        {
            span[i] = char.IsAsciiLetterUpper(text[i]) ? (char)(text[i] + 32) : text[i];
        }
    });

    internal static PgException NegativeLength() => new("22011", "negative substring length not allowed");

    private static void Ordered(FunctionTable t, string name, Func<Collation, Comparison<Datum>> order, Func<int, bool> test) =>
        t.Bound(name, b =>
        {
            Comparison<Datum> compare = order(b.Collation ?? Collation.C);
            return SqlFunction.Of(name, (x, y, _) => Datum.FromBool(test(compare(x, y))));
        });

    private static void OrderedAll(FunctionTable t, string prefix, string suffix, Func<Collation, Comparison<Datum>> order)
    {
        Ordered(t, prefix + "lt" + suffix, order, static c => c < 0);
        Ordered(t, prefix + "le" + suffix, order, static c => c <= 0);
        Ordered(t, prefix + "gt" + suffix, order, static c => c > 0);
        Ordered(t, prefix + "ge" + suffix, order, static c => c >= 0);
    }

    private static void Cmp(FunctionTable t, string name) => t.Bound(name, b =>
    {
        Comparison<Datum> compare = Comparators.Find(name, b.Collation)!;
        return SqlFunction.Of(name, (x, y, _) => Datum.FromInt32(Math.Sign(compare(x, y))));
    });

    // Which of two equal values is given shows for bpchar only, whose equal values may differ.
    private static void Extremes(FunctionTable t, string prefix, Func<Collation, Comparison<Datum>> order, bool firstOfEqual)
    {
        int limit = firstOfEqual ? 0 : 1;
        t.Bound(prefix + "larger", b =>
        {
            Comparison<Datum> compare = order(b.Collation ?? Collation.C);
            return SqlFunction.Of(prefix + "larger", (x, y, _) => Math.Sign(compare(x, y)) >= limit ? x : y);
        });
        t.Bound(prefix + "smaller", b =>
        {
            Comparison<Datum> compare = order(b.Collation ?? Collation.C);
            return SqlFunction.Of(prefix + "smaller", (x, y, _) => Math.Sign(compare(x, y)) <= -limit ? x : y);
        });
    }

    private static void AddTextComparisons(FunctionTable t)
    {
        static Comparison<Datum> Order(Collation c) => Comparators.Find("bttextcmp", c)!;
        t.F2("texteq", static (a, b, _) => Datum.FromBool(a.Bytes.AsSpan().SequenceEqual(b.Bytes)));
        t.F2("textne", static (a, b, _) => Datum.FromBool(!a.Bytes.AsSpan().SequenceEqual(b.Bytes)));
        OrderedAll(t, "text_", "", Order);
        OrderedAll(t, "text_pattern_", "", static _ => Comparators.Find("bttext_pattern_cmp", null)!);
        Extremes(t, "text_", Order, firstOfEqual: false);
        Cmp(t, "bttextcmp");
        Cmp(t, "bttext_pattern_cmp");
    }

    private static void AddBpCharComparisons(FunctionTable t)
    {
        static Comparison<Datum> Order(Collation c) => Comparators.Find("bpcharcmp", c)!;
        t.F2("bpchareq", static (a, b, _) => Datum.FromBool(Comparators.TrimBlanks(a.Bytes).SequenceEqual(Comparators.TrimBlanks(b.Bytes))));
        t.F2("bpcharne", static (a, b, _) => Datum.FromBool(!Comparators.TrimBlanks(a.Bytes).SequenceEqual(Comparators.TrimBlanks(b.Bytes))));
        OrderedAll(t, "bpchar", "", Order);
        OrderedAll(t, "bpchar_pattern_", "", static _ => Comparators.Find("btbpchar_pattern_cmp", null)!);
        Extremes(t, "bpchar_", Order, firstOfEqual: true);
        Cmp(t, "bpcharcmp");
        Cmp(t, "btbpchar_pattern_cmp");
    }

    private static void AddNameComparisons(FunctionTable t)
    {
        t.F2("nameeq", static (a, b, _) => Datum.FromBool(Comparators.NameBytes(a).SequenceEqual(Comparators.NameBytes(b))));
        t.F2("namene", static (a, b, _) => Datum.FromBool(!Comparators.NameBytes(a).SequenceEqual(Comparators.NameBytes(b))));
        OrderedAll(t, "name", "", static c => Comparators.Find("btnamecmp", c)!);
        t.F2("nameeqtext", static (a, b, _) => Datum.FromBool(Comparators.NameBytes(a).SequenceEqual(b.Bytes)));
        t.F2("namenetext", static (a, b, _) => Datum.FromBool(!Comparators.NameBytes(a).SequenceEqual(b.Bytes)));
        OrderedAll(t, "name", "text", static c => Comparators.Find("btnametextcmp", c)!);
        t.F2("texteqname", static (a, b, _) => Datum.FromBool(Comparators.NameBytes(b).SequenceEqual(a.Bytes)));
        t.F2("textnename", static (a, b, _) => Datum.FromBool(!Comparators.NameBytes(b).SequenceEqual(a.Bytes)));
        OrderedAll(t, "text", "name", static c => Comparators.Find("bttextnamecmp", c)!);
        Cmp(t, "btnamecmp");
        Cmp(t, "btnametextcmp");
        Cmp(t, "bttextnamecmp");
        t.F2("nameconcatoid", static (a, b, _) => NameType.From(Encoding.UTF8.GetString(Comparators.NameBytes(a)) + "_" + b.UInt32));
    }

    private static void AddByteComparisons(FunctionTable t, string prefix)
    {
        t.F2(prefix + "eq", static (a, b, _) => Datum.FromBool(a.Bytes.AsSpan().SequenceEqual(b.Bytes)));
        t.F2(prefix + "ne", static (a, b, _) => Datum.FromBool(!a.Bytes.AsSpan().SequenceEqual(b.Bytes)));
        t.F2(prefix + "lt", static (a, b, _) => Datum.FromBool(a.Bytes.AsSpan().SequenceCompareTo(b.Bytes) < 0));
        t.F2(prefix + "le", static (a, b, _) => Datum.FromBool(a.Bytes.AsSpan().SequenceCompareTo(b.Bytes) <= 0));
        t.F2(prefix + "gt", static (a, b, _) => Datum.FromBool(a.Bytes.AsSpan().SequenceCompareTo(b.Bytes) > 0));
        t.F2(prefix + "ge", static (a, b, _) => Datum.FromBool(a.Bytes.AsSpan().SequenceCompareTo(b.Bytes) >= 0));
        t.F2(prefix + "cmp", static (a, b, _) => Datum.FromInt32(Math.Sign(a.Bytes.AsSpan().SequenceCompareTo(b.Bytes))));
    }

    private static void AddCasts(FunctionTable t)
    {
        t.F3("varchar", static (a, b, c, _) => VarChar(a, b.Int32, c.Bool));
        t.F3("bpchar", static (a, b, c, _) => BpCharType.Fit(a.Bytes, b.Int32, c.Bool));
        t.F1("rtrim1", static (a, _) => Text(Comparators.TrimBlanks(a.Bytes)));
        t.F1("name_text", static (a, _) => Text(Comparators.NameBytes(a)));
        t.F1("name_bpchar", static (a, _) => Text(Comparators.NameBytes(a)));
        t.F1("text_name", static (a, _) => NameType.From(a.Bytes));
        t.F1("bpchar_name", static (a, _) => NameType.From(Comparators.TrimBlanks(a.Bytes)));
        t.F1("text_char", static (a, c) => TypeRegistry.Find(new Oid(18))!.Input(a.Bytes, -1, c));
        t.F1("char_text", static (a, c) => Datum.FromBytes(TypeRegistry.Find(new Oid(18))!.OutputBytes(a, c)));
        t.F1("char_bpchar", static (a, _) => Datum.FromBytes((byte)a.Bits == 0 ? [] : [(byte)a.Bits]));
    }

    private static Datum VarChar(Datum a, int typeModifier, bool isExplicit)
    {
        if (!isExplicit)
        {
            int length = TextType.LimitLength(a.Bytes, typeModifier);
            return length == a.Bytes.Length ? a : Text(a.Bytes.AsSpan(0, length));
        }

        // An explicit cast cuts without complaint.
        int cut = typeModifier < 4 ? a.Bytes.Length : TextScan.ByteLength(a.Bytes, typeModifier - 4);
        return cut == a.Bytes.Length ? a : Text(a.Bytes.AsSpan(0, cut));
    }

    private static void AddLengths(FunctionTable t)
    {
        t.F1("textlen", static (a, _) => Datum.FromInt32(TextScan.CountCharacters(a.Bytes)));
        t.F1("textoctetlen", static (a, _) => Datum.FromInt32(a.Bytes.Length));
        t.F1("bpcharlen", static (a, _) => Datum.FromInt32(TextScan.CountCharacters(Comparators.TrimBlanks(a.Bytes))));
        t.F1("bpcharoctetlen", static (a, _) => Datum.FromInt32(a.Bytes.Length));
        t.F1("byteaoctetlen", static (a, _) => Datum.FromInt32(a.Bytes.Length));
        t.Sql1(1810, "bit_length", static (a, _) => Datum.FromInt32(a.Bytes.Length * 8));
        t.Sql1(1811, "bit_length", static (a, _) => Datum.FromInt32(a.Bytes.Length * 8));
    }

    private static void AddParts(FunctionTable t)
    {
        t.F2("textcat", static (a, b, _) => Concat(a, b));
        t.F3("text_substr", static (a, b, c, _) => Substring(a.Bytes, b.Int32, c.Int32));
        t.F2("text_substr_no_len", static (a, b, _) => Substring(a.Bytes, b.Int32, null));
        t.F2("text_left", static (a, b, _) => Left(a.Bytes, b.Int32));
        t.F2("text_right", static (a, b, _) => Right(a.Bytes, b.Int32));
        t.F2("textpos", static (a, b, _) => Position(a.Bytes, b.Bytes));
        t.F2("text_starts_with", static (a, b, _) => Datum.FromBool(a.Bytes.AsSpan().StartsWith(b.Bytes)));
        t.F3("textoverlay_no_len", static (a, b, c, _) => Overlay(a, b, c.Int32, TextScan.CountCharacters(b.Bytes)));
        t.FN("textoverlay", static (a, _) => Overlay(a[0], a[1], a[2].Int32, a[3].Int32));
    }

    internal static Datum Concat(Datum a, Datum b)
    {
        var r = new byte[a.Bytes.Length + b.Bytes.Length];
        a.Bytes.CopyTo(r, 0);
        b.Bytes.CopyTo(r, a.Bytes.Length);
        return Datum.FromBytes(r);
    }

    internal static Datum Substring(ReadOnlySpan<byte> s, int start, int? length)
    {
        (int from, int count) = Slice(start, length);
        int skip = TextScan.ByteLength(s, from);
        ReadOnlySpan<byte> rest = s[skip..];
        return Text(rest[..TextScan.ByteLength(rest, count)]);
    }

    // From a start counted from 1 and a length to a place counted from 0; what lies before the beginning counts as taken.
    internal static (int From, int Count) Slice(int start, int? length)
    {
        int from = Math.Max(start, 1) - 1;
        if (length is not { } n)
        {
            return (from, int.MaxValue);
        }

        long end = (long)start + n;
        if (end > int.MaxValue)
        {
            return n < 0 ? throw NegativeLength() : (from, int.MaxValue);
        }

        if (end < start)
        {
            throw NegativeLength();
        }

        return (from, (int)Math.Max(end - 1 - from, 0));
    }

    private static Datum Left(ReadOnlySpan<byte> s, int n)
    {
        if (n < 0)
        {
            n = (int)Math.Max((long)TextScan.CountCharacters(s) + n, 0);
        }

        return Text(s[..TextScan.ByteLength(s, n)]);
    }

    private static Datum Right(ReadOnlySpan<byte> s, int n)
    {
        long skip = n < 0 ? -(long)n : (long)TextScan.CountCharacters(s) - n;
        return Text(s[TextScan.ByteLength(s, (int)Math.Clamp(skip, 0, int.MaxValue))..]);
    }

    private static Datum Position(ReadOnlySpan<byte> s, ReadOnlySpan<byte> part)
    {
        int at = s.IndexOf(part);
        return Datum.FromInt32(at < 0 ? 0 : TextScan.CountCharacters(s[..at]) + 1);
    }

    private static Datum Overlay(Datum a, Datum b, int start, int length)
    {
        if (start <= 0)
        {
            throw NegativeLength();
        }

        long end = (long)start + length;
        if (end > int.MaxValue)
        {
            throw IntegerFunctions.IntegerOutOfRange();
        }

        Datum head = Substring(a.Bytes, 1, start - 1);
        return Concat(Concat(head, b), Substring(a.Bytes, (int)end, null));
    }

    private static void AddBytea(FunctionTable t)
    {
        t.F2("byteacat", static (a, b, _) => Concat(a, b));
        t.F3("bytea_substr", static (a, b, c, _) => ByteSlice(a.Bytes, b.Int32, c.Int32));
        t.F2("bytea_substr_no_len", static (a, b, _) => ByteSlice(a.Bytes, b.Int32, null));
        t.F2("byteapos", static (a, b, _) => Datum.FromInt32(a.Bytes.AsSpan().IndexOf(b.Bytes) + 1));
        t.F2("byteatrim", static (a, b, _) => Text(TrimBytes(a.Bytes, b.Bytes, true, true)));
        t.F2("bytealtrim", static (a, b, _) => Text(TrimBytes(a.Bytes, b.Bytes, true, false)));
        t.F2("byteartrim", static (a, b, _) => Text(TrimBytes(a.Bytes, b.Bytes, false, true)));
        t.F1("bytea_bit_count", static (a, _) => Datum.FromInt64(a.Bytes.Sum(b => (long)byte.PopCount(b))));
        t.F2("byteaGetByte", static (a, b, _) => Datum.FromInt32(a.Bytes[Index(b.Int32, a.Bytes.Length)]));
        t.F2("byteaGetBit", static (a, b, _) => Datum.FromInt32((a.Bytes[Index(b.Int64, a.Bytes.Length * 8L) / 8] >> (int)(b.Int64 % 8)) & 1));
        t.F3("byteaSetByte", static (a, b, c, _) =>
        {
            byte[] r = [.. a.Bytes];
            r[Index(b.Int32, r.Length)] = (byte)c.Int32;
            return Datum.FromBytes(r);
        });
    }

    private static int Index(long n, long length) => n >= 0 && n < length
        ? (int)n
        : throw new PgException("2202E", $"index {n} out of valid range, 0..{length - 1}");

    private static Datum ByteSlice(ReadOnlySpan<byte> s, int start, int? length)
    {
        (int from, int count) = Slice(start, length);
        return from >= s.Length ? Datum.FromBytes([]) : Text(s.Slice(from, Math.Min(count, s.Length - from)));
    }

    private static ReadOnlySpan<byte> TrimBytes(ReadOnlySpan<byte> s, ReadOnlySpan<byte> set, bool left, bool right)
    {
        while (left && s.Length > 0 && set.Contains(s[0]))
        {
            s = s[1..];
        }

        while (right && s.Length > 0 && set.Contains(s[^1]))
        {
            s = s[..^1];
        }

        return s;
    }
}
