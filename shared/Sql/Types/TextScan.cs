using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Types;

/// <summary>Reading numbers from UTF-8 text and writing them, as PostgreSQL's input and output functions do, without strings.</summary>
internal static class TextScan
{
    /// <summary>What C's isspace takes for white space.</summary>
    public static bool IsSpace(byte b) => b is (byte)' ' or (>= 9 and <= 13);

    public static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> text)
    {
        int start = 0;
        int end = text.Length;
        while (start < end && IsSpace(text[start]))
        {
            start++;
        }

        while (end > start && IsSpace(text[end - 1]))
        {
            end--;
        }

        return text[start..end];
    }

    /// <summary>A signed decimal number with white space around it; the whole text must be one.</summary>
    public static long ParseInteger(ReadOnlySpan<byte> text, long min, long max, PgType type)
    {
        ReadOnlySpan<byte> s = Trim(text);
        bool negative = false;
        int i = 0;
        if (s.Length > 0 && s[0] is (byte)'-' or (byte)'+')
        {
            negative = s[0] == (byte)'-';
            i = 1;
        }

        if (i == s.Length)
        {
            throw type.InvalidInput(text);
        }

        long value = 0;
        bool overflow = false;
        for (; i < s.Length; i++)
        {
            int digit = s[i] - '0';
            if ((uint)digit > 9)
            {
                throw type.InvalidInput(text);
            }

            // Counted downwards, since the smallest number has no positive twin.
            if (value < (long.MinValue + digit) / 10)
            {
                overflow = true;
            }
            else
            {
                value = (value * 10) - digit;
            }
        }

        if (overflow || (!negative && value == long.MinValue))
        {
            throw type.OutOfRange(text);
        }

        long result = negative ? value : -value;
        return result < min || result > max ? throw type.OutOfRange(text) : result;
    }

    /// <summary>An unsigned 32-bit number as oidin and xidin take it: a sign is allowed, negative ones wrap.</summary>
    public static uint ParseUInt32(ReadOnlySpan<byte> text, PgType type)
    {
        ReadOnlySpan<byte> s = Trim(text);
        bool negative = s.Length > 0 && s[0] == (byte)'-';
        int i = s.Length > 0 && s[0] is (byte)'-' or (byte)'+' ? 1 : 0;
        if (i == s.Length)
        {
            throw type.InvalidInput(text);
        }

        ulong value = 0;
        for (; i < s.Length; i++)
        {
            int digit = s[i] - '0';
            if ((uint)digit > 9)
            {
                throw type.InvalidInput(text);
            }

            value = (value * 10) + (uint)digit;
            if (value > uint.MaxValue)
            {
                throw type.OutOfRange(text);
            }
        }

        return negative ? (uint)-(long)value : (uint)value;
    }

    public static void WriteInteger(long value, IBufferWriter<byte> output)
    {
        Span<byte> span = output.GetSpan(20);
        _ = Utf8Formatter.TryFormat(value, span, out int written);
        output.Advance(written);
    }

    public static void WriteAscii(string text, IBufferWriter<byte> output)
    {
        Span<byte> span = output.GetSpan(text.Length);
        output.Advance(Encoding.ASCII.GetBytes(text, span));
    }

    public static void WriteText(string text, IBufferWriter<byte> output)
    {
        Span<byte> span = output.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length));
        output.Advance(Encoding.UTF8.GetBytes(text, span));
    }

    public static void Write(ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        bytes.CopyTo(output.GetSpan(bytes.Length));
        output.Advance(bytes.Length);
    }

    public static void Write(byte b, IBufferWriter<byte> output)
    {
        output.GetSpan(1)[0] = b;
        output.Advance(1);
    }

    /// <exception cref="PgException">22021: not UTF-8, or a zero byte.</exception>
    public static void VerifyUtf8(ReadOnlySpan<byte> text)
    {
        if (Utf8.IsValid(text) && !text.Contains((byte)0))
        {
            return;
        }

        int at = 0;
        while (at < text.Length && text[at] != 0 && Rune.DecodeFromUtf8(text[at..], out _, out int used) == OperationStatus.Done)
        {
            at += used;
        }

        int length = text[at] switch { >= 0xF0 and < 0xF8 => 4, >= 0xE0 and < 0xF0 => 3, >= 0xC0 and < 0xE0 => 2, _ => 1 };
        string bytes = string.Join(' ', text.Slice(at, Math.Min(length, text.Length - at)).ToArray().Select(b => $"0x{b:x2}"));
        throw new PgException(SqlStates.CharacterNotInRepertoire, $"invalid byte sequence for encoding \"UTF8\": {bytes}");
    }

    /// <summary>Characters (not bytes) of UTF-8 text.</summary>
    public static int CountCharacters(ReadOnlySpan<byte> text)
    {
        int n = 0;
        foreach (byte b in text)
        {
            n += (b & 0xC0) != 0x80 ? 1 : 0;
        }

        return n;
    }

    /// <summary>The bytes that the first so many characters take; all when there are fewer.</summary>
    public static int ByteLength(ReadOnlySpan<byte> text, int characters)
    {
        if (characters >= text.Length)
        {
            return text.Length;
        }

        int i = 0;
        while (i < text.Length)
        {
            if ((text[i] & 0xC0) != 0x80 && characters-- <= 0)
            {
                break;
            }

            i++;
        }

        return i;
    }
}
