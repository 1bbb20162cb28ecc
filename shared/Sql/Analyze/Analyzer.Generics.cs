using SharedStorage.Catalog;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>Polymorphic arguments and results (check_generic_type_consistency, enforce_generic_type_consistency).</summary>
public sealed partial class Analyzer
{
    private bool GenericsConsistent(ReadOnlySpan<Oid> actual, ReadOnlySpan<Oid> declared)
    {
        Oid element = Oid.Invalid, array = Oid.Invalid;
        var compatible = new List<Oid>();
        for (int i = 0; i < declared.Length; i++)
        {
            Oid type = actual[i];
            switch (declared[i].Value)
            {
                case PgTypes.AnyElement or PgTypes.AnyNonArray or PgTypes.AnyEnum:
                    if (type.Value == PgTypes.Unknown)
                    {
                        continue;
                    }

                    if ((element.IsValid && type != element) || (declared[i].Value == PgTypes.AnyNonArray && ElementType(type).IsValid)
                        || (declared[i].Value == PgTypes.AnyEnum && Catalog.Type(type)?.TypType != 'e'))
                    {
                        return false;
                    }

                    element = type;
                    break;
                case PgTypes.AnyArray:
                    if (type.Value == PgTypes.Unknown)
                    {
                        continue;
                    }

                    type = BaseType(type);
                    if ((array.IsValid && type != array) || (type.Value != PgTypes.AnyArray && !ElementType(type).IsValid))
                    {
                        return false;
                    }

                    array = type;
                    break;
                case PgTypes.AnyCompatible or PgTypes.AnyCompatibleNonArray:
                    if (type.Value != PgTypes.Unknown)
                    {
                        compatible.Add(type);
                    }

                    break;
                case PgTypes.AnyCompatibleArray:
                    if (type.Value == PgTypes.Unknown)
                    {
                        continue;
                    }

                    if (ElementType(type) is not { IsValid: true } e)
                    {
                        return false;
                    }

                    compatible.Add(e);
                    break;
                case PgTypes.AnyRange or PgTypes.AnyMultiRange or PgTypes.AnyCompatibleRange or PgTypes.AnyCompatibleMultiRange:
                    if (type.Value != PgTypes.Unknown)
                    {
                        return false;
                    }

                    break;
            }
        }

        if (array.IsValid && element.IsValid && array.Value != PgTypes.AnyArray && ElementType(array) != element)
        {
            return false;
        }

        return compatible.Count < 2 || CommonTypeOf(compatible).IsValid;
    }

    /// <summary>Replaces polymorphic types among the declared ones by what the actual ones say; gives the result type.</summary>
    private Oid EnforceGenerics(Oid[] actual, Oid[] declared, Oid result)
    {
        Oid element = Oid.Invalid, array = Oid.Invalid;
        var compatible = new List<Oid>();
        bool anyCompatible = false;
        for (int i = 0; i < declared.Length; i++)
        {
            Oid type = actual[i];
            switch (declared[i].Value)
            {
                case PgTypes.AnyElement or PgTypes.AnyNonArray or PgTypes.AnyEnum:
                    element = type.Value == PgTypes.Unknown ? element : type;
                    break;
                case PgTypes.AnyArray:
                    array = type.Value == PgTypes.Unknown ? array : BaseType(type);
                    break;
                case PgTypes.AnyCompatible or PgTypes.AnyCompatibleNonArray:
                    anyCompatible = true;
                    AddKnown(compatible, type);
                    break;
                case PgTypes.AnyCompatibleArray:
                    anyCompatible = true;
                    AddKnown(compatible, type.Value == PgTypes.Unknown ? type : ElementType(type));
                    break;
            }
        }

        bool polymorphic = declared.Any(IsPolymorphic) || IsPolymorphic(result);
        if (!polymorphic)
        {
            return result;
        }

        if (array.IsValid && !element.IsValid)
        {
            element = array.Value == PgTypes.AnyArray ? new Oid(PgTypes.AnyElement) : ElementType(array);
        }

        if (!element.IsValid && declared.Any(d => d.Value is PgTypes.AnyElement or PgTypes.AnyArray or PgTypes.AnyNonArray))
        {
            throw new PgException(SqlStates.DatatypeMismatch, "could not determine polymorphic type because input has type unknown");
        }

        array = array.IsValid ? array : element.IsValid ? ArrayType(element) : array;
        Oid common = anyCompatible ? compatible.Count == 0 ? new Oid(PgTypes.Text) : CommonTypeOf(compatible) : Oid.Invalid;
        for (int i = 0; i < declared.Length; i++)
        {
            declared[i] = Substitute(declared[i], element, array, common);
        }

        return Substitute(result, element, array, common);
    }

    private Oid Substitute(Oid type, Oid element, Oid array, Oid common) => type.Value switch
    {
        PgTypes.AnyElement or PgTypes.AnyNonArray or PgTypes.AnyEnum when element.IsValid => element,
        PgTypes.AnyArray when array.IsValid => array,
        PgTypes.AnyCompatible or PgTypes.AnyCompatibleNonArray when common.IsValid => common,
        PgTypes.AnyCompatibleArray when common.IsValid => ArrayType(common),
        _ => type,
    };

    private static void AddKnown(List<Oid> types, Oid type)
    {
        if (type.Value != PgTypes.Unknown && type.IsValid)
        {
            types.Add(type);
        }
    }

    private Oid CommonTypeOf(List<Oid> types) => CommonType([.. types.Select(t => (Expr)new CaseTestExpr(t, -1))], null);
}
