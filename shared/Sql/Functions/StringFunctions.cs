using System.Security.Cryptography;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>Functions that make new text of text: case, padding, trimming, replacing, quoting, encoding, digests (oracle_compat.c, varlena.c, quote.c, encode.c).</summary>
internal static class StringFunctions
{
    // Results longer than this would not fit in a value.
    private const int MaxLength = 0x3FFFFFFF;

    public static void Add(FunctionTable t)
    {
        AddCase(t);
        AddTrim(t);
        AddReplace(t);
        AddQuoting(t);
        AddCodes(t);
        AddConcat(t);
    }

    private static string Str(Datum d) => TextFunctions.Str(d);
    private static PgException TooLarge() => new(SqlStates.ProgramLimitExceeded, "requested length too large");

    private static void AddCase(FunctionTable t)
    {
        t.Bound("lower", b => Mapped("lower", b, static (c, ch) => c.ToLower(ch)));
        t.Bound("upper", b => Mapped("upper", b, static (c, ch) => c.ToUpper(ch)));
        t.Bound("initcap", b =>
        {
            Collation c = b.Collation ?? Collation.C;
            return SqlFunction.Of("initcap", (a, _) => Datum.FromText(InitCap(Str(a), c)));
        });
    }

    private static SqlFunction Mapped(string name, FunctionBinding b, Func<Collation, char, char> map)
    {
        Collation c = b.Collation ?? Collation.C;
        return SqlFunction.Of(name, (a, _) => Datum.FromText(string.Create(Encoding.UTF8.GetCharCount(a.Bytes), (a, c, map), static (span, s) =>
        {
            Encoding.UTF8.GetChars(s.a.Bytes, span);
            for (int i = 0; i < span.Length; i++)
            {
                span[i] = s.map(s.c, span[i]);
            }
        })));
    }

    private static string InitCap(string s, Collation c)
    {
        bool inWord = false;
        char[] chars = s.ToCharArray();
        for (int i = 0; i < chars.Length; i++)
        {
            chars[i] = inWord ? c.ToLower(chars[i]) : c.ToUpper(chars[i]);
            inWord = c.IsAlphanumeric(chars[i]);
        }

        return new string(chars);
    }

    private static void AddTrim(FunctionTable t)
    {
        t.F3("lpad", static (a, b, c, _) => Pad(Str(a), b.Int32, Str(c), left: true));
        t.F3("rpad", static (a, b, c, _) => Pad(Str(a), b.Int32, Str(c), left: false));
        t.Sql2(879, "lpad", static (a, b, _) => Pad(Str(a), b.Int32, " ", left: true));
        t.Sql2(880, "rpad", static (a, b, _) => Pad(Str(a), b.Int32, " ", left: false));
        t.F2("btrim", static (a, b, _) => Trim(a, Str(b), true, true));
        t.F2("ltrim", static (a, b, _) => Trim(a, Str(b), true, false));
        t.F2("rtrim", static (a, b, _) => Trim(a, Str(b), false, true));
        t.F1("btrim1", static (a, _) => Trim(a, " ", true, true));
        t.F1("ltrim1", static (a, _) => Trim(a, " ", true, false));
    }

    private static Datum Pad(string s, int length, string fill, bool left)
    {
        int[] text = Runes(s);
        int[] filler = Runes(fill);
        length = Math.Max(length, 0);
        if (length > MaxLength / 4)
        {
            throw TooLarge();
        }

        int keep = Math.Min(text.Length, length);
        int missing = filler.Length == 0 ? 0 : length - keep;
        var b = new StringBuilder(keep + missing);
        void Fill()
        {
            for (int i = 0; i < missing; i++)
            {
                b.Append(char.ConvertFromUtf32(filler[i % filler.Length]));
            }
        }

        if (left)
        {
            Fill();
        }

        for (int i = 0; i < keep; i++)
        {
            b.Append(char.ConvertFromUtf32(text[i]));
        }

        if (!left)
        {
            Fill();
        }

        return Datum.FromText(b.ToString());
    }

    private static int[] Runes(string s) => [.. s.EnumerateRunes().Select(r => r.Value)];

