using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_type: a type. Properties are the columns, in order.</summary>
public sealed record PgType : ICatalogRow<PgType>
{
    public Oid Oid { get; init; }
    public string TypName { get; init; } = "";
    public Oid TypNamespace { get; init; }
    public Oid TypOwner { get; init; }
    public short TypLen { get; init; }
    public bool TypByVal { get; init; }
    public char TypType { get; init; }
    public char TypCategory { get; init; }
    public bool TypIsPreferred { get; init; }
    public bool TypIsDefined { get; init; }
    public char TypDelim { get; init; }
    public Oid TypRelId { get; init; }
    public Oid TypSubscript { get; init; }
    public Oid TypElem { get; init; }
    public Oid TypArray { get; init; }
    public Oid TypInput { get; init; }
    public Oid TypOutput { get; init; }
    public Oid TypReceive { get; init; }
    public Oid TypSend { get; init; }
    public Oid TypModIn { get; init; }
    public Oid TypModOut { get; init; }
    public Oid TypAnalyze { get; init; }
    public char TypAlign { get; init; }
    public char TypStorage { get; init; }
    public bool TypNotNull { get; init; }
    public Oid TypBaseType { get; init; }
    public int TypTypMod { get; init; }
    public int TypNDims { get; init; }
    public Oid TypCollation { get; init; }
    public string? TypDefaultBin { get; init; }
    public string? TypDefault { get; init; }
    public byte[]? TypAcl { get; init; }

    public static PgType Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        TypName = v[1].AsText(),
        TypNamespace = v[2].Oid,
        TypOwner = v[3].Oid,
        TypLen = v[4].Int16,
        TypByVal = v[5].Bool,
        TypType = (char)(byte)v[6].Bits,
        TypCategory = (char)(byte)v[7].Bits,
        TypIsPreferred = v[8].Bool,
        TypIsDefined = v[9].Bool,
        TypDelim = (char)(byte)v[10].Bits,
        TypRelId = v[11].Oid,
        TypSubscript = v[12].Oid,
        TypElem = v[13].Oid,
        TypArray = v[14].Oid,
        TypInput = v[15].Oid,
        TypOutput = v[16].Oid,
        TypReceive = v[17].Oid,
        TypSend = v[18].Oid,
        TypModIn = v[19].Oid,
        TypModOut = v[20].Oid,
        TypAnalyze = v[21].Oid,
        TypAlign = (char)(byte)v[22].Bits,
        TypStorage = (char)(byte)v[23].Bits,
        TypNotNull = v[24].Bool,
        TypBaseType = v[25].Oid,
        TypTypMod = v[26].Int32,
        TypNDims = v[27].Int32,
        TypCollation = v[28].Oid,
        TypDefaultBin = v[29].IsNull ? null : v[29].AsText(),
        TypDefault = v[30].IsNull ? null : v[30].AsText(),
        TypAcl = v[31].IsNull ? null : v[31].Bytes,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(TypName);
        v[2] = Datum.FromOid(TypNamespace);
        v[3] = Datum.FromOid(TypOwner);
        v[4] = Datum.FromInt16(TypLen);
        v[5] = Datum.FromBool(TypByVal);
        v[6] = CatalogDatum.FromChar(TypType);
        v[7] = CatalogDatum.FromChar(TypCategory);
        v[8] = Datum.FromBool(TypIsPreferred);
        v[9] = Datum.FromBool(TypIsDefined);
        v[10] = CatalogDatum.FromChar(TypDelim);
        v[11] = Datum.FromOid(TypRelId);
        v[12] = Datum.FromOid(TypSubscript);
        v[13] = Datum.FromOid(TypElem);
        v[14] = Datum.FromOid(TypArray);
        v[15] = Datum.FromOid(TypInput);
        v[16] = Datum.FromOid(TypOutput);
        v[17] = Datum.FromOid(TypReceive);
        v[18] = Datum.FromOid(TypSend);
        v[19] = Datum.FromOid(TypModIn);
        v[20] = Datum.FromOid(TypModOut);
        v[21] = Datum.FromOid(TypAnalyze);
        v[22] = CatalogDatum.FromChar(TypAlign);
        v[23] = CatalogDatum.FromChar(TypStorage);
        v[24] = Datum.FromBool(TypNotNull);
        v[25] = Datum.FromOid(TypBaseType);
        v[26] = Datum.FromInt32(TypTypMod);
        v[27] = Datum.FromInt32(TypNDims);
        v[28] = Datum.FromOid(TypCollation);
        v[29] = TypDefaultBin is null ? Datum.Null : Datum.FromText(TypDefaultBin);
        v[30] = TypDefault is null ? Datum.Null : Datum.FromText(TypDefault);
        v[31] = TypAcl is null ? Datum.Null : Datum.FromBytes(TypAcl);
    }
}
