using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_inherits: an inheritance link. Properties are the columns, in order.</summary>
public sealed record PgInherits : ICatalogRow<PgInherits>
{
    public Oid InhRelId { get; init; }
    public Oid InhParent { get; init; }
    public int InhSeqNo { get; init; }
    public bool InhDetachPending { get; init; }

    public static PgInherits Read(ReadOnlySpan<Datum> v) => new()
    {
        InhRelId = v[0].Oid,
        InhParent = v[1].Oid,
        InhSeqNo = v[2].Int32,
        InhDetachPending = v[3].Bool,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(InhRelId);
        v[1] = Datum.FromOid(InhParent);
        v[2] = Datum.FromInt32(InhSeqNo);
        v[3] = Datum.FromBool(InhDetachPending);
    }
}
