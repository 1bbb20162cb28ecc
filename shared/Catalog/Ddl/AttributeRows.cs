using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Rows of pg_attribute: of a type's columns, and the six system columns that every table has.</summary>
internal static class AttributeRows
{
    public static IReadOnlyList<PgAttribute> System { get; } =
    [
        SystemColumn("ctid", PgTypes.Tid, 6, -1, false, 's'),
        SystemColumn("xmin", PgTypes.Xid, 4, -2, true, 'i'),
        SystemColumn("cmin", PgTypes.Cid, 4, -3, true, 'i'),
        SystemColumn("xmax", PgTypes.Xid, 4, -4, true, 'i'),
        SystemColumn("cmax", PgTypes.Cid, 4, -5, true, 'i'),
        SystemColumn("tableoid", PgTypes.Oid, 4, -6, true, 'i'),
    ];

    public static PgAttribute OfType(PgType type, string name, short number) => new()
    {
        AttName = name,
        AttTypId = type.Oid,
        AttStatTarget = -1,
        AttLen = type.TypLen,
        AttNum = number,
        AttCacheOff = -1,
        AttTypMod = -1,
        AttByVal = type.TypByVal,
        AttAlign = type.TypAlign,
        AttStorage = type.TypStorage,
        AttIsLocal = true,
        AttCollation = type.TypCollation,
    };

    /// <summary>An index column like a table's: type and storage, but none of its constraints and options.</summary>
    public static PgAttribute ForIndex(PgAttribute column) => new()
    {
        AttName = column.AttName,
        AttTypId = column.AttTypId,
        AttStatTarget = -1,
        AttLen = column.AttLen,
        AttNDims = column.AttNDims,
        AttCacheOff = -1,
        AttTypMod = column.AttTypMod,
        AttByVal = column.AttByVal,
        AttAlign = column.AttAlign,
        AttStorage = column.AttStorage,
        AttCompression = column.AttCompression,
        AttIsLocal = true,
    };

    public static PgAttribute FromDescription(TupleAttribute a) => new()
    {
        AttName = a.Name,
        AttTypId = a.TypeId,
        AttStatTarget = -1,
        AttLen = a.Length,
        AttNum = a.Number,
        AttNDims = a.Dimensions,
        AttCacheOff = -1,
        AttTypMod = a.TypeModifier,
        AttByVal = a.ByValue,
        AttAlign = a.Alignment switch { 1 => 'c', 2 => 's', 4 => 'i', _ => 'd' },
        AttStorage = a.Storage,
        AttCompression = a.Compression,
        AttIsLocal = true,
        AttCollation = a.Collation,
    };

    private static PgAttribute SystemColumn(string name, uint type, short length, short number, bool byValue, char align) => new()
    {
        AttName = name,
        AttTypId = new Oid(type),
        AttLen = length,
        AttNum = number,
        AttCacheOff = -1,
        AttTypMod = -1,
        AttByVal = byValue,
        AttAlign = align,
        AttStorage = 'p',
        AttNotNull = true,
        AttIsLocal = true,
    };
}
