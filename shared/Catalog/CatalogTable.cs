using System.Globalization;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>A typed row of a system catalog: made from and turned into datums in column order.</summary>
public interface ICatalogRow<TSelf>
    where TSelf : ICatalogRow<TSelf>
{
    static abstract TSelf Read(ReadOnlySpan<Datum> values);
    void Write(Span<Datum> values);
}

/// <summary>An index of a system catalog; <see cref="Columns"/> are column numbers from 1, as in pg_index.indkey.</summary>
public sealed class CatalogIndex(uint id, string name, bool unique, bool primary, short[] columns)
{
    public Oid Id { get; } = new(id);
    public string Name { get; } = name;
    public bool IsUnique { get; } = unique;
    public bool IsPrimary { get; } = primary;
    public IReadOnlyList<short> Columns { get; } = columns;
    public CatalogTable Table { get; internal set; } = null!;
}

/// <summary>A system catalog: its number, columns and indexes, fixed for PostgreSQL 15.</summary>
public abstract class CatalogTable
{
    private protected CatalogTable(uint id, string name, bool shared, uint toast, uint toastIndex, string columns, CatalogIndex[] indexes)
    {
        Id = new Oid(id);
        Name = name;
        IsShared = shared;
        ToastId = new Oid(toast);
        ToastIndexId = new Oid(toastIndex);
        Desc = CatalogColumns.Parse(columns);
        Indexes = indexes;
        foreach (CatalogIndex index in indexes)
        {
            index.Table = this;
        }
    }

    public Oid Id { get; }
    public string Name { get; }

    /// <summary>Its files lie in global/; one for all databases.</summary>
    public bool IsShared { get; }

    /// <summary>0 for a catalog without a TOAST table.</summary>
    public Oid ToastId { get; }

    public Oid ToastIndexId { get; }
    public TupleDesc Desc { get; }
    public IReadOnlyList<CatalogIndex> Indexes { get; }

    /// <summary>The index over just these columns, by name; an argument error when there is none.</summary>
    public CatalogIndex IndexOn(params string[] columns)
    {
        foreach (CatalogIndex index in Indexes)
        {
            if (index.Columns.Select(c => Desc[c - 1].Name).SequenceEqual(columns, StringComparer.Ordinal))
            {
                return index;
            }
        }

        throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{Name} has no index on ({string.Join(", ", columns)})"), nameof(columns));
    }

    public override string ToString() => Name;
}

/// <summary>A system catalog whose rows are of a known class.</summary>
public sealed class CatalogTable<TRow> : CatalogTable
    where TRow : class, ICatalogRow<TRow>
{
    internal CatalogTable(uint id, string name, bool shared, uint toast, uint toastIndex, string columns, CatalogIndex[] indexes)
        : base(id, name, shared, toast, toastIndex, columns, indexes)
    {
    }

    public TRow Read(ReadOnlySpan<Datum> values) => TRow.Read(values);

    public Datum[] Write(TRow row)
    {
        var values = new Datum[Desc.Count];
        row.Write(values);
        return values;
    }
}
