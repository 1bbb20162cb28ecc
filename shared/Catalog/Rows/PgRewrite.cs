using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_rewrite: a rewrite rule. Properties are the columns, in order.</summary>
public sealed record PgRewrite : ICatalogRow<PgRewrite>
{
    public Oid Oid { get; init; }
    public string RuleName { get; init; } = "";
    public Oid EvClass { get; init; }
    public char EvType { get; init; }
    public char EvEnabled { get; init; }
    public bool IsInstead { get; init; }
    public string EvQual { get; init; } = "";
    public string EvAction { get; init; } = "";

    public static PgRewrite Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        RuleName = v[1].AsText(),
        EvClass = v[2].Oid,
        EvType = (char)(byte)v[3].Bits,
        EvEnabled = (char)(byte)v[4].Bits,
        IsInstead = v[5].Bool,
        EvQual = v[6].AsText(),
        EvAction = v[7].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(RuleName);
        v[2] = Datum.FromOid(EvClass);
        v[3] = CatalogDatum.FromChar(EvType);
        v[4] = CatalogDatum.FromChar(EvEnabled);
        v[5] = Datum.FromBool(IsInstead);
        v[6] = Datum.FromText(EvQual);
        v[7] = Datum.FromText(EvAction);
    }
}
