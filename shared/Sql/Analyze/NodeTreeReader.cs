using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>Expressions and queries from PostgreSQL's node trees (pg_node_tree: defaults, checks, views).</summary>
internal static class NodeTreeReader
{
    public static IReadOnlyList<Expr> ReadExprs(ISqlCatalog catalog, string tree)
    {
        _ = catalog;
        throw PgException.NotSupported($"node tree {tree.AsSpan(0, Math.Min(40, tree.Length))}");
    }

    public static Expr ReadExpr(ISqlCatalog catalog, string tree) => ReadExprs(catalog, tree)[0];

    public static Query ReadQuery(ISqlCatalog catalog, string tree)
    {
        _ = catalog;
        throw PgException.NotSupported($"view with tree {tree.AsSpan(0, Math.Min(40, tree.Length))}");
    }
}
