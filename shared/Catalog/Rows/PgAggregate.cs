using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_aggregate: what makes a function an aggregate. Properties are the columns, in order.</summary>
public sealed record PgAggregate : ICatalogRow<PgAggregate>
{
    public Oid AggFnOid { get; init; }
    public char AggKind { get; init; }
    public short AggNumDirectArgs { get; init; }
    public Oid AggTransFn { get; init; }
    public Oid AggFinalFn { get; init; }
    public Oid AggCombineFn { get; init; }
    public Oid AggSerialFn { get; init; }
    public Oid AggDeserialFn { get; init; }
    public Oid AggMTransFn { get; init; }
    public Oid AggMInvTransFn { get; init; }
    public Oid AggMFinalFn { get; init; }
    public bool AggFinalExtra { get; init; }
    public bool AggMFinalExtra { get; init; }
    public char AggFinalModify { get; init; }
    public char AggMFinalModify { get; init; }
    public Oid AggSortOp { get; init; }
    public Oid AggTransType { get; init; }
    public int AggTransSpace { get; init; }
    public Oid AggMTransType { get; init; }
    public int AggMTransSpace { get; init; }
    public string? AggInitVal { get; init; }
    public string? AggMInitVal { get; init; }

    public static PgAggregate Read(ReadOnlySpan<Datum> v) => new()
    {
        AggFnOid = v[0].Oid,
        AggKind = (char)(byte)v[1].Bits,
        AggNumDirectArgs = v[2].Int16,
        AggTransFn = v[3].Oid,
        AggFinalFn = v[4].Oid,
        AggCombineFn = v[5].Oid,
        AggSerialFn = v[6].Oid,
        AggDeserialFn = v[7].Oid,
        AggMTransFn = v[8].Oid,
        AggMInvTransFn = v[9].Oid,
        AggMFinalFn = v[10].Oid,
        AggFinalExtra = v[11].Bool,
        AggMFinalExtra = v[12].Bool,
        AggFinalModify = (char)(byte)v[13].Bits,
        AggMFinalModify = (char)(byte)v[14].Bits,
        AggSortOp = v[15].Oid,
        AggTransType = v[16].Oid,
        AggTransSpace = v[17].Int32,
        AggMTransType = v[18].Oid,
        AggMTransSpace = v[19].Int32,
        AggInitVal = v[20].IsNull ? null : v[20].AsText(),
        AggMInitVal = v[21].IsNull ? null : v[21].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(AggFnOid);
        v[1] = CatalogDatum.FromChar(AggKind);
        v[2] = Datum.FromInt16(AggNumDirectArgs);
        v[3] = Datum.FromOid(AggTransFn);
        v[4] = Datum.FromOid(AggFinalFn);
        v[5] = Datum.FromOid(AggCombineFn);
        v[6] = Datum.FromOid(AggSerialFn);
        v[7] = Datum.FromOid(AggDeserialFn);
        v[8] = Datum.FromOid(AggMTransFn);
        v[9] = Datum.FromOid(AggMInvTransFn);
        v[10] = Datum.FromOid(AggMFinalFn);
        v[11] = Datum.FromBool(AggFinalExtra);
        v[12] = Datum.FromBool(AggMFinalExtra);
        v[13] = CatalogDatum.FromChar(AggFinalModify);
        v[14] = CatalogDatum.FromChar(AggMFinalModify);
        v[15] = Datum.FromOid(AggSortOp);
        v[16] = Datum.FromOid(AggTransType);
        v[17] = Datum.FromInt32(AggTransSpace);
        v[18] = Datum.FromOid(AggMTransType);
        v[19] = Datum.FromInt32(AggMTransSpace);
        v[20] = AggInitVal is null ? Datum.Null : Datum.FromText(AggInitVal);
        v[21] = AggMInitVal is null ? Datum.Null : Datum.FromText(AggMInitVal);
    }
}
