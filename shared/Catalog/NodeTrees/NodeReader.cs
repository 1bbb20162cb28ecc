using System.Globalization;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.NodeTrees;

/// <summary>
/// Reads the text of a pg_node_tree (PostgreSQL's read.c). The form is regular, so no node type has to be known: what is read writes the same text again.
/// </summary>
public sealed class NodeReader
{
    private readonly string _text;
    private int _at;

    private NodeReader(string text) => _text = text;

    /// <exception cref="StorageException">The text is damaged.</exception>
    public static NodeValue Read(string text)
    {
        var reader = new NodeReader(text);
        NodeValue value = reader.ReadValue(reader.Next());
        return reader.Next().IsEmpty ? value : throw new StorageException("text follows the end of a stored expression");
    }

    private NodeValue ReadValue(ReadOnlySpan<char> token)
    {
        switch (token)
        {
            case "{":
                return ReadNode();
            case "(":
                return ReadList();
            case "<>":
                return NullNode.Instance;
            case "" or "}" or ")":
                throw Damaged();
            default:
                return new NodeToken(token.ToString());
        }
    }

    private NodeTree ReadNode()
    {
        string name = Next().ToString();
        var fields = new List<KeyValuePair<string, NodeValue>>();
        ReadOnlySpan<char> token = Next();
        while (token is not "}")
        {
            if (token.Length < 2 || token[0] != ':')
            {
                throw Damaged();
            }

            string field = token[1..].ToString();
            fields.Add(new(field, ReadField(out token)));
        }

        return new NodeTree(name, fields);
    }

    /// <summary>The values up to the next field or the end of the node, whose token it gives back.</summary>
    private NodeValue ReadField(out ReadOnlySpan<char> following)
    {
        NodeValue first = ReadValue(Next());
        following = Next();
        if (following is "[")
        {
            NodeDatum datum = ReadDatum(first);
            following = Next();
            return datum;
        }

        if (following is "}" || following.StartsWith(':'))
        {
            return first;
        }

        List<NodeValue> items = [first];
        while (following is not "}" && !following.StartsWith(':'))
        {
            items.Add(ReadValue(following));
            following = Next();
        }

        return new NodeSequence(items);
    }

    private NodeDatum ReadDatum(NodeValue length)
    {
        var bytes = new List<byte>();
        for (ReadOnlySpan<char> token = Next(); token is not "]"; token = Next())
        {
            bytes.Add((byte)short.Parse(token, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture));
        }

        return new NodeDatum(int.Parse(((NodeToken)length).Raw, CultureInfo.InvariantCulture), [.. bytes]);
    }

    private NodeList ReadList()
    {
        ReadOnlySpan<char> token = Next();
        char kind = token is "i" or "o" or "x" or "b" ? token[0] : '\0';
        if (kind != '\0')
        {
            token = Next();
        }

        var items = new List<NodeValue>();
        while (token is not ")")
        {
            items.Add(ReadValue(token));
            token = Next();
        }

        return new NodeList(kind, items);
    }

    private ReadOnlySpan<char> Next()
    {
        while (_at < _text.Length && _text[_at] is ' ' or '\n' or '\t')
        {
            _at++;
        }

        int start = _at;
        if (_at < _text.Length && _text[_at] is '(' or ')' or '{' or '}')
        {
            _at++;
        }
        else
        {
            while (_at < _text.Length && _text[_at] is not (' ' or '\n' or '\t' or '(' or ')' or '{' or '}'))
            {
                _at += _text[_at] == '\\' && _at + 1 < _text.Length ? 2 : 1;
            }
        }

        return _text.AsSpan(start, _at - start);
    }

    private StorageException Damaged() =>
        new(string.Create(CultureInfo.InvariantCulture, $"a stored expression is damaged near character {_at}"));
}
