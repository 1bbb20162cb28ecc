using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_statistic: statistics of a column. Properties are the columns, in order.</summary>
public sealed record PgStatistic : ICatalogRow<PgStatistic>
{
    public Oid StaRelId { get; init; }
    public short StaAttNum { get; init; }
    public bool StaInherit { get; init; }
    public float StaNullFrac { get; init; }
    public int StaWidth { get; init; }
    public float StaDistinct { get; init; }
    public short StaKind1 { get; init; }
    public short StaKind2 { get; init; }
    public short StaKind3 { get; init; }
    public short StaKind4 { get; init; }
    public short StaKind5 { get; init; }
    public Oid StaOp1 { get; init; }
    public Oid StaOp2 { get; init; }
    public Oid StaOp3 { get; init; }
    public Oid StaOp4 { get; init; }
    public Oid StaOp5 { get; init; }
    public Oid StaColl1 { get; init; }
    public Oid StaColl2 { get; init; }
    public Oid StaColl3 { get; init; }
    public Oid StaColl4 { get; init; }
    public Oid StaColl5 { get; init; }
    public float[]? StaNumbers1 { get; init; }
    public float[]? StaNumbers2 { get; init; }
    public float[]? StaNumbers3 { get; init; }
    public float[]? StaNumbers4 { get; init; }
    public float[]? StaNumbers5 { get; init; }
    public byte[]? StaValues1 { get; init; }
    public byte[]? StaValues2 { get; init; }
    public byte[]? StaValues3 { get; init; }
    public byte[]? StaValues4 { get; init; }
    public byte[]? StaValues5 { get; init; }

    public static PgStatistic Read(ReadOnlySpan<Datum> v) => new()
    {
        StaRelId = v[0].Oid,
        StaAttNum = v[1].Int16,
        StaInherit = v[2].Bool,
        StaNullFrac = v[3].Single,
        StaWidth = v[4].Int32,
        StaDistinct = v[5].Single,
        StaKind1 = v[6].Int16,
        StaKind2 = v[7].Int16,
        StaKind3 = v[8].Int16,
        StaKind4 = v[9].Int16,
        StaKind5 = v[10].Int16,
        StaOp1 = v[11].Oid,
        StaOp2 = v[12].Oid,
        StaOp3 = v[13].Oid,
        StaOp4 = v[14].Oid,
        StaOp5 = v[15].Oid,
        StaColl1 = v[16].Oid,
        StaColl2 = v[17].Oid,
        StaColl3 = v[18].Oid,
        StaColl4 = v[19].Oid,
        StaColl5 = v[20].Oid,
        StaNumbers1 = v[21].IsNull ? null : ArrayCodec.ReadSingles(v[21]),
        StaNumbers2 = v[22].IsNull ? null : ArrayCodec.ReadSingles(v[22]),
        StaNumbers3 = v[23].IsNull ? null : ArrayCodec.ReadSingles(v[23]),
        StaNumbers4 = v[24].IsNull ? null : ArrayCodec.ReadSingles(v[24]),
        StaNumbers5 = v[25].IsNull ? null : ArrayCodec.ReadSingles(v[25]),
        StaValues1 = v[26].IsNull ? null : v[26].Bytes,
        StaValues2 = v[27].IsNull ? null : v[27].Bytes,
        StaValues3 = v[28].IsNull ? null : v[28].Bytes,
        StaValues4 = v[29].IsNull ? null : v[29].Bytes,
        StaValues5 = v[30].IsNull ? null : v[30].Bytes,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(StaRelId);
        v[1] = Datum.FromInt16(StaAttNum);
        v[2] = Datum.FromBool(StaInherit);
        v[3] = Datum.FromSingle(StaNullFrac);
        v[4] = Datum.FromInt32(StaWidth);
        v[5] = Datum.FromSingle(StaDistinct);
        v[6] = Datum.FromInt16(StaKind1);
        v[7] = Datum.FromInt16(StaKind2);
        v[8] = Datum.FromInt16(StaKind3);
        v[9] = Datum.FromInt16(StaKind4);
        v[10] = Datum.FromInt16(StaKind5);
        v[11] = Datum.FromOid(StaOp1);
        v[12] = Datum.FromOid(StaOp2);
        v[13] = Datum.FromOid(StaOp3);
        v[14] = Datum.FromOid(StaOp4);
        v[15] = Datum.FromOid(StaOp5);
        v[16] = Datum.FromOid(StaColl1);
        v[17] = Datum.FromOid(StaColl2);
        v[18] = Datum.FromOid(StaColl3);
        v[19] = Datum.FromOid(StaColl4);
        v[20] = Datum.FromOid(StaColl5);
        v[21] = StaNumbers1 is null ? Datum.Null : ArrayCodec.Singles(StaNumbers1);
        v[22] = StaNumbers2 is null ? Datum.Null : ArrayCodec.Singles(StaNumbers2);
        v[23] = StaNumbers3 is null ? Datum.Null : ArrayCodec.Singles(StaNumbers3);
        v[24] = StaNumbers4 is null ? Datum.Null : ArrayCodec.Singles(StaNumbers4);
        v[25] = StaNumbers5 is null ? Datum.Null : ArrayCodec.Singles(StaNumbers5);
        v[26] = StaValues1 is null ? Datum.Null : Datum.FromBytes(StaValues1);
        v[27] = StaValues2 is null ? Datum.Null : Datum.FromBytes(StaValues2);
        v[28] = StaValues3 is null ? Datum.Null : Datum.FromBytes(StaValues3);
        v[29] = StaValues4 is null ? Datum.Null : Datum.FromBytes(StaValues4);
        v[30] = StaValues5 is null ? Datum.Null : Datum.FromBytes(StaValues5);
    }
}
