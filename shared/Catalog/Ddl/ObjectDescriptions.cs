using System.Globalization;
using System.Text;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Objects in words, for the messages of DROP (getObjectDescription of objectaddress.c).</summary>
public static class ObjectDescriptions
{
    public static string Describe(CatalogView view, ObjectAddress a, IReadOnlyList<Oid> path)
    {
        if (a.Catalog == SystemCatalogs.Class.Id && view.ClassById(a.Id) is { } relation)
        {
            string whole = Relation(view, relation, path);
            return a.Part == 0 ? whole : $"column {Column(view, a.Id, a.Part)} of {whole}";
        }

        if (a.Catalog == SystemCatalogs.Type.Id && view.TypeById(a.Id) is { } type)
        {
            return $"type {TypeName(view, type, path)}";
        }

        if (a.Catalog == SystemCatalogs.Constraint.Id && view.ConstraintById(a.Id) is { } constraint)
        {
            return view.ClassById(constraint.ConRelId) is { } table
                ? $"constraint {Quote(constraint.ConName)} on {Relation(view, table, path)}"
                : $"constraint {Quote(constraint.ConName)}";
        }

        if (a.Catalog == SystemCatalogs.AttrDef.Id && Find(view, SystemCatalogs.AttrDef, a.Id) is { } value)
        {
            return $"default value for {Describe(view, ObjectAddress.Relation(value.AdRelId, value.AdNum), path)}";
        }

        if (a.Catalog == SystemCatalogs.Trigger.Id && Find(view, SystemCatalogs.Trigger, a.Id) is { } trigger)
        {
            return $"trigger {Quote(trigger.TgName)} on {Relation(view, view.ClassById(trigger.TgRelId)!, path)}";
        }

        if (a.Catalog == SystemCatalogs.Rewrite.Id && Find(view, SystemCatalogs.Rewrite, a.Id) is { } rule)
        {
            return $"rule {Quote(rule.RuleName)} on {Relation(view, view.ClassById(rule.EvClass)!, path)}";
        }

        if (a.Catalog == SystemCatalogs.Namespace.Id && view.NamespaceById(a.Id) is { } schema)
        {
            return $"schema {Quote(schema.NspName)}";
        }

        if (a.Catalog == SystemCatalogs.Proc.Id && view.FunctionById(a.Id) is { } function)
        {
            bool visible = view.FunctionsByName(function.ProName).All(f => f.Oid == function.Oid || !path.Contains(f.ProNamespace)) && path.Contains(function.ProNamespace);
            string arguments = string.Join(",", function.ProArgTypes.Select(t => view.TypeById(t) is { } p ? TypeName(view, p, path) : "-"));
            return $"function {Qualified(view, function.ProName, function.ProNamespace, visible)}({arguments})";
        }

        return string.Create(CultureInfo.InvariantCulture, $"object {a.Id.Value} of catalog {SystemCatalogs.ById.GetValueOrDefault(a.Catalog)?.Name ?? a.Catalog.ToString()}");
    }

    /// <summary>An identifier, in double quotes where it needs them (quote_identifier).</summary>
    public static string Quote(string name)
    {
        bool plain = name.Length > 0 && (char.IsAsciiLetterLower(name[0]) || name[0] == '_')
            && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_');
        return plain ? name : new StringBuilder(name).Replace("\"", "\"\"").Insert(0, '"').Append('"').ToString();
    }

    private static string Relation(CatalogView view, PgClass relation, IReadOnlyList<Oid> path)
    {
        string kind = relation.RelKind switch
        {
            'r' or 'p' => "table",
            'i' or 'I' => "index",
            'S' => "sequence",
            't' => "toast table",
            'v' => "view",
            'm' => "materialized view",
            'c' => "composite type",
            'f' => "foreign table",
            _ => "relation",
        };
        return $"{kind} {Qualified(view, relation.RelName, relation.RelNamespace, view.IsVisible(relation, path))}";
    }

    private static string TypeName(CatalogView view, PgType type, IReadOnlyList<Oid> path)
    {
        if (type.TypCategory == 'A' && type.TypElem.IsValid && view.TypeById(type.TypElem) is { } element && element.TypArray == type.Oid)
        {
            return TypeName(view, element, path) + "[]";
        }

        return Qualified(view, type.TypName, type.TypNamespace, view.FindTypeByName(null, type.TypName, path)?.Oid == type.Oid);
    }

    private static string Qualified(CatalogView view, string name, Oid schema, bool visible) =>
        visible ? Quote(name) : $"{Quote(view.NamespaceName(schema))}.{Quote(name)}";

    private static string Column(CatalogView view, Oid relation, int number) =>
        Quote(view.GetAttributes(relation).FirstOrDefault(c => c.AttNum == number)?.AttName ?? "?");

    private static TRow? Find<TRow>(CatalogView view, CatalogTable<TRow> table, Oid id)
        where TRow : class, ICatalogRow<TRow> =>
        view.Search(table, table.IndexOn("oid"), Datum.FromOid(id)).Select(r => r.Row).FirstOrDefault();
}
