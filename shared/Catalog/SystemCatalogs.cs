using System.Collections.Frozen;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

public static partial class SystemCatalogs
{
    // An explicit static constructor runs after the initializers of all parts, whatever their order.
    static SystemCatalogs()
    {
        All = CatalogList.Tables;
        ById = All.ToFrozenDictionary(t => t.Id);
        IndexById = All.SelectMany(t => t.Indexes).ToFrozenDictionary(i => i.Id);
    }

    public static IReadOnlyList<CatalogTable> All { get; }
    public static FrozenDictionary<Oid, CatalogTable> ById { get; }
    public static FrozenDictionary<Oid, CatalogIndex> IndexById { get; }

    private static CatalogIndex Key(uint id, string name, bool unique, bool primary, short[] columns) => new(id, name, unique, primary, columns);

    private static CatalogTable<TRow> Define<TRow>(uint id, string name, bool shared, uint toast, uint toastIndex, string columns, params CatalogIndex[] indexes)
        where TRow : class, ICatalogRow<TRow>
    {
        var table = new CatalogTable<TRow>(id, name, shared, toast, toastIndex, columns, indexes);
        CatalogList.Tables.Add(table);
        return table;
    }

    // A class of its own: it is initialized at the first use, before any part of the outer class needs it.
    private static class CatalogList
    {
        public static readonly List<CatalogTable> Tables = [];
    }
}
