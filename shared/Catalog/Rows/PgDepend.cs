using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_depend: a dependency between objects of one database. Properties are the columns, in order.</summary>
public sealed record PgDepend : ICatalogRow<PgDepend>
{
    public Oid ClassId { get; init; }
    public Oid ObjId { get; init; }
    public int ObjSubId { get; init; }
    public Oid RefClassId { get; init; }
    public Oid RefObjId { get; init; }
    public int RefObjSubId { get; init; }
    public char DepType { get; init; }

    public static PgDepend Read(ReadOnlySpan<Datum> v) => new()
    {
        ClassId = v[0].Oid,
        ObjId = v[1].Oid,
        ObjSubId = v[2].Int32,
        RefClassId = v[3].Oid,
        RefObjId = v[4].Oid,
        RefObjSubId = v[5].Int32,
        DepType = (char)(byte)v[6].Bits,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(ClassId);
        v[1] = Datum.FromOid(ObjId);
        v[2] = Datum.FromInt32(ObjSubId);
        v[3] = Datum.FromOid(RefClassId);
        v[4] = Datum.FromOid(RefObjId);
        v[5] = Datum.FromInt32(RefObjSubId);
        v[6] = CatalogDatum.FromChar(DepType);
    }
}
