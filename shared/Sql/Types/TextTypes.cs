using System.Buffers;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>text, and varchar with its limit in characters.</summary>
internal sealed class TextType(bool limited) : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        TextScan.VerifyUtf8(text);
        return limited ? Limit(text, typeModifier) : Datum.FromBytes(text.ToArray());
    }

    /// <summary>varchar(n) on input and in assignments: what is too long must be blanks, which are cut.</summary>
    public static Datum Limit(ReadOnlySpan<byte> text, int typeModifier) => Datum.FromBytes(text[..LimitLength(text, typeModifier)].ToArray());

    public static int LimitLength(ReadOnlySpan<byte> text, int typeModifier)
    {
        int max = typeModifier - 4;
        if (typeModifier < 4 || text.Length <= max)
        {
            return text.Length;
        }

        int cut = TextScan.ByteLength(text, max);
        return text[cut..].TrimEnd((byte)' ').Length > 0
            ? throw new PgException(SqlStates.StringDataRightTruncation, $"value too long for type character varying({max})")
            : cut;
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bytes, output);
    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context) => Input(data, typeModifier, context);
    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bytes, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => (collation ?? Collation.C).Compare(a.Bytes, b.Bytes);
    public override bool AreEqual(Datum a, Datum b) => a.Bytes.AsSpan().SequenceEqual(b.Bytes);
    public override int Hash(Datum value) => HashMix.Of(value.Bytes);

    public override int ParseTypeModifier(IReadOnlyList<int> parts) =>
        limited ? CharacterModifier.Parse(parts, "varchar") : base.ParseTypeModifier(parts);

    public override string FormatTypeModifier(int typeModifier) => typeModifier > 4 ? $"({typeModifier - 4})" : "";
}

/// <summary>bpchar, character(n): padded with blanks to its length, which do not count in comparisons.</summary>
internal sealed class BpCharType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        TextScan.VerifyUtf8(text);
        return Fit(text, typeModifier, cut: false);
    }

    /// <summary>Padded or cut to the length; what an explicit cast cuts need not be blank.</summary>
    public static Datum Fit(ReadOnlySpan<byte> text, int typeModifier, bool cut)
    {
        int max = typeModifier - 4;
        if (typeModifier < 4)
        {
            return Datum.FromBytes(text.ToArray());
        }

        int characters = TextScan.CountCharacters(text);
        if (characters > max)
        {
            int length = TextScan.ByteLength(text, max);
            if (!cut && text[length..].TrimEnd((byte)' ').Length > 0)
            {
                throw new PgException(SqlStates.StringDataRightTruncation, $"value too long for type character({max})");
            }

            return Datum.FromBytes(text[..length].ToArray());
        }

        var padded = new byte[text.Length + max - characters];
        text.CopyTo(padded);
        padded.AsSpan(text.Length).Fill((byte)' ');
        return Datum.FromBytes(padded);
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bytes, output);
    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context) => Input(data, typeModifier, context);
    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bytes, output);

    public override int Compare(Datum a, Datum b, Collation? collation) =>
        (collation ?? Collation.C).Compare(Comparators.TrimBlanks(a.Bytes), Comparators.TrimBlanks(b.Bytes));

    public override int Hash(Datum value) => HashMix.Of(Comparators.TrimBlanks(value.Bytes));
    public override int ParseTypeModifier(IReadOnlyList<int> parts) => CharacterModifier.Parse(parts, "char");
    public override string FormatTypeModifier(int typeModifier) => typeModifier > 4 ? $"({typeModifier - 4})" : "";
}

internal static class CharacterModifier
{
    private const int MaxLength = 10 * 1024 * 1024;

    public static int Parse(IReadOnlyList<int> parts, string name)
    {
        if (parts.Count != 1)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "invalid type modifier");
        }

        return parts[0] switch
        {
            < 1 => throw new PgException(SqlStates.InvalidParameterValue, $"length for type {name} must be at least 1"),
            > MaxLength => throw new PgException(SqlStates.InvalidParameterValue, $"length for type {name} cannot exceed {MaxLength}"),
            _ => parts[0] + 4,
        };
    }
}

