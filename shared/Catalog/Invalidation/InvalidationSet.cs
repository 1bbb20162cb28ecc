using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Invalidation;

/// <summary>What the messages of one commit (or of a transaction so far) say about one database and the shared catalogs.</summary>
internal sealed class InvalidationSet
{
    private readonly HashSet<Oid> _catalogs = [];

    public HashSet<Oid> Relations { get; } = [];
    public bool AllRelations { get; private set; }
    public bool RelationMap { get; private set; }

    private bool Everything { get; set; }

    public bool IsEmpty => !Everything && _catalogs.Count == 0 && Relations.Count == 0 && !AllRelations && !RelationMap;

    public bool Touches(Oid catalog) => Everything || _catalogs.Contains(catalog);

    /// <summary>Takes the messages that concern the database; ones of other databases are left out.</summary>
    public void Add(ReadOnlySpan<byte> messages, Oid database)
    {
        for (; messages.Length >= InvalidationMessage.Size; messages = messages[InvalidationMessage.Size..])
        {
            InvalidationMessage m = InvalidationMessage.Read(messages);
            if (!m.Database.IsValid || m.Database == database)
            {
                Add(m);
            }
        }
    }

    private void Add(InvalidationMessage m)
    {
        switch (m.Kind)
        {
            case InvalidationKind.CatalogCache:
                if (m.Cache < SysCache.All.Count)
                {
                    _catalogs.Add(SysCache.All[m.Cache].Catalog);
                }
                else
                {
                    ForgetAll();
                }

                break;
            case InvalidationKind.Catalog:
            case InvalidationKind.Snapshot:
                _catalogs.Add(new Oid(m.Value));
                break;
            case InvalidationKind.Relation when m.Value == 0:
                AllRelations = true;
                break;
            case InvalidationKind.Relation:
                Relations.Add(new Oid(m.Value));
                break;
            case InvalidationKind.RelationMap:
                RelationMap = true;
                break;
            case InvalidationKind.Unknown:
                ForgetAll();
                break;
        }
    }

    private void ForgetAll()
    {
        Everything = true;
        AllRelations = true;
        RelationMap = true;
    }
}
