using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_amop: an operator of a family. Properties are the columns, in order.</summary>
public sealed record PgAmOp : ICatalogRow<PgAmOp>
{
    public Oid Oid { get; init; }
    public Oid AmOpFamily { get; init; }
    public Oid AmOpLeftType { get; init; }
    public Oid AmOpRightType { get; init; }
    public short AmOpStrategy { get; init; }
    public char AmOpPurpose { get; init; }
    public Oid AmOpOpr { get; init; }
    public Oid AmOpMethod { get; init; }
    public Oid AmOpSortFamily { get; init; }

    public static PgAmOp Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        AmOpFamily = v[1].Oid,
        AmOpLeftType = v[2].Oid,
        AmOpRightType = v[3].Oid,
        AmOpStrategy = v[4].Int16,
        AmOpPurpose = (char)(byte)v[5].Bits,
        AmOpOpr = v[6].Oid,
        AmOpMethod = v[7].Oid,
        AmOpSortFamily = v[8].Oid,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = Datum.FromOid(AmOpFamily);
        v[2] = Datum.FromOid(AmOpLeftType);
        v[3] = Datum.FromOid(AmOpRightType);
        v[4] = Datum.FromInt16(AmOpStrategy);
        v[5] = CatalogDatum.FromChar(AmOpPurpose);
        v[6] = Datum.FromOid(AmOpOpr);
        v[7] = Datum.FromOid(AmOpMethod);
        v[8] = Datum.FromOid(AmOpSortFamily);
    }
}
