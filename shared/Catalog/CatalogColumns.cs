using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>Column descriptions of system catalogs from the short notation of <see cref="SystemCatalogs"/>: "name:type" with "?" where nulls are allowed.</summary>
internal static class CatalogColumns
{
    /// <summary>The collation "C" (pg_collation.h), which all collatable catalog columns have.</summary>
    public static readonly Oid CCollation = new(950);

    private static readonly Dictionary<string, (uint Id, short Length, bool ByValue, byte Alignment, char Storage, bool Collatable)> Types =
        new(StringComparer.Ordinal)
        {
            ["bool"] = (16, 1, true, 1, 'p', false),
            ["bytea"] = (17, -1, false, 4, 'x', false),
            ["char"] = (18, 1, true, 1, 'p', false),
            ["name"] = (19, 64, false, 1, 'p', true),
            ["int8"] = (20, 8, true, 8, 'p', false),
            ["int2"] = (21, 2, true, 2, 'p', false),
            ["int2vector"] = (22, -1, false, 4, 'p', false),
            ["int4"] = (23, 4, true, 4, 'p', false),
            ["regproc"] = (24, 4, true, 4, 'p', false),
            ["text"] = (25, -1, false, 4, 'x', true),
            ["oid"] = (26, 4, true, 4, 'p', false),
            ["xid"] = (28, 4, true, 4, 'p', false),
            ["oidvector"] = (30, -1, false, 4, 'p', false),
            ["pg_node_tree"] = (194, -1, false, 4, 'x', true),
            ["float4"] = (700, 4, true, 4, 'p', false),
            ["_char"] = (1002, -1, false, 4, 'x', false),
            ["_int2"] = (1005, -1, false, 4, 'x', false),
            ["_text"] = (1009, -1, false, 4, 'x', true),
            ["_float4"] = (1021, -1, false, 4, 'x', false),
            ["_oid"] = (1028, -1, false, 4, 'x', false),
            ["_aclitem"] = (1034, -1, false, 4, 'x', false),
            ["timestamptz"] = (1184, 8, true, 8, 'p', false),
            ["anyarray"] = (2277, -1, false, 8, 'x', false),
        };

    public static TupleDesc Parse(string columns)
    {
        string[] parts = columns.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var attributes = new TupleAttribute[parts.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            int colon = parts[i].IndexOf(':', StringComparison.Ordinal);
            bool nullable = parts[i].EndsWith('?');
            string type = parts[i][(colon + 1)..(nullable ? ^1 : ^0)];
            var t = Types[type];
            attributes[i] = new TupleAttribute
            {
                Name = parts[i][..colon],
                Number = (short)(i + 1),
                TypeId = new Oid(t.Id),
                Length = t.Length,
                ByValue = t.ByValue,
                Alignment = t.Alignment,
                Storage = t.Storage,
                Collation = t.Collatable ? CCollation : Oid.Invalid,
                NotNull = !nullable,
            };
        }

        return new TupleDesc(attributes);
    }
}
