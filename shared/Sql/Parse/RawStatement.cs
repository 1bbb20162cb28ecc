using PgQuery;

namespace SharedStorage.Sql.Parse;

/// <summary>One statement of a query string, as the grammar gives it.</summary>
public sealed class RawStatement(SourceText source, Node tree, int location, int length)
{
    public SourceText Source { get; } = source;
    public Node Tree { get; } = tree;

    /// <summary>The statement's own text.</summary>
    public string Text => Source.Slice(location, length).Trim();
}
