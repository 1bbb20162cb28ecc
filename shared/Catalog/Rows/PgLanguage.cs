using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_language: a language. Properties are the columns, in order.</summary>
public sealed record PgLanguage : ICatalogRow<PgLanguage>
{
    public Oid Oid { get; init; }
    public string LanName { get; init; } = "";
    public Oid LanOwner { get; init; }
    public bool LanIsPl { get; init; }
    public bool LanPlTrusted { get; init; }
    public Oid LanPlCallFoid { get; init; }
    public Oid LanInline { get; init; }
    public Oid LanValidator { get; init; }
    public byte[]? LanAcl { get; init; }

    public static PgLanguage Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        LanName = v[1].AsText(),
        LanOwner = v[2].Oid,
        LanIsPl = v[3].Bool,
        LanPlTrusted = v[4].Bool,
        LanPlCallFoid = v[5].Oid,
        LanInline = v[6].Oid,
        LanValidator = v[7].Oid,
        LanAcl = v[8].IsNull ? null : v[8].Bytes,
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(LanName);
        v[2] = Datum.FromOid(LanOwner);
        v[3] = Datum.FromBool(LanIsPl);
        v[4] = Datum.FromBool(LanPlTrusted);
        v[5] = Datum.FromOid(LanPlCallFoid);
        v[6] = Datum.FromOid(LanInline);
        v[7] = Datum.FromOid(LanValidator);
        v[8] = LanAcl is null ? Datum.Null : Datum.FromBytes(LanAcl);
    }
}
