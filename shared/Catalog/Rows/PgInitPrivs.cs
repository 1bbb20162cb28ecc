using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_init_privs: initial privileges of an object. Properties are the columns, in order.</summary>
public sealed record PgInitPrivs : ICatalogRow<PgInitPrivs>
{
    public Oid ObjOid { get; init; }
    public Oid ClassOid { get; init; }
    public int ObjSubId { get; init; }
    public char PrivType { get; init; }
    public byte[] InitPrivs { get; init; } = [];

    public static PgInitPrivs Read(ReadOnlySpan<Datum> v) => new()
    {
        ObjOid = v[0].Oid,
        ClassOid = v[1].Oid,
        ObjSubId = v[2].Int32,
        PrivType = (char)(byte)v[3].Bits,
        InitPrivs = v[4].Bytes,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(ObjOid);
        v[1] = Datum.FromOid(ClassOid);
        v[2] = Datum.FromInt32(ObjSubId);
        v[3] = CatalogDatum.FromChar(PrivType);
        v[4] = Datum.FromBytes(InitPrivs);
    }
}
