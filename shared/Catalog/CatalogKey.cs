using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>
/// Values for the leading columns of a catalog index: at most one name, the other columns numbers. A key of the caches, and what an index scan looks for.
/// </summary>
internal readonly record struct CatalogKey
{
    private CatalogKey(CatalogIndex index, int count, string? name, long a, long b, long c)
    {
        Index = index;
        Count = count;
        Name = name;
        A = a;
        B = b;
        C = c;
    }

    public CatalogIndex Index { get; }
    public int Count { get; }
    public string? Name { get; }
    public long A { get; }
    public long B { get; }
    public long C { get; }

    public static CatalogKey Of(CatalogIndex index, Oid a) => new(index, 1, null, a.Value, 0, 0);
    public static CatalogKey Of(CatalogIndex index, Oid a, long b) => new(index, 2, null, a.Value, b, 0);
    public static CatalogKey Of(CatalogIndex index, Oid a, Oid b) => new(index, 2, null, a.Value, b.Value, 0);
    public static CatalogKey Of(CatalogIndex index, Oid a, long b, long c) => new(index, 3, null, a.Value, b, c);
    public static CatalogKey Of(CatalogIndex index, Oid a, Oid b, long c) => new(index, 3, null, a.Value, b.Value, c);
    public static CatalogKey Of(CatalogIndex index, string name) => new(index, 1, name, 0, 0, 0);
    public static CatalogKey Of(CatalogIndex index, string name, Oid a) => new(index, 2, name, a.Value, 0, 0);
    public static CatalogKey Of(CatalogIndex index, string name, Oid a, Oid b) => new(index, 3, name, a.Value, b.Value, 0);

    /// <summary>The values in the order of the index columns.</summary>
    public Datum[] ToDatums()
    {
        var values = new Datum[Count];
        int number = 0;
        for (int i = 0; i < Count; i++)
        {
            TupleAttribute column = Index.Table.Desc[Index.Columns[i] - 1];
            values[i] = column.TypeId.Value == PgTypes.Name
                ? CatalogDatum.FromName(Name!)
                : Datum.FromInt64(number++ switch { 0 => A, 1 => B, _ => C });
        }

        return values;
    }
}
