using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_class: a table, index, view, sequence or composite type. Properties are the columns, in order.</summary>
public sealed record PgClass : ICatalogRow<PgClass>
{
    public Oid Oid { get; init; }
    public string RelName { get; init; } = "";
    public Oid RelNamespace { get; init; }
    public Oid RelType { get; init; }
    public Oid RelOfType { get; init; }
    public Oid RelOwner { get; init; }
    public Oid RelAm { get; init; }
    public Oid RelFileNode { get; init; }
    public Oid RelTablespace { get; init; }
    public int RelPages { get; init; }
    public float RelTuples { get; init; }
    public int RelAllVisible { get; init; }
    public Oid RelToastRelId { get; init; }
    public bool RelHasIndex { get; init; }
    public bool RelIsShared { get; init; }
    public char RelPersistence { get; init; }
    public char RelKind { get; init; }
    public short RelNAtts { get; init; }
    public short RelChecks { get; init; }
    public bool RelHasRules { get; init; }
    public bool RelHasTriggers { get; init; }
    public bool RelHasSubclass { get; init; }
    public bool RelRowSecurity { get; init; }
    public bool RelForceRowSecurity { get; init; }
    public bool RelIsPopulated { get; init; }
    public char RelReplIdent { get; init; }
    public bool RelIsPartition { get; init; }
    public Oid RelRewrite { get; init; }
    public Xid RelFrozenXid { get; init; }
    public Xid RelMinMxid { get; init; }
    public byte[]? RelAcl { get; init; }
    public string[]? RelOptions { get; init; }
    public string? RelPartBound { get; init; }

    public static PgClass Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        RelName = v[1].AsText(),
        RelNamespace = v[2].Oid,
        RelType = v[3].Oid,
        RelOfType = v[4].Oid,
        RelOwner = v[5].Oid,
        RelAm = v[6].Oid,
        RelFileNode = v[7].Oid,
        RelTablespace = v[8].Oid,
        RelPages = v[9].Int32,
        RelTuples = v[10].Single,
        RelAllVisible = v[11].Int32,
        RelToastRelId = v[12].Oid,
        RelHasIndex = v[13].Bool,
        RelIsShared = v[14].Bool,
        RelPersistence = (char)(byte)v[15].Bits,
        RelKind = (char)(byte)v[16].Bits,
        RelNAtts = v[17].Int16,
        RelChecks = v[18].Int16,
        RelHasRules = v[19].Bool,
        RelHasTriggers = v[20].Bool,
        RelHasSubclass = v[21].Bool,
        RelRowSecurity = v[22].Bool,
        RelForceRowSecurity = v[23].Bool,
        RelIsPopulated = v[24].Bool,
        RelReplIdent = (char)(byte)v[25].Bits,
        RelIsPartition = v[26].Bool,
        RelRewrite = v[27].Oid,
        RelFrozenXid = new Xid(v[28].UInt32),
        RelMinMxid = new Xid(v[29].UInt32),
        RelAcl = v[30].IsNull ? null : v[30].Bytes,
        RelOptions = v[31].IsNull ? null : ArrayCodec.ReadTexts(v[31]),
        RelPartBound = v[32].IsNull ? null : v[32].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(RelName);
        v[2] = Datum.FromOid(RelNamespace);
        v[3] = Datum.FromOid(RelType);
        v[4] = Datum.FromOid(RelOfType);
        v[5] = Datum.FromOid(RelOwner);
        v[6] = Datum.FromOid(RelAm);
        v[7] = Datum.FromOid(RelFileNode);
        v[8] = Datum.FromOid(RelTablespace);
        v[9] = Datum.FromInt32(RelPages);
        v[10] = Datum.FromSingle(RelTuples);
        v[11] = Datum.FromInt32(RelAllVisible);
        v[12] = Datum.FromOid(RelToastRelId);
        v[13] = Datum.FromBool(RelHasIndex);
        v[14] = Datum.FromBool(RelIsShared);
        v[15] = CatalogDatum.FromChar(RelPersistence);
        v[16] = CatalogDatum.FromChar(RelKind);
        v[17] = Datum.FromInt16(RelNAtts);
        v[18] = Datum.FromInt16(RelChecks);
        v[19] = Datum.FromBool(RelHasRules);
        v[20] = Datum.FromBool(RelHasTriggers);
        v[21] = Datum.FromBool(RelHasSubclass);
        v[22] = Datum.FromBool(RelRowSecurity);
        v[23] = Datum.FromBool(RelForceRowSecurity);
        v[24] = Datum.FromBool(RelIsPopulated);
        v[25] = CatalogDatum.FromChar(RelReplIdent);
        v[26] = Datum.FromBool(RelIsPartition);
        v[27] = Datum.FromOid(RelRewrite);
        v[28] = Datum.FromUInt32(RelFrozenXid.Value);
        v[29] = Datum.FromUInt32(RelMinMxid.Value);
        v[30] = RelAcl is null ? Datum.Null : Datum.FromBytes(RelAcl);
        v[31] = RelOptions is null ? Datum.Null : ArrayCodec.Texts(RelOptions);
        v[32] = RelPartBound is null ? Datum.Null : Datum.FromText(RelPartBound);
    }
}