/// <summary>name: 64 bytes, padded with zeros; longer input is cut between characters.</summary>
internal sealed class NameType : PgType
{
    public const int Size = 64;

    public static Datum From(ReadOnlySpan<byte> text)
    {
        var bytes = new byte[Size];
        if (text.Length >= Size)
        {
            int cut = Size - 1;
            while (cut > 0 && (text[cut] & 0xC0) == 0x80)
            {
                cut--;
            }

            text = text[..cut];
        }

        text.CopyTo(bytes);
        return Datum.FromBytes(bytes);
    }

    public static Datum From(string text) => From(Encoding.UTF8.GetBytes(text));

    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        TextScan.VerifyUtf8(text);
        return From(text);
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(Comparators.NameBytes(value), output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context) =>
        data.Length < Size
            ? Input(data, typeModifier, context)
            : throw new PgException(SqlStates.NameTooLong, "identifier too long") { Detail = $"Identifier must be less than {Size} characters." };

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => Output(value, output, context);

    public override int Compare(Datum a, Datum b, Collation? collation) =>
        (collation ?? Collation.C).Compare(Comparators.NameBytes(a), Comparators.NameBytes(b));

    public override bool AreEqual(Datum a, Datum b) => Comparators.NameBytes(a).SequenceEqual(Comparators.NameBytes(b));
    public override int Hash(Datum value) => HashMix.Of(Comparators.NameBytes(value));
}

/// <summary>cstring, and unknown: the text as it came.</summary>
internal sealed class CStringType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) => Datum.FromBytes(text.ToArray());
    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bytes, output);
    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context) => Datum.FromBytes(data.ToArray());
    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bytes, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => a.Bytes.AsSpan().SequenceCompareTo(b.Bytes);
    public override int Hash(Datum value) => HashMix.Of(value.Bytes);
}

/// <summary>bytea: hexadecimal or escaped text.</summary>
internal sealed class ByteaType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        if (text.StartsWith("\\x"u8))
        {
            return Datum.FromBytes(Hex.Decode(text[2..]));
        }

        var result = new List<byte>(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != (byte)'\\')
            {
                result.Add(text[i]);
            }
            else if (i + 1 < text.Length && text[i + 1] == (byte)'\\')
            {
                result.Add((byte)'\\');
                i++;
            }
            else if (i + 3 < text.Length && text[i + 1] is >= (byte)'0' and <= (byte)'3'
                && text[i + 2] is >= (byte)'0' and <= (byte)'7' && text[i + 3] is >= (byte)'0' and <= (byte)'7')
            {
                result.Add((byte)(((text[i + 1] - '0') << 6) | ((text[i + 2] - '0') << 3) | (text[i + 3] - '0')));
                i += 3;
            }
            else
            {
                throw new PgException(SqlStates.InvalidTextRepresentation, "invalid input syntax for type bytea");
            }
        }

        return Datum.FromBytes([.. result]);
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        byte[] bytes = value.Bytes;
        if (context.ByteaHex)
        {
            Span<byte> span = output.GetSpan((bytes.Length * 2) + 2);
            "\\x"u8.CopyTo(span);
            Hex.Encode(bytes, span[2..]);
            output.Advance((bytes.Length * 2) + 2);
            return;
        }

        TextScan.Write(Escape(bytes), output);
    }

    /// <summary>The escape format: backslash doubled, bytes outside printable ASCII as \ooo.</summary>
    public static byte[] Escape(ReadOnlySpan<byte> bytes)
    {
        var result = new List<byte>(bytes.Length);
        foreach (byte b in bytes)
        {
            if (b == (byte)'\\')
            {
                result.AddRange("\\\\"u8);
            }
            else if (b is < 0x20 or > 0x7E)
            {
                result.AddRange([(byte)'\\', (byte)('0' + (b >> 6)), (byte)('0' + ((b >> 3) & 7)), (byte)('0' + (b & 7))]);
            }
            else
            {
                result.Add(b);
            }
        }

        return [.. result];
    }

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context) => Datum.FromBytes(data.ToArray());
    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bytes, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => a.Bytes.AsSpan().SequenceCompareTo(b.Bytes);
    public override bool AreEqual(Datum a, Datum b) => a.Bytes.AsSpan().SequenceEqual(b.Bytes);
    public override int Hash(Datum value) => HashMix.Of(value.Bytes);
}

