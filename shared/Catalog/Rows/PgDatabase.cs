using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_database: a database. Properties are the columns, in order.</summary>
public sealed record PgDatabase : ICatalogRow<PgDatabase>
{
    public Oid Oid { get; init; }
    public string DatName { get; init; } = "";
    public Oid DatDba { get; init; }
    public int Encoding { get; init; }
    public char DatLocProvider { get; init; }
    public bool DatIsTemplate { get; init; }
    public bool DatAllowConn { get; init; }
    public int DatConnLimit { get; init; }
    public Xid DatFrozenXid { get; init; }
    public Xid DatMinMxid { get; init; }
    public Oid DatTablespace { get; init; }
    public string DatCollate { get; init; } = "";
    public string DatCtype { get; init; } = "";
    public string? DatIcuLocale { get; init; }
    public string? DatCollVersion { get; init; }
    public byte[]? DatAcl { get; init; }

    public static PgDatabase Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        DatName = v[1].AsText(),
        DatDba = v[2].Oid,
        Encoding = v[3].Int32,
        DatLocProvider = (char)(byte)v[4].Bits,
        DatIsTemplate = v[5].Bool,
        DatAllowConn = v[6].Bool,
        DatConnLimit = v[7].Int32,
        DatFrozenXid = new Xid(v[8].UInt32),
        DatMinMxid = new Xid(v[9].UInt32),
        DatTablespace = v[10].Oid,
        DatCollate = v[11].AsText(),
        DatCtype = v[12].AsText(),
        DatIcuLocale = v[13].IsNull ? null : v[13].AsText(),
        DatCollVersion = v[14].IsNull ? null : v[14].AsText(),
        DatAcl = v[15].IsNull ? null : v[15].Bytes,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(DatName);
        v[2] = Datum.FromOid(DatDba);
        v[3] = Datum.FromInt32(Encoding);
        v[4] = CatalogDatum.FromChar(DatLocProvider);
        v[5] = Datum.FromBool(DatIsTemplate);
        v[6] = Datum.FromBool(DatAllowConn);
        v[7] = Datum.FromInt32(DatConnLimit);
        v[8] = Datum.FromUInt32(DatFrozenXid.Value);
        v[9] = Datum.FromUInt32(DatMinMxid.Value);
        v[10] = Datum.FromOid(DatTablespace);
        v[11] = Datum.FromText(DatCollate);
        v[12] = Datum.FromText(DatCtype);
        v[13] = DatIcuLocale is null ? Datum.Null : Datum.FromText(DatIcuLocale);
        v[14] = DatCollVersion is null ? Datum.Null : Datum.FromText(DatCollVersion);
        v[15] = DatAcl is null ? Datum.Null : Datum.FromBytes(DatAcl);
    }
}