    private static Datum Trim(Datum a, string set, bool left, bool right)
    {
        string s = Str(a);
        HashSet<Rune> runes = [.. set.EnumerateRunes()];
        int start = 0;
        int end = s.Length;
        while (left && start < end && Rune.TryGetRuneAt(s, start, out Rune r) && runes.Contains(r))
        {
            start += r.Utf16SequenceLength;
        }

        while (right && end > start)
        {
            int at = end - (end - 2 >= start && char.IsSurrogatePair(s, end - 2) ? 2 : 1);
            if (!runes.Contains(Rune.GetRuneAt(s, at)))
            {
                break;
            }

            end = at;
        }

        return Datum.FromText(s[start..end]);
    }

    private static void AddReplace(FunctionTable t)
    {
        t.F3("replace_text", static (a, b, c, _) => b.Bytes.Length == 0
            ? a
            : Datum.FromText(Str(a).Replace(Str(b), Str(c), StringComparison.Ordinal)));
        t.F3("translate", static (a, b, c, _) => Translate(Str(a), Runes(Str(b)), Runes(Str(c))));
        t.F2("repeat", static (a, b, _) => Repeat(a.Bytes, b.Int32));
        t.F1("text_reverse", static (a, _) => Datum.FromText(string.Concat(Str(a).EnumerateRunes().Reverse().Select(r => r.ToString()))));
        t.F3("split_part", static (a, b, c, _) => SplitPart(Str(a), Str(b), c.Int32));
    }

    private static Datum Translate(string s, int[] from, int[] to)
    {
        var b = new StringBuilder(s.Length);
        foreach (Rune r in s.EnumerateRunes())
        {
            int i = Array.IndexOf(from, r.Value);
            if (i < 0)
            {
                b.Append(r.ToString());
            }
            else if (i < to.Length)
            {
                b.Append(char.ConvertFromUtf32(to[i]));
            }
        }

        return Datum.FromText(b.ToString());
    }

    private static Datum Repeat(byte[] s, int count)
    {
        count = Math.Max(count, 0);
        if ((long)s.Length * count > MaxLength)
        {
            throw TooLarge();
        }

        var r = new byte[s.Length * count];
        for (int i = 0; i < count; i++)
        {
            s.CopyTo(r, i * s.Length);
        }

        return Datum.FromBytes(r);
    }

