using System.Buffers;
using System.Globalization;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>Reads the text form of an array (array_in's rules).</summary>
internal ref struct ArrayParser(ArrayType type, PgType element, int typeModifier, EvalContext context)
{
    private const int MaxDimensions = ArrayView.MaxDimensions;
    private ReadOnlySpan<byte> _text;
    private ReadOnlySpan<byte> _whole;
    private int _at;
    private List<Datum> _values = [];
    private int[] _lengths = new int[MaxDimensions];
    private int _depth;
    private int _dimensions;
    private ArrayBufferWriter<byte> _item = new(32);

    public Datum Parse(ReadOnlySpan<byte> text)
    {
        _text = _whole = text;
        _lengths.AsSpan().Fill(-1);
        SkipSpace();
        List<(int Low, int High)> bounds = ParseBounds();
        if (_at >= _text.Length || _text[_at] != (byte)'{')
        {
            throw Malformed(bounds.Count == 0 ? "Array value must start with \"{\" or dimension information." : "Array contents must start with \"{\".");
        }

        ParseLevel();
        SkipSpace();
        if (_at != _text.Length)
        {
            throw Malformed("Junk after closing right brace.");
        }

        if (_values.Count == 0)
        {
            return ArrayBuilder.Empty(element);
        }

        var low = new int[_dimensions];
        low.AsSpan().Fill(1);
        if (bounds.Count > 0)
        {
            if (bounds.Count != _dimensions)
            {
                throw Malformed("Specified array dimensions do not match array contents.");
            }

            for (int i = 0; i < _dimensions; i++)
            {
                low[i] = bounds[i].Low;
                if (bounds[i].High - bounds[i].Low + 1 != _lengths[i])
                {
                    throw Malformed("Specified array dimensions do not match array contents.");
                }
            }
        }

        return ArrayBuilder.Build(element, _values.ToArray(), _lengths.AsSpan(0, _dimensions), low);
    }

    // "[low:high][low:high]=" before the braces.
    private List<(int Low, int High)> ParseBounds()
    {
        var bounds = new List<(int, int)>();
        while (_at < _text.Length && _text[_at] == (byte)'[')
        {
            int end = _text[_at..].IndexOf((byte)']');
            if (end < 0)
            {
                throw Malformed("Missing \"]\" after array dimensions.");
            }

            string[] parts = Encoding.UTF8.GetString(_text.Slice(_at + 1, end - 1)).Split(':');
            int low = 1;
            if (parts.Length > 2
                || !int.TryParse(parts[^1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int high)
                || (parts.Length == 2 && !int.TryParse(parts[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out low)))
            {
                throw Malformed("\"[\" must introduce explicitly-specified array dimensions.");
            }

            if (high < low)
            {
                throw new PgException("2202E", "upper bound cannot be less than lower bound");
            }

            bounds.Add((low, high));
            _at += end + 1;
            SkipSpace();
        }

        if (bounds.Count > 0)
        {
            if (_at >= _text.Length || _text[_at] != (byte)'=')
            {
                throw Malformed("Missing \"=\" after array dimensions.");
            }

            _at++;
            SkipSpace();
        }

        return bounds;
    }

    // At "{": one level up to its "}".
    private void ParseLevel()
    {
        if (_depth >= MaxDimensions)
        {
            throw new PgException(SqlStates.ProgramLimitExceeded,
                $"number of array dimensions ({_depth + 1}) exceeds the maximum allowed ({MaxDimensions})");
        }

        int level = _depth++;
        _at++;
        int count = 0;
        SkipSpace();
        if (_at < _text.Length && _text[_at] == (byte)'}')
        {
            Close(level, 0);
            return;
        }

        while (true)
        {
            SkipSpace();
            if (_at >= _text.Length)
            {
                throw Malformed("Unexpected end of input.");
            }

            if (_text[_at] == (byte)'{')
            {
                if (_dimensions != 0 && _depth >= _dimensions)
                {
                    throw Malformed($"Unexpected \"{{\" character.");
                }

                ParseLevel();
            }
            else
            {
                if (_dimensions == 0)
                {
                    _dimensions = _depth;
                }
                else if (_dimensions != _depth)
                {
                    throw Malformed("Unexpected array element.");
                }

                ParseItem();
            }

            count++;
            SkipSpace();
            if (_at >= _text.Length)
            {
                throw Malformed("Unexpected end of input.");
            }

            if (_text[_at] == (byte)type.Delimiter)
            {
                _at++;
            }
            else if (_text[_at] == (byte)'}')
            {
                Close(level, count);
                return;
            }
            else
            {
                throw Malformed("Unexpected array element.");
            }
        }
    }

    private void Close(int level, int count)
    {
        _at++;
        _depth--;
        if (_lengths[level] < 0)
        {
            _lengths[level] = count;
        }
        else if (_lengths[level] != count)
        {
            throw Malformed("Multidimensional arrays must have sub-arrays with matching dimensions.");
        }
    }

    private void ParseItem()
    {
        _item.ResetWrittenCount();
        bool quoted = false;
        int keep = 0;
        while (true)
        {
            if (_at >= _text.Length)
            {
                throw Malformed("Unexpected end of input.");
            }

            byte b = _text[_at];
            if (b == (byte)'\\')
            {
                if (++_at >= _text.Length)
                {
                    throw Malformed("Unexpected end of input.");
                }

                TextScan.Write(_text[_at++], _item);
                quoted = true;
                keep = _item.WrittenCount;
            }
            else if (b == (byte)'"')
            {
                if (_item.WrittenCount > 0)
                {
                    throw Malformed("Unexpected array element.");
                }

                ParseQuoted();
                quoted = true;
                keep = _item.WrittenCount;
                SkipSpace();
                break;
            }
            else if (b is (byte)'{')
            {
                throw Malformed("Unexpected \"{\" character.");
            }
            else if (b is (byte)'}' || b == (byte)type.Delimiter)
            {
                break;
            }
            else
            {
                TextScan.Write(b, _item);
                _at++;
                keep = TextScan.IsSpace(b) ? keep : _item.WrittenCount;
            }
        }

        ReadOnlySpan<byte> text = _item.WrittenSpan[..keep];
        if (!quoted && text.IsEmpty)
        {
            throw Malformed($"Unexpected \"{(char)_text[_at]}\" character.");
        }

        _values.Add(!quoted && Ascii.EqualsIgnoreCase(text, "NULL"u8) ? Datum.Null : element.Input(text, typeModifier, context));
    }

    private void ParseQuoted()
    {
        _at++;
        while (true)
        {
            if (_at >= _text.Length)
            {
                throw Malformed("Unexpected end of input.");
            }

            byte b = _text[_at++];
            if (b == (byte)'"')
            {
                return;
            }

            if (b == (byte)'\\')
            {
                if (_at >= _text.Length)
                {
                    throw Malformed("Unexpected end of input.");
                }

                b = _text[_at++];
            }

            TextScan.Write(b, _item);
        }
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && TextScan.IsSpace(_text[_at]))
        {
            _at++;
        }
    }

    private readonly PgException Malformed(string detail) =>
        new(SqlStates.InvalidTextRepresentation, $"malformed array literal: \"{Encoding.UTF8.GetString(_whole)}\"") { Detail = detail };
}
