using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_operator: an operator. Properties are the columns, in order.</summary>
public sealed record PgOperator : ICatalogRow<PgOperator>
{
    public Oid Oid { get; init; }
    public string OprName { get; init; } = "";
    public Oid OprNamespace { get; init; }
    public Oid OprOwner { get; init; }
    public char OprKind { get; init; }
    public bool OprCanMerge { get; init; }
    public bool OprCanHash { get; init; }
    public Oid OprLeft { get; init; }
    public Oid OprRight { get; init; }
    public Oid OprResult { get; init; }
    public Oid OprCom { get; init; }
    public Oid OprNegate { get; init; }
    public Oid OprCode { get; init; }
    public Oid OprRest { get; init; }
    public Oid OprJoin { get; init; }

    public static PgOperator Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        OprName = v[1].AsText(),
        OprNamespace = v[2].Oid,
        OprOwner = v[3].Oid,
        OprKind = (char)(byte)v[4].Bits,
        OprCanMerge = v[5].Bool,
        OprCanHash = v[6].Bool,
        OprLeft = v[7].Oid,
        OprRight = v[8].Oid,
        OprResult = v[9].Oid,
        OprCom = v[10].Oid,
        OprNegate = v[11].Oid,
        OprCode = v[12].Oid,
        OprRest = v[13].Oid,
        OprJoin = v[14].Oid,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(OprName);
        v[2] = Datum.FromOid(OprNamespace);
        v[3] = Datum.FromOid(OprOwner);
        v[4] = CatalogDatum.FromChar(OprKind);
        v[5] = Datum.FromBool(OprCanMerge);
        v[6] = Datum.FromBool(OprCanHash);
        v[7] = Datum.FromOid(OprLeft);
        v[8] = Datum.FromOid(OprRight);
        v[9] = Datum.FromOid(OprResult);
        v[10] = Datum.FromOid(OprCom);
        v[11] = Datum.FromOid(OprNegate);
        v[12] = Datum.FromOid(OprCode);
        v[13] = Datum.FromOid(OprRest);
        v[14] = Datum.FromOid(OprJoin);
    }
}
