using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>Values between index entries and comparisons.</summary>
internal static class IndexValues
{
    /// <summary>The value without compression; index entries never point to a TOAST table.</summary>
    public static Datum Plain(Datum value) =>
        !value.IsNull && value.Object is ToastedValue ? throw PgException.NotSupported("a compressed index key") : value;
}