/// <summary>uuid: 16 bytes; braces and hyphens after each group of four digits are optional on input.</summary>
internal sealed class UuidType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        var result = new byte[16];
        ReadOnlySpan<byte> s = text;
        bool braces = s.Length > 0 && s[0] == (byte)'{';
        int at = braces ? 1 : 0;
        for (int i = 0; i < 16; i++)
        {
            if (at + 1 >= s.Length)
            {
                throw InvalidInput(text);
            }

            int high = Hex.Value(s[at]);
            int low = Hex.Value(s[at + 1]);
            if (high < 0 || low < 0)
            {
                throw InvalidInput(text);
            }

            result[i] = (byte)((high << 4) | low);
            at += 2;
            if (i % 2 == 1 && i < 15 && at < s.Length && s[at] == (byte)'-')
            {
                at++;
            }
        }

        if (braces)
        {
            if (at >= s.Length || s[at] != (byte)'}')
            {
                throw InvalidInput(text);
            }

            at++;
        }

        return at == s.Length ? Datum.FromBytes(result) : throw InvalidInput(text);
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        Span<byte> hex = stackalloc byte[32];
        Hex.Encode(value.Bytes, hex);
        Span<byte> span = output.GetSpan(36);
        hex[..8].CopyTo(span);
        span[8] = span[13] = span[18] = span[23] = (byte)'-';
        hex[8..12].CopyTo(span[9..]);
        hex[12..16].CopyTo(span[14..]);
        hex[16..20].CopyTo(span[19..]);
        hex[20..].CopyTo(span[24..]);
        output.Advance(36);
    }

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 16);
        return Datum.FromBytes(data.ToArray());
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bytes, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => a.Bytes.AsSpan().SequenceCompareTo(b.Bytes);
    public override int Hash(Datum value) => HashMix.Of(value.Bytes);
}

internal static class Hex
{
    private static ReadOnlySpan<byte> Digits => "0123456789abcdef"u8;

    public static int Value(byte b) => b switch
    {
        >= (byte)'0' and <= (byte)'9' => b - '0',
        >= (byte)'a' and <= (byte)'f' => b - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => b - 'A' + 10,
        _ => -1,
    };

    public static void Encode(ReadOnlySpan<byte> bytes, Span<byte> output)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            output[2 * i] = Digits[bytes[i] >> 4];
            output[(2 * i) + 1] = Digits[bytes[i] & 15];
        }
    }

    /// <exception cref="PgException">22023: not pairs of hexadecimal digits.</exception>
    public static byte[] Decode(ReadOnlySpan<byte> text)
    {
        var result = new List<byte>(text.Length / 2);
        for (int i = 0; i < text.Length; i++)
        {
            if (TextScan.IsSpace(text[i]))
            {
                continue;
            }

            int high = Digit(text, i);
            if (++i >= text.Length)
            {
                throw new PgException(SqlStates.InvalidParameterValue, "invalid hexadecimal data: odd number of digits");
            }

            result.Add((byte)((high << 4) | Digit(text, i)));
        }

        return [.. result];
    }

    private static int Digit(ReadOnlySpan<byte> text, int at)
    {
        int v = Value(text[at]);
        if (v >= 0)
        {
            return v;
        }

        string shown = Encoding.UTF8.GetString(text[at..]);
        throw new PgException(SqlStates.InvalidParameterValue, $"invalid hexadecimal digit: \"{Rune.GetRuneAt(shown, 0)}\"");
    }
}
