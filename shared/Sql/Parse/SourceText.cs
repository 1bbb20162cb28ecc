using System.Text;

namespace SharedStorage.Sql.Parse;

/// <summary>A query string with the two ways to count in it: the parse tree counts UTF-8 bytes from 0, clients count characters from 1.</summary>
public sealed class SourceText
{
    private readonly byte[] _utf8;
    private readonly bool _ascii;

    public SourceText(string text)
    {
        Text = text;
        _utf8 = new byte[Encoding.UTF8.GetMaxByteCount(text.Length) + 1];
        int n = Encoding.UTF8.GetBytes(text, _utf8);
        _utf8[n] = 0;
        Utf8Length = n;
        _ascii = n == text.Length;
    }

    public string Text { get; }
    public int Utf8Length { get; }

    /// <summary>The bytes with a zero byte after the end.</summary>
    internal byte[] ZeroTerminated => _utf8;

    /// <summary>The client's position of a byte offset of the parse tree; 0 for a location that is not known.</summary>
    public int Position(int byteOffset)
    {
        if (byteOffset < 0)
        {
            return 0;
        }

        int n = Math.Min(byteOffset, Utf8Length);
        if (_ascii)
        {
            return n + 1;
        }

        // A character begins with each byte that is not a continuation byte.
        int characters = 0;
        for (int i = 0; i < n; i++)
        {
            characters += (_utf8[i] & 0xC0) == 0x80 ? 0 : 1;
        }

        return characters + 1;
    }

    /// <summary>The text of a statement by the parse tree's location and length (0: to the end).</summary>
    public string Slice(int byteOffset, int length) =>
        Encoding.UTF8.GetString(_utf8, byteOffset, length > 0 ? length : Utf8Length - byteOffset);
}
