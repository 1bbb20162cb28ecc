namespace SharedStorage.Tools;

/// <summary>
/// Numbers as C's <c>sscanf</c> reads them: blanks and a sign before, whatever follows ignored, too large ones cut to 32 bits. What <c>pg_waldump</c> takes, <c>waldump</c> takes.
/// </summary>
internal ref struct Scanf(ReadOnlySpan<char> text)
{
    private ReadOnlySpan<char> _rest = text;

    public bool TryUnsigned(out uint value) => TryNumber(10, out value);

    public bool TryHex(out uint value) => TryNumber(16, out value);

    public bool TrySigned(out int value)
    {
        bool read = TryNumber(10, out uint bits);
        value = (int)bits;
        return read;
    }

    public bool TryChar(char c)
    {
        if (_rest.IsEmpty || _rest[0] != c)
        {
            return false;
        }

        _rest = _rest[1..];
        return true;
    }

    private bool TryNumber(uint radix, out uint value)
    {
        ReadOnlySpan<char> s = _rest.TrimStart(" \t\n\v\f\r");
        bool negative = !s.IsEmpty && s[0] == '-';
        if (!s.IsEmpty && (s[0] is '-' or '+'))
        {
            s = s[1..];
        }

        if (radix == 16 && s.Length > 1 && s[0] == '0' && (s[1] is 'x' or 'X'))
        {
            s = s[2..];
        }

        ulong number = 0;
        int digits = 0;
        while (digits < s.Length && char.IsAsciiHexDigit(s[digits]) && Digit(s[digits]) < radix)
        {
            number = number > (ulong.MaxValue - 15) / radix ? ulong.MaxValue : (number * radix) + Digit(s[digits]);
            digits++;
        }

        value = negative ? (uint)-(long)number : (uint)number;
        _rest = s[digits..];
        return digits > 0;
    }

    private static uint Digit(char c) => (uint)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}
