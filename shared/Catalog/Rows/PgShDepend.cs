using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_shdepend: a dependency on a shared object. Properties are the columns, in order.</summary>
public sealed record PgShDepend : ICatalogRow<PgShDepend>
{
    public Oid DbId { get; init; }
    public Oid ClassId { get; init; }
    public Oid ObjId { get; init; }
    public int ObjSubId { get; init; }
    public Oid RefClassId { get; init; }
    public Oid RefObjId { get; init; }
    public char DepType { get; init; }

    public static PgShDepend Read(ReadOnlySpan<Datum> v) => new()
    {
        DbId = v[0].Oid,
        ClassId = v[1].Oid,
        ObjId = v[2].Oid,
        ObjSubId = v[3].Int32,
        RefClassId = v[4].Oid,
        RefObjId = v[5].Oid,
        DepType = (char)(byte)v[6].Bits,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(DbId);
        v[1] = Datum.FromOid(ClassId);
        v[2] = Datum.FromOid(ObjId);
        v[3] = Datum.FromInt32(ObjSubId);
        v[4] = Datum.FromOid(RefClassId);
        v[5] = Datum.FromOid(RefObjId);
        v[6] = CatalogDatum.FromChar(DepType);
    }
}