    private static Datum SplitPart(string s, string separator, int n)
    {
        if (n == 0)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "field position must not be zero");
        }

        if (s.Length == 0)
        {
            return Datum.FromText("");
        }

        if (separator.Length == 0)
        {
            return Datum.FromText(n is 1 or -1 ? s : "");
        }

        string[] parts = s.Split(separator);
        long at = n > 0 ? n - 1L : parts.Length + (long)n;
        return Datum.FromText(at >= 0 && at < parts.Length ? parts[at] : "");
    }

    private static void AddQuoting(FunctionTable t)
    {
        t.F1("quote_ident", static (a, c) => Datum.FromText(Quoting.Identifier(Str(a), c.QuoteAllIdentifiers)));
        t.F1("quote_literal", static (a, _) => Datum.FromText(Quoting.Literal(Str(a))));
        t.F1("quote_nullable", static (a, _) => Datum.FromText(a.IsNull ? "NULL" : Quoting.Literal(Str(a))));
        t.SqlBound(1285, b => ThroughText("quote_literal", b, 0, static (s, _) => Datum.FromText(Quoting.Literal(s))));
        t.SqlBound(1290, b => ThroughText("quote_nullable", b, 0, static (s, _) => Datum.FromText(Quoting.Literal(s))));
        t.SqlBound(2003, b =>
        {
            PgType type = TypeRegistry.Get(b.ArgumentTypes[1], b.Catalogs);
            return SqlFunction.Of("textanycat", (x, y, c) => TextFunctions.Concat(x, Datum.FromBytes(type.OutputBytes(y, c))));
        });
        t.SqlBound(2004, b =>
        {
            PgType type = TypeRegistry.Get(b.ArgumentTypes[0], b.Catalogs);
            return SqlFunction.Of("anytextcat", (x, y, c) => TextFunctions.Concat(Datum.FromBytes(type.OutputBytes(x, c)), y));
        });
    }

    // A function on any type that goes by its text; quote_nullable alone takes nulls.
    private static SqlFunction ThroughText(string name, FunctionBinding b, int argument, Func<string, EvalContext, Datum> f)
    {
        PgType type = TypeRegistry.Get(b.ArgumentTypes[argument], b.Catalogs);
        return SqlFunction.Of(name, (a, c) => a.IsNull ? Datum.FromText("NULL") : f(type.OutputText(a, c), c));
    }

    private static void AddCodes(FunctionTable t)
    {
        t.F1("ascii", static (a, _) => Datum.FromInt32(a.Bytes.Length == 0 ? 0 : Rune.GetRuneAt(Str(a), 0).Value));
        t.F1("chr", static (a, _) => Chr(a.Int32));
        t.F1("to_hex32", static (a, _) => Datum.FromText(a.UInt32.ToString("x", System.Globalization.CultureInfo.InvariantCulture)));
        t.F1("to_hex64", static (a, _) => Datum.FromText(a.Int64.ToString("x", System.Globalization.CultureInfo.InvariantCulture)));
        t.F1("md5_text", static (a, _) => Md5(a.Bytes));
        t.F1("md5_bytea", static (a, _) => Md5(a.Bytes));
        t.F1("sha256_bytea", static (a, _) => Datum.FromBytes(SHA256.HashData(a.Bytes)));
        t.F1("sha384_bytea", static (a, _) => Datum.FromBytes(SHA384.HashData(a.Bytes)));
        t.F1("sha512_bytea", static (a, _) => Datum.FromBytes(SHA512.HashData(a.Bytes)));
        t.F2("binary_encode", static (a, b, _) => Encode(a.Bytes, Str(b)));
        t.F2("binary_decode", static (a, b, c) => Decode(a.Bytes, Str(b), c));
    }

    private static Datum Md5(byte[] bytes)
    {
#pragma warning disable CA5351 // md5() is the function that was asked for, not a protection.
        byte[] digest = MD5.HashData(bytes);
#pragma warning restore CA5351
        var text = new byte[32];
        Hex.Encode(digest, text);
        return Datum.FromBytes(text);
    }

    private static Datum Chr(int code)
    {
        if (code == 0)
        {
            throw new PgException(SqlStates.ProgramLimitExceeded, "null character not permitted");
        }

        if (code < 0)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "character number must be positive");
        }

        if (code > 0x10FFFF)
        {
            throw new PgException(SqlStates.ProgramLimitExceeded, $"requested character too large for encoding: {code}");
        }

        return Rune.IsValid(code)
            ? Datum.FromText(char.ConvertFromUtf32(code))
            : throw new PgException(SqlStates.ProgramLimitExceeded, $"requested character not valid for encoding: {code}");
    }

    private static Datum Encode(byte[] bytes, string format)
    {
        switch (format.ToLowerInvariant())
        {
            case "hex":
                var hex = new byte[bytes.Length * 2];
                Hex.Encode(bytes, hex);
                return Datum.FromBytes(hex);
            case "base64":
                // Lines of 76 characters.
                string s = Convert.ToBase64String(bytes);
                return Datum.FromText(string.Join('\n', s.Chunk(76).Select(c => new string(c))));
            case "escape":
                return Datum.FromBytes(EscapeHigh(bytes));
            default:
                throw UnknownEncoding(format);
        }
    }

    private static PgException UnknownEncoding(string format) =>
        new(SqlStates.InvalidParameterValue, $"unrecognized encoding: \"{format}\"");

    // Unlike bytea's text only zero and bytes above ASCII are escaped.
    private static byte[] EscapeHigh(byte[] bytes)
    {
        var r = new List<byte>(bytes.Length);
        foreach (byte b in bytes)
        {
            if (b is 0 or >= 0x80)
            {
                r.AddRange([(byte)'\\', (byte)('0' + (b >> 6)), (byte)('0' + ((b >> 3) & 7)), (byte)('0' + (b & 7))]);
            }
            else if (b == (byte)'\\')
            {
                r.AddRange("\\\\"u8);
            }
            else
            {
                r.Add(b);
            }
        }

        return [.. r];
    }

    private static Datum Decode(byte[] text, string format, EvalContext c)
    {
        switch (format.ToLowerInvariant())
        {
            case "hex":
                return Datum.FromBytes(Hex.Decode(text));
            case "base64":
                string s = new([.. Encoding.UTF8.GetString(text).Where(ch => !char.IsWhiteSpace(ch))]);
                try
                {
                    return Datum.FromBytes(Convert.FromBase64String(s));
                }
                catch (FormatException)
                {
                    char bad = s.FirstOrDefault(ch => !char.IsAsciiLetterOrDigit(ch) && ch is not ('+' or '/' or '='));
                    throw bad != '\0'
                        ? new PgException(SqlStates.InvalidParameterValue, $"invalid symbol \"{bad}\" found while decoding base64 sequence")
                        : new PgException(SqlStates.InvalidParameterValue, "invalid base64 end sequence")
                        {
                            Hint = "Input data is missing padding, is truncated, or is otherwise corrupted.",
                        };
                }

            case "escape":
                return TypeRegistry.Find(new SharedStorage.Primitives.Oid(17))!.Input(text, -1, c);
            default:
                throw UnknownEncoding(format);
        }
    }

    private static void AddConcat(FunctionTable t)
    {
        t.Bound("text_concat", b => Concat("text_concat", b, hasSeparator: false));
        t.Bound("text_concat_ws", b => Concat("text_concat_ws", b, hasSeparator: true));
        t.Bound("text_format", FormatFunction);
        t.F1("text_format_nv", static (a, c) => FormatText.Format(Str(a), [], [], c));
    }

    private static SqlFunction Concat(string name, FunctionBinding b, bool hasSeparator)
    {
        PgType[] types = [.. b.ArgumentTypes.Select(o => TypeRegistry.Get(o, b.Catalogs))];
        int first = hasSeparator ? 1 : 0;
        return SqlFunction.Of(name, (ReadOnlySpan<Datum> a, EvalContext c) =>
        {
            if (hasSeparator && a[0].IsNull)
            {
                return Datum.Null;
            }

            ReadOnlySpan<Datum> values = a[first..];
            ReadOnlySpan<PgType> valueTypes = types.AsSpan(first);
            if (b.VariadicArray)
            {
                if (values[0].IsNull)
                {
                    return hasSeparator ? Datum.FromText("") : Datum.Null;
                }

                PgType element = valueTypes[0].Element!;
                Datum[] items = new ArrayView(values[0].Bytes).ToDatums(element);
                values = items;
                valueTypes = Enumerable.Repeat(element, items.Length).ToArray();
            }

            var w = new System.Buffers.ArrayBufferWriter<byte>(64);
            bool any = false;
            for (int i = 0; i < values.Length; i++)
            {
                if (values[i].IsNull)
                {
                    continue;
                }

                if (any && hasSeparator)
                {
                    TextScan.Write(a[0].Bytes, w);
                }

                any = true;
                valueTypes[i].Output(values[i], w, c);
            }

            return Datum.FromBytes(w.WrittenSpan.ToArray());
        });
    }

    private static SqlFunction FormatFunction(FunctionBinding b)
    {
        PgType[] types = [.. b.ArgumentTypes.Skip(1).Select(o => TypeRegistry.Get(o, b.Catalogs))];
        return SqlFunction.Of("text_format", (ReadOnlySpan<Datum> a, EvalContext c) =>
        {
            if (a[0].IsNull)
            {
                return Datum.Null;
            }

            ReadOnlySpan<Datum> values = a[1..];
            if (!b.VariadicArray)
            {
                return FormatText.Format(Str(a[0]), values, types, c);
            }

            PgType element = types[0].Element!;
            Datum[] items = values[0].IsNull ? [] : new ArrayView(values[0].Bytes).ToDatums(element);
            return FormatText.Format(Str(a[0]), items, [.. Enumerable.Repeat(element, items.Length)], c);
        });
    }
}
