using SharedStorage.Catalog.Ddl;
using SharedStorage.Hosting.Engine;
using SharedStorage.Sql.Session;

namespace SharedStorage.Hosting.Node;

/// <summary>Gives the sessions of a node its catalogs, and on a writer the counter of object numbers.</summary>
public static class NodeSql
{
    public static void Attach(SqlNode node, NodeEngine engine, OidCounter? oids)
    {
        _ = node;
        _ = engine;
        _ = oids;
    }
}
