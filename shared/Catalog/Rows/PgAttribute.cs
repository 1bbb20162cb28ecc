using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_attribute: a column. Properties are the columns, in order.</summary>
public sealed record PgAttribute : ICatalogRow<PgAttribute>
{
    public Oid AttRelId { get; init; }
    public string AttName { get; init; } = "";
    public Oid AttTypId { get; init; }
    public int AttStatTarget { get; init; }
    public short AttLen { get; init; }
    public short AttNum { get; init; }
    public int AttNDims { get; init; }
    public int AttCacheOff { get; init; }
    public int AttTypMod { get; init; }
    public bool AttByVal { get; init; }
    public char AttAlign { get; init; }
    public char AttStorage { get; init; }
    public char AttCompression { get; init; }
    public bool AttNotNull { get; init; }
    public bool AttHasDef { get; init; }
    public bool AttHasMissing { get; init; }
    public char AttIdentity { get; init; }
    public char AttGenerated { get; init; }
    public bool AttIsDropped { get; init; }
    public bool AttIsLocal { get; init; }
    public int AttInhCount { get; init; }
    public Oid AttCollation { get; init; }
    public byte[]? AttAcl { get; init; }
    public string[]? AttOptions { get; init; }
    public string[]? AttFdwOptions { get; init; }
    public byte[]? AttMissingVal { get; init; }

    public static PgAttribute Read(ReadOnlySpan<Datum> v) => new()
    {
        AttRelId = v[0].Oid,
        AttName = v[1].AsText(),
        AttTypId = v[2].Oid,
        AttStatTarget = v[3].Int32,
        AttLen = v[4].Int16,
        AttNum = v[5].Int16,
        AttNDims = v[6].Int32,
        AttCacheOff = v[7].Int32,
        AttTypMod = v[8].Int32,
        AttByVal = v[9].Bool,
        AttAlign = (char)(byte)v[10].Bits,
        AttStorage = (char)(byte)v[11].Bits,
        AttCompression = (char)(byte)v[12].Bits,
        AttNotNull = v[13].Bool,
        AttHasDef = v[14].Bool,
        AttHasMissing = v[15].Bool,
        AttIdentity = (char)(byte)v[16].Bits,
        AttGenerated = (char)(byte)v[17].Bits,
        AttIsDropped = v[18].Bool,
        AttIsLocal = v[19].Bool,
        AttInhCount = v[20].Int32,
        AttCollation = v[21].Oid,
        AttAcl = v[22].IsNull ? null : v[22].Bytes,
        AttOptions = v[23].IsNull ? null : ArrayCodec.ReadTexts(v[23]),
        AttFdwOptions = v[24].IsNull ? null : ArrayCodec.ReadTexts(v[24]),
        AttMissingVal = v[25].IsNull ? null : v[25].Bytes,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(AttRelId);
        v[1] = CatalogDatum.FromName(AttName);
        v[2] = Datum.FromOid(AttTypId);
        v[3] = Datum.FromInt32(AttStatTarget);
        v[4] = Datum.FromInt16(AttLen);
        v[5] = Datum.FromInt16(AttNum);
        v[6] = Datum.FromInt32(AttNDims);
        v[7] = Datum.FromInt32(AttCacheOff);
        v[8] = Datum.FromInt32(AttTypMod);
        v[9] = Datum.FromBool(AttByVal);
        v[10] = CatalogDatum.FromChar(AttAlign);
        v[11] = CatalogDatum.FromChar(AttStorage);
        v[12] = CatalogDatum.FromChar(AttCompression);
        v[13] = Datum.FromBool(AttNotNull);
        v[14] = Datum.FromBool(AttHasDef);
        v[15] = Datum.FromBool(AttHasMissing);
        v[16] = CatalogDatum.FromChar(AttIdentity);
        v[17] = CatalogDatum.FromChar(AttGenerated);
        v[18] = Datum.FromBool(AttIsDropped);
        v[19] = Datum.FromBool(AttIsLocal);
        v[20] = Datum.FromInt32(AttInhCount);
        v[21] = Datum.FromOid(AttCollation);
        v[22] = AttAcl is null ? Datum.Null : Datum.FromBytes(AttAcl);
        v[23] = AttOptions is null ? Datum.Null : ArrayCodec.Texts(AttOptions);
        v[24] = AttFdwOptions is null ? Datum.Null : ArrayCodec.Texts(AttFdwOptions);
        v[25] = AttMissingVal is null ? Datum.Null : Datum.FromBytes(AttMissingVal);
    }
}
