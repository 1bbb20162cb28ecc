using System.Globalization;
using System.Text;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.NodeTrees;

/// <summary>A value in PostgreSQL's textual form of its node trees (outfuncs.c): what pg_node_tree columns hold.</summary>
public abstract class NodeValue
{
    /// <summary>The text form, just as PostgreSQL writes it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        WriteTo(text);
        return text.ToString();
    }

    internal abstract void WriteTo(StringBuilder text);
}

/// <summary>"&lt;&gt;": no node, no string.</summary>
public sealed class NullNode : NodeValue
{
    public static readonly NullNode Instance = new();

    private NullNode()
    {
    }

    internal override void WriteTo(StringBuilder text) => text.Append("<>");
}

/// <summary>
/// One word: a number, a flag, a letter, a name; or, within double quotes, a string node. Kept as written, with a backslash before characters that would end it.
/// </summary>
public sealed class NodeToken(string raw) : NodeValue
{
    public string Raw { get; } = raw;

    /// <summary>Whether it is a string node ("abc" in double quotes).</summary>
    public bool IsString => Raw.Length >= 2 && Raw[0] == '"' && Raw[^1] == '"';

    /// <summary>The characters without quotes and backslashes.</summary>
    public string Text
    {
        get
        {
            ReadOnlySpan<char> raw = IsString ? Raw.AsSpan(1, Raw.Length - 2) : Raw;
            var text = new StringBuilder(raw.Length);
            for (int i = 0; i < raw.Length; i++)
            {
                if (raw[i] == '\\' && i + 1 < raw.Length)
                {
                    i++;
                }

                text.Append(raw[i]);
            }

            return text.ToString();
        }
    }

    /// <summary>A name or other string field.</summary>
    public static NodeValue FromText(string? text) => text is null ? NullNode.Instance : new NodeToken(text.Length == 0 ? "\"\"" : Escape(text));

    /// <summary>A string node, as in lists of names.</summary>
    public static NodeToken FromString(string text) => new("\"" + (text.Length == 0 ? "" : Escape(text)) + "\"");
    public static NodeToken FromInt(long value) => new(value.ToString(CultureInfo.InvariantCulture));
    public static NodeToken FromBool(bool value) => new(value ? "true" : "false");

    internal override void WriteTo(StringBuilder text) => text.Append(Raw);

    private static string Escape(string s)
    {
        var text = new StringBuilder(s.Length);

        // A word that could be taken for a number or a null begins with a backslash.
        if (s[0] is '<' or '"' || char.IsAsciiDigit(s[0]) || (s[0] is '+' or '-' && s.Length > 1 && (char.IsAsciiDigit(s[1]) || s[1] == '.')))
        {
            text.Append('\\');
        }

        foreach (char c in s)
        {
            if (c is ' ' or '\n' or '\t' or '(' or ')' or '{' or '}' or '\\')
            {
                text.Append('\\');
            }

            text.Append(c);
        }

        return text.ToString();
    }
}

/// <summary>A list in parentheses: of nodes, or after a letter of integers (i), object numbers (o), transaction numbers (x) or members of a set (b).</summary>
public sealed class NodeList(char kind, IReadOnlyList<NodeValue> items) : NodeValue
{
    /// <summary>'i', 'o', 'x', 'b', or '\0' for nodes.</summary>
    public char Kind { get; } = kind;

    public IReadOnlyList<NodeValue> Items { get; } = items;

    public static NodeList Of(params IReadOnlyList<NodeValue> items) => new('\0', items);

    internal override void WriteTo(StringBuilder text)
    {
        text.Append('(');
        bool first = true;
        if (Kind != '\0')
        {
            text.Append(Kind);
            first = false;
        }

        foreach (NodeValue item in Items)
        {
            if (!first)
            {
                text.Append(' ');
            }

            first = false;
            item.WriteTo(text);
        }

        text.Append(')');
    }
}

/// <summary>A constant's value: its length and bytes ("4 [ 42 0 0 0 0 0 0 0 ]"). By-value types always have 8 bytes; others their own, with the varlena header.</summary>
public sealed class NodeDatum(int length, byte[] bytes) : NodeValue
{
    public int Length { get; } = length;
    public byte[] Bytes { get; } = bytes;

    internal override void WriteTo(StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"{Length} [ ");
        foreach (byte b in Bytes)
        {
            text.Append(CultureInfo.InvariantCulture, $"{(sbyte)b} ");
        }

        text.Append(']');
    }
}

/// <summary>Several words for one field (arrays).</summary>
public sealed class NodeSequence(IReadOnlyList<NodeValue> items) : NodeValue
{
    public IReadOnlyList<NodeValue> Items { get; } = items;

    internal override void WriteTo(StringBuilder text)
    {
        for (int i = 0; i < Items.Count; i++)
        {
            if (i > 0)
            {
                text.Append(' ');
            }

            Items[i].WriteTo(text);
        }
    }
}

/// <summary>A node: its name and fields in PostgreSQL's order, "{CONST :consttype 23 ...}".</summary>
public sealed class NodeTree(string name, IReadOnlyList<KeyValuePair<string, NodeValue>> fields) : NodeValue
{
    public string Name { get; } = name;
    public IReadOnlyList<KeyValuePair<string, NodeValue>> Fields { get; } = fields;

    /// <summary>A field's value; null when the node has no such field.</summary>
    public NodeValue? this[string field]
    {
        get
        {
            foreach (KeyValuePair<string, NodeValue> f in Fields)
            {
                if (string.Equals(f.Key, field, StringComparison.Ordinal))
                {
                    return f.Value;
                }
            }

            return null;
        }
    }

    /// <summary>A node in a field; null for "&lt;&gt;".</summary>
    public NodeTree? Node(string field) => this[field] as NodeTree;

    /// <summary>The items of a list in a field; none for "&lt;&gt;".</summary>
    public IReadOnlyList<NodeValue> List(string field) => this[field] is NodeList list ? list.Items : [];

    /// <exception cref="StorageException">The field is missing or no number.</exception>
    public long Int(string field) => long.TryParse(Token(field).Raw, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long v)
        ? v
        : throw Damaged(field);

    public Oid Oid(string field) => new((uint)Int(field));
    public bool Bool(string field) => Token(field).Raw == "true";
    public double Double(string field) => double.Parse(Token(field).Raw, CultureInfo.InvariantCulture);

    /// <summary>A string field; null for "&lt;&gt;".</summary>
    public string? Text(string field) => this[field] is NullNode ? null : Token(field).IsString && Token(field).Raw.Length == 2 ? "" : Token(field).Text;

    internal override void WriteTo(StringBuilder text)
    {
        text.Append('{').Append(Name);
        foreach (KeyValuePair<string, NodeValue> f in Fields)
        {
            text.Append(" :").Append(f.Key).Append(' ');
            f.Value.WriteTo(text);
        }

        text.Append('}');
    }

    private NodeToken Token(string field) => this[field] as NodeToken ?? throw Damaged(field);

    private StorageException Damaged(string field) => new($"node {Name} of a stored expression has no usable field \"{field}\"");
}
