using SharedStorage.Catalog;
using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Types;

/// <summary>Gives the catalog the orders of users' indexes.</summary>
public sealed class ComparatorProvider : IComparatorProvider
{
    public static ComparatorProvider Instance { get; } = new();

    public Comparison<Datum>? Find(string supportFunction, PgCollationInfo? collation) => Comparators.Find(supportFunction, ToCollation(collation));

    /// <summary>A collation of the catalogs as text compares by it; null stays null.</summary>
    /// <exception cref="Primitives.PgException">0A000: ICU, or one that is not deterministic.</exception>
    public static Collation? ToCollation(PgCollationInfo? collation)
    {
        if (collation is null)
        {
            return null;
        }

        return collation.Provider == 'c' && collation.Deterministic
            ? Collation.Get(collation.Locale, collation.CType)
            : throw Primitives.PgException.NotSupported("an ICU or nondeterministic collation");
    }
}
