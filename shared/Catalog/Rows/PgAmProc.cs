using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_amproc: a support function of a family. Properties are the columns, in order.</summary>
public sealed record PgAmProc : ICatalogRow<PgAmProc>
{
    public Oid Oid { get; init; }
    public Oid AmProcFamily { get; init; }
    public Oid AmProcLeftType { get; init; }
    public Oid AmProcRightType { get; init; }
    public short AmProcNum { get; init; }
    public Oid AmProc { get; init; }

    public static PgAmProc Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        AmProcFamily = v[1].Oid,
        AmProcLeftType = v[2].Oid,
        AmProcRightType = v[3].Oid,
        AmProcNum = v[4].Int16,
        AmProc = v[5].Oid,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = Datum.FromOid(AmProcFamily);
        v[2] = Datum.FromOid(AmProcLeftType);
        v[3] = Datum.FromOid(AmProcRightType);
        v[4] = Datum.FromInt16(AmProcNum);
        v[5] = Datum.FromOid(AmProc);
    }
}
