using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_constraint: a constraint. Properties are the columns, in order.</summary>
public sealed record PgConstraint : ICatalogRow<PgConstraint>
{
    public Oid Oid { get; init; }
    public string ConName { get; init; } = "";
    public Oid ConNamespace { get; init; }
    public char ConType { get; init; }
    public bool ConDeferrable { get; init; }
    public bool ConDeferred { get; init; }
    public bool ConValidated { get; init; }
    public Oid ConRelId { get; init; }
    public Oid ConTypId { get; init; }
    public Oid ConIndId { get; init; }
    public Oid ConParentId { get; init; }
    public Oid ConFRelId { get; init; }
    public char ConFUpdType { get; init; }
    public char ConFDelType { get; init; }
    public char ConFMatchType { get; init; }
    public bool ConIsLocal { get; init; }
    public int ConInhCount { get; init; }
    public bool ConNoInherit { get; init; }
    public short[]? ConKey { get; init; }
    public short[]? ConFKey { get; init; }
    public Oid[]? ConPfEqOp { get; init; }
    public Oid[]? ConPpEqOp { get; init; }
    public Oid[]? ConFfEqOp { get; init; }
    public short[]? ConFDelSetCols { get; init; }
    public Oid[]? ConExclOp { get; init; }
    public string? ConBin { get; init; }

    public static PgConstraint Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        ConName = v[1].AsText(),
        ConNamespace = v[2].Oid,
        ConType = (char)(byte)v[3].Bits,
        ConDeferrable = v[4].Bool,
        ConDeferred = v[5].Bool,
        ConValidated = v[6].Bool,
        ConRelId = v[7].Oid,
        ConTypId = v[8].Oid,
        ConIndId = v[9].Oid,
        ConParentId = v[10].Oid,
        ConFRelId = v[11].Oid,
        ConFUpdType = (char)(byte)v[12].Bits,
        ConFDelType = (char)(byte)v[13].Bits,
        ConFMatchType = (char)(byte)v[14].Bits,
        ConIsLocal = v[15].Bool,
        ConInhCount = v[16].Int32,
        ConNoInherit = v[17].Bool,
        ConKey = v[18].IsNull ? null : ArrayCodec.ReadInt16s(v[18]),
        ConFKey = v[19].IsNull ? null : ArrayCodec.ReadInt16s(v[19]),
        ConPfEqOp = v[20].IsNull ? null : ArrayCodec.ReadOids(v[20]),
        ConPpEqOp = v[21].IsNull ? null : ArrayCodec.ReadOids(v[21]),
        ConFfEqOp = v[22].IsNull ? null : ArrayCodec.ReadOids(v[22]),
        ConFDelSetCols = v[23].IsNull ? null : ArrayCodec.ReadInt16s(v[23]),
        ConExclOp = v[24].IsNull ? null : ArrayCodec.ReadOids(v[24]),
        ConBin = v[25].IsNull ? null : v[25].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(ConName);
        v[2] = Datum.FromOid(ConNamespace);
        v[3] = CatalogDatum.FromChar(ConType);
        v[4] = Datum.FromBool(ConDeferrable);
        v[5] = Datum.FromBool(ConDeferred);
        v[6] = Datum.FromBool(ConValidated);
        v[7] = Datum.FromOid(ConRelId);
        v[8] = Datum.FromOid(ConTypId);
        v[9] = Datum.FromOid(ConIndId);
        v[10] = Datum.FromOid(ConParentId);
        v[11] = Datum.FromOid(ConFRelId);
        v[12] = CatalogDatum.FromChar(ConFUpdType);
        v[13] = CatalogDatum.FromChar(ConFDelType);
        v[14] = CatalogDatum.FromChar(ConFMatchType);
        v[15] = Datum.FromBool(ConIsLocal);
        v[16] = Datum.FromInt32(ConInhCount);
        v[17] = Datum.FromBool(ConNoInherit);
        v[18] = ConKey is null ? Datum.Null : ArrayCodec.Int16s(ConKey);
        v[19] = ConFKey is null ? Datum.Null : ArrayCodec.Int16s(ConFKey);
        v[20] = ConPfEqOp is null ? Datum.Null : ArrayCodec.Oids(ConPfEqOp);
        v[21] = ConPpEqOp is null ? Datum.Null : ArrayCodec.Oids(ConPpEqOp);
        v[22] = ConFfEqOp is null ? Datum.Null : ArrayCodec.Oids(ConFfEqOp);
        v[23] = ConFDelSetCols is null ? Datum.Null : ArrayCodec.Int16s(ConFDelSetCols);
        v[24] = ConExclOp is null ? Datum.Null : ArrayCodec.Oids(ConExclOp);
        v[25] = ConBin is null ? Datum.Null : Datum.FromText(ConBin);
    }
}
