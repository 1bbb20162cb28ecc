using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Rows;

/// <summary>A row of pg_collation: a collation. Properties are the columns, in order.</summary>
public sealed record PgCollation : ICatalogRow<PgCollation>
{
    public Oid Oid { get; init; }
    public string CollName { get; init; } = "";
    public Oid CollNamespace { get; init; }
    public Oid CollOwner { get; init; }
    public char CollProvider { get; init; }
    public bool CollIsDeterministic { get; init; }
    public int CollEncoding { get; init; }
    public string? CollCollate { get; init; }
    public string? CollCtype { get; init; }
    public string? CollIcuLocale { get; init; }
    public string? CollVersion { get; init; }

    public static PgCollation Read(ReadOnlySpan<Datum> v) => new()
    {
        Oid = v[0].Oid,
        CollName = v[1].AsText(),
        CollNamespace = v[2].Oid,
        CollOwner = v[3].Oid,
        CollProvider = (char)(byte)v[4].Bits,
        CollIsDeterministic = v[5].Bool,
        CollEncoding = v[6].Int32,
        CollCollate = v[7].IsNull ? null : v[7].AsText(),
        CollCtype = v[8].IsNull ? null : v[8].AsText(),
        CollIcuLocale = v[9].IsNull ? null : v[9].AsText(),
        CollVersion = v[10].IsNull ? null : v[10].AsText(),
    };

    public void Write(Span<Datum> v)
    {
        v[0] = Datum.FromOid(Oid);
        v[1] = CatalogDatum.FromName(CollName);
        v[2] = Datum.FromOid(CollNamespace);
        v[3] = Datum.FromOid(CollOwner);
        v[4] = CatalogDatum.FromChar(CollProvider);
        v[5] = Datum.FromBool(CollIsDeterministic);
        v[6] = Datum.FromInt32(CollEncoding);
        v[7] = CollCollate is null ? Datum.Null : Datum.FromText(CollCollate);
        v[8] = CollCtype is null ? Datum.Null : Datum.FromText(CollCtype);
        v[9] = CollIcuLocale is null ? Datum.Null : Datum.FromText(CollIcuLocale);
        v[10] = CollVersion is null ? Datum.Null : Datum.FromText(CollVersion);
    }
}
