using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_proc: a function. Properties are the columns, in order.</summary>
public sealed record PgProc : ICatalogRow<PgProc>
{
    public Oid Oid { get; init; }
    public string ProName { get; init; } = "";
    public Oid ProNamespace { get; init; }
    public Oid ProOwner { get; init; }
    public Oid ProLang { get; init; }
    public float ProCost { get; init; }
    public float ProRows { get; init; }
    public Oid ProVariadic { get; init; }
    public Oid ProSupport { get; init; }
    public char ProKind { get; init; }
    public bool ProSecDef { get; init; }
    public bool ProLeakproof { get; init; }
    public bool ProIsStrict { get; init; }
    public bool ProRetSet { get; init; }
    public char ProVolatile { get; init; }
    public char ProParallel { get; init; }
    public short ProNArgs { get; init; }
    public short ProNArgDefaults { get; init; }
    public Oid ProRetType { get; init; }
    public Oid[] ProArgTypes { get; init; } = [];
    public Oid[]? ProAllArgTypes { get; init; }
    public char[]? ProArgModes { get; init; }
    public string[]? ProArgNames { get; init; }
    public string? ProArgDefaults { get; init; }
    public Oid[]? ProTrfTypes { get; init; }
    public string ProSrc { get; init; } = "";
    public string? ProBin { get; init; }
    public string? ProSqlBody { get; init; }
    public string[]? ProConfig { get; init; }
    public byte[]? ProAcl { get; init; }

    public static PgProc Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        ProName = v[1].AsText(),
        ProNamespace = v[2].Oid,
        ProOwner = v[3].Oid,
        ProLang = v[4].Oid,
        ProCost = v[5].Single,
        ProRows = v[6].Single,
        ProVariadic = v[7].Oid,
        ProSupport = v[8].Oid,
        ProKind = (char)(byte)v[9].Bits,
        ProSecDef = v[10].Bool,
        ProLeakproof = v[11].Bool,
        ProIsStrict = v[12].Bool,
        ProRetSet = v[13].Bool,
        ProVolatile = (char)(byte)v[14].Bits,
        ProParallel = (char)(byte)v[15].Bits,
        ProNArgs = v[16].Int16,
        ProNArgDefaults = v[17].Int16,
        ProRetType = v[18].Oid,
        ProArgTypes = ArrayCodec.ReadOids(v[19]),
        ProAllArgTypes = v[20].IsNull ? null : ArrayCodec.ReadOids(v[20]),
        ProArgModes = v[21].IsNull ? null : ArrayCodec.ReadChars(v[21]),
        ProArgNames = v[22].IsNull ? null : ArrayCodec.ReadTexts(v[22]),
        ProArgDefaults = v[23].IsNull ? null : v[23].AsText(),
        ProTrfTypes = v[24].IsNull ? null : ArrayCodec.ReadOids(v[24]),
        ProSrc = v[25].AsText(),
        ProBin = v[26].IsNull ? null : v[26].AsText(),
        ProSqlBody = v[27].IsNull ? null : v[27].AsText(),
        ProConfig = v[28].IsNull ? null : ArrayCodec.ReadTexts(v[28]),
        ProAcl = v[29].IsNull ? null : v[29].Bytes,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(ProName);
        v[2] = Datum.FromOid(ProNamespace);
        v[3] = Datum.FromOid(ProOwner);
        v[4] = Datum.FromOid(ProLang);
        v[5] = Datum.FromSingle(ProCost);
        v[6] = Datum.FromSingle(ProRows);
        v[7] = Datum.FromOid(ProVariadic);
        v[8] = Datum.FromOid(ProSupport);
        v[9] = CatalogDatum.FromChar(ProKind);
        v[10] = Datum.FromBool(ProSecDef);
        v[11] = Datum.FromBool(ProLeakproof);
        v[12] = Datum.FromBool(ProIsStrict);
        v[13] = Datum.FromBool(ProRetSet);
        v[14] = CatalogDatum.FromChar(ProVolatile);
        v[15] = CatalogDatum.FromChar(ProParallel);
        v[16] = Datum.FromInt16(ProNArgs);
        v[17] = Datum.FromInt16(ProNArgDefaults);
        v[18] = Datum.FromOid(ProRetType);
        v[19] = ArrayCodec.OidVector(ProArgTypes);
        v[20] = ProAllArgTypes is null ? Datum.Null : ArrayCodec.Oids(ProAllArgTypes);
        v[21] = ProArgModes is null ? Datum.Null : ArrayCodec.Chars(ProArgModes);
        v[22] = ProArgNames is null ? Datum.Null : ArrayCodec.Texts(ProArgNames);
        v[23] = ProArgDefaults is null ? Datum.Null : Datum.FromText(ProArgDefaults);
        v[24] = ProTrfTypes is null ? Datum.Null : ArrayCodec.Oids(ProTrfTypes);
        v[25] = Datum.FromText(ProSrc);
        v[26] = ProBin is null ? Datum.Null : Datum.FromText(ProBin);
        v[27] = ProSqlBody is null ? Datum.Null : Datum.FromText(ProSqlBody);
        v[28] = ProConfig is null ? Datum.Null : ArrayCodec.Texts(ProConfig);
        v[29] = ProAcl is null ? Datum.Null : Datum.FromBytes(ProAcl);
    }
}
