using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>
/// Orders of values for indexes on user tables, by the name of the class's support function 1. Implemented by Sql's types; the orders that the
/// catalogs' own indexes need are built in (<see cref="BuiltInComparators"/>).
/// </summary>
public interface IComparatorProvider
{
    /// <summary>
    /// The order of the support function with this pg_proc.prosrc ("btint4cmp", "bttextcmp"; cross-type ones too) under the collation; null when there is none.
    /// </summary>
    Comparison<Datum>? Find(string supportFunction, PgCollationInfo? collation);
}

/// <summary>What a comparison of text needs to know of a collation; null stands for "not collatable".</summary>
/// <param name="Id">pg_collation.oid; 100 is the database's default, resolved into <paramref name="Locale"/>.</param>
/// <param name="Provider">'c' the C library, 'i' ICU, 'd' the database's default.</param>
/// <param name="Locale">The C library's LC_COLLATE name ("C", "C.UTF-8", "en_US.utf8") or the ICU locale.</param>
/// <param name="CType">LC_CTYPE.</param>
/// <param name="Deterministic">Equal only when the bytes are.</param>
public sealed record PgCollationInfo(Oid Id, char Provider, string Locale, string CType, bool Deterministic)
{
    /// <summary>Ordered by bytes.</summary>
    public bool IsC => Provider == 'c' && Locale is "C" or "POSIX";
}
