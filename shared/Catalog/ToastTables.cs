using SharedStorage.Access;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>The columns of every TOAST table and of its index (PostgreSQL's toasting.c).</summary>
public static class ToastTables
{
    public static TupleDesc Desc { get; } = new(
    [
        new TupleAttribute { Name = "chunk_id", Number = 1, TypeId = new Oid(PgTypes.Oid), Length = 4, ByValue = true, Alignment = 4 },
        new TupleAttribute { Name = "chunk_seq", Number = 2, TypeId = new Oid(PgTypes.Int4), Length = 4, ByValue = true, Alignment = 4 },
        new TupleAttribute { Name = "chunk_data", Number = 3, TypeId = new Oid(PgTypes.Bytea), Length = -1, ByValue = false, Alignment = 4, Storage = 'p' },
    ]);

    public static TupleDesc IndexDesc { get; } = new([Desc[0], Desc[1]]);

    /// <summary>The unique index on (chunk_id, chunk_seq).</summary>
    public static IndexInfo Index(Relation relation, Oid toastId) => new()
    {
        Relation = relation,
        TableId = toastId,
        Columns =
        [
            new IndexColumn
            {
                HeapAttribute = 1, Attribute = Desc[0], InputType = Desc[0].TypeId, EqualImage = true,
                Compare = BuiltInComparators.ForType(PgTypes.Oid),
            },
            new IndexColumn
            {
                HeapAttribute = 2, Attribute = Desc[1], InputType = Desc[1].TypeId, EqualImage = true,
                Compare = BuiltInComparators.ForType(PgTypes.Int4),
            },
        ],
        KeyCount = 2,
        IsUnique = true,
        IsPrimary = true,
        AccessMethod = new Oid(PgOids.BtreeAm),
    };
}
