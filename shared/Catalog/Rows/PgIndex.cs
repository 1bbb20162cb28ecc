using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_index: what makes a relation an index. Properties are the columns, in order.</summary>
public sealed record PgIndex : ICatalogRow<PgIndex>
{
    public Oid IndexRelId { get; init; }
    public Oid IndRelId { get; init; }
    public short IndNAtts { get; init; }
    public short IndNKeyAtts { get; init; }
    public bool IndIsUnique { get; init; }
    public bool IndNullsNotDistinct { get; init; }
    public bool IndIsPrimary { get; init; }
    public bool IndIsExclusion { get; init; }
    public bool IndImmediate { get; init; }
    public bool IndIsClustered { get; init; }
    public bool IndIsValid { get; init; }
    public bool IndCheckXmin { get; init; }
    public bool IndIsReady { get; init; }
    public bool IndIsLive { get; init; }
    public bool IndIsReplIdent { get; init; }
    public short[] IndKey { get; init; } = [];
    public Oid[] IndCollation { get; init; } = [];
    public Oid[] IndClass { get; init; } = [];
    public short[] IndOption { get; init; } = [];
    public string? IndExprs { get; init; }
    public string? IndPred { get; init; }

    public static PgIndex Read(ReadOnlySpan<Datum> v) => new()
    {
        IndexRelId = v[0].Oid,
        IndRelId = v[1].Oid,
        IndNAtts = v[2].Int16,
        IndNKeyAtts = v[3].Int16,
        IndIsUnique = v[4].Bool,
        IndNullsNotDistinct = v[5].Bool,
        IndIsPrimary = v[6].Bool,
        IndIsExclusion = v[7].Bool,
        IndImmediate = v[8].Bool,
        IndIsClustered = v[9].Bool,
        IndIsValid = v[10].Bool,
        IndCheckXmin = v[11].Bool,
        IndIsReady = v[12].Bool,
        IndIsLive = v[13].Bool,
        IndIsReplIdent = v[14].Bool,
        IndKey = ArrayCodec.ReadInt16s(v[15]),
        IndCollation = ArrayCodec.ReadOids(v[16]),
        IndClass = ArrayCodec.ReadOids(v[17]),
        IndOption = ArrayCodec.ReadInt16s(v[18]),
        IndExprs = v[19].IsNull ? null : v[19].AsText(),
        IndPred = v[20].IsNull ? null : v[20].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(IndexRelId);
        v[1] = Datum.FromOid(IndRelId);
        v[2] = Datum.FromInt16(IndNAtts);
        v[3] = Datum.FromInt16(IndNKeyAtts);
        v[4] = Datum.FromBool(IndIsUnique);
        v[5] = Datum.FromBool(IndNullsNotDistinct);
        v[6] = Datum.FromBool(IndIsPrimary);
        v[7] = Datum.FromBool(IndIsExclusion);
        v[8] = Datum.FromBool(IndImmediate);
        v[9] = Datum.FromBool(IndIsClustered);
        v[10] = Datum.FromBool(IndIsValid);
        v[11] = Datum.FromBool(IndCheckXmin);
        v[12] = Datum.FromBool(IndIsReady);
        v[13] = Datum.FromBool(IndIsLive);
        v[14] = Datum.FromBool(IndIsReplIdent);
        v[15] = ArrayCodec.Int2Vector(IndKey);
        v[16] = ArrayCodec.OidVector(IndCollation);
        v[17] = ArrayCodec.OidVector(IndClass);
        v[18] = ArrayCodec.Int2Vector(IndOption);
        v[19] = IndExprs is null ? Datum.Null : Datum.FromText(IndExprs);
        v[20] = IndPred is null ? Datum.Null : Datum.FromText(IndPred);
    }
}
