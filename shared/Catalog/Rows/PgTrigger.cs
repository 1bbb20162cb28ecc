using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_trigger: a trigger. Properties are the columns, in order.</summary>
public sealed record PgTrigger : ICatalogRow<PgTrigger>
{
    public Oid Oid { get; init; }
    public Oid TgRelId { get; init; }
    public Oid TgParentId { get; init; }
    public string TgName { get; init; } = "";
    public Oid TgFoid { get; init; }
    public short TgType { get; init; }
    public char TgEnabled { get; init; }
    public bool TgIsInternal { get; init; }
    public Oid TgConstrRelId { get; init; }
    public Oid TgConstrIndId { get; init; }
    public Oid TgConstraint { get; init; }
    public bool TgDeferrable { get; init; }
    public bool TgInitDeferred { get; init; }
    public short TgNArgs { get; init; }
    public short[] TgAttr { get; init; } = [];
    public byte[] TgArgs { get; init; } = [];
    public string? TgQual { get; init; }
    public string? TgOldTable { get; init; }
    public string? TgNewTable { get; init; }

    public static PgTrigger Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        TgRelId = v[1].Oid,
        TgParentId = v[2].Oid,
        TgName = v[3].AsText(),
        TgFoid = v[4].Oid,
        TgType = v[5].Int16,
        TgEnabled = (char)(byte)v[6].Bits,
        TgIsInternal = v[7].Bool,
        TgConstrRelId = v[8].Oid,
        TgConstrIndId = v[9].Oid,
        TgConstraint = v[10].Oid,
        TgDeferrable = v[11].Bool,
        TgInitDeferred = v[12].Bool,
        TgNArgs = v[13].Int16,
        TgAttr = ArrayCodec.ReadInt16s(v[14]),
        TgArgs = v[15].Bytes,
        TgQual = v[16].IsNull ? null : v[16].AsText(),
        TgOldTable = v[17].IsNull ? null : v[17].AsText(),
        TgNewTable = v[18].IsNull ? null : v[18].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = Datum.FromOid(TgRelId);
        v[2] = Datum.FromOid(TgParentId);
        v[3] = CatalogDatum.FromName(TgName);
        v[4] = Datum.FromOid(TgFoid);
        v[5] = Datum.FromInt16(TgType);
        v[6] = CatalogDatum.FromChar(TgEnabled);
        v[7] = Datum.FromBool(TgIsInternal);
        v[8] = Datum.FromOid(TgConstrRelId);
        v[9] = Datum.FromOid(TgConstrIndId);
        v[10] = Datum.FromOid(TgConstraint);
        v[11] = Datum.FromBool(TgDeferrable);
        v[12] = Datum.FromBool(TgInitDeferred);
        v[13] = Datum.FromInt16(TgNArgs);
        v[14] = ArrayCodec.Int2Vector(TgAttr);
        v[15] = Datum.FromBytes(TgArgs);
        v[16] = TgQual is null ? Datum.Null : Datum.FromText(TgQual);
        v[17] = TgOldTable is null ? Datum.Null : CatalogDatum.FromName(TgOldTable);
        v[18] = TgNewTable is null ? Datum.Null : CatalogDatum.FromName(TgNewTable);
    }
}
