using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>Functions that describe objects of the catalogs, as psql's \d asks them (ruleutils.c, format_type.c, namespace.c).</summary>
internal static class CatalogFunctions
{
    private const uint ClassCatalog = 1259;

    public static void Add(FunctionTable t)
    {
        AddVisibility(t);
        AddDefinitions(t);
        AddDescriptions(t);
        t.F2("format_type", static (a, b, c) => a.IsNull ? Datum.Null : Datum.FromText(TypeNames.Format(a.Oid, b.IsNull ? null : b.Int32, c.Catalogs)));
        t.Bound("pg_typeof", static b =>
        {
            uint type = b.ArgumentTypes[0].Value;
            return SqlFunction.Of("pg_typeof", (Datum _, EvalContext _) => Datum.FromUInt32(type));
        });
        t.F1("pg_get_userbyid", static (a, c) => NameType.From(c.Catalogs.RoleName(a.Oid) ?? $"unknown (OID={a.UInt32})"));
        t.F1("pg_tablespace_location", static (a, _) => a.UInt32 is 0 or 1663 or 1664 ? Datum.FromText("") : throw PgException.NotSupported("pg_tablespace_location()"));
        t.F1("pg_relation_is_publishable", static (a, c) => Datum.FromBool(c.Catalogs.RelationKind(a.Oid) is 'r' or 'p' && a.UInt32 >= 16384));
    }

    private static void AddVisibility(FunctionTable t)
    {
        t.F1("pg_table_is_visible", static (a, c) => c.Catalogs.RelationName(a.Oid) is { } n ? Datum.FromBool(n.Visible) : Datum.Null);
        t.F1("pg_type_is_visible", static (a, c) => c.Catalogs.Type(a.Oid) is { } n ? Datum.FromBool(n.Name.Visible) : Datum.Null);
        t.F1("pg_function_is_visible", static (a, c) => c.Catalogs.FunctionName(a.Oid) is { } n ? Datum.FromBool(n.Visible) : Datum.Null);
        t.F1("pg_operator_is_visible", static (a, c) => c.Catalogs.OperatorName(a.Oid) is { } n ? Datum.FromBool(n.Visible) : Datum.Null);
        foreach ((string name, uint catalog) in new (string, uint)[]
        {
            ("pg_opclass_is_visible", 2616), ("pg_opfamily_is_visible", 2753), ("pg_collation_is_visible", 3456), ("pg_conversion_is_visible", 2607),
            ("pg_statistics_obj_is_visible", 3381), ("pg_ts_parser_is_visible", 3601), ("pg_ts_dict_is_visible", 3600),
            ("pg_ts_template_is_visible", 3764), ("pg_ts_config_is_visible", 3602),
        })
        {
            t.F1(name, (a, c) => c.Catalogs.IsVisible(catalog, a.Oid) is { } v ? Datum.FromBool(v) : Datum.Null);
        }
    }

    private static Datum Text(string? s) => s is null ? Datum.Null : Datum.FromText(s);

    private static void AddDefinitions(FunctionTable t)
    {
        t.F2("pg_get_expr", static (a, b, c) => Text(c.Catalogs.DeparseExpression(TextFunctions.Str(a), b.Oid, pretty: false)));
        t.F3("pg_get_expr_ext", static (a, b, p, c) => Text(c.Catalogs.DeparseExpression(TextFunctions.Str(a), b.Oid, p.Bool)));
        t.F1("pg_get_indexdef", static (a, c) => Text(c.Catalogs.IndexDefinition(a.Oid, 0, pretty: false)));
        t.F3("pg_get_indexdef_ext", static (a, b, p, c) => Text(c.Catalogs.IndexDefinition(a.Oid, b.Int32, p.Bool)));
        t.F1("pg_get_constraintdef", static (a, c) => Text(c.Catalogs.ConstraintDefinition(a.Oid, pretty: false)));
        t.F2("pg_get_constraintdef_ext", static (a, p, c) => Text(c.Catalogs.ConstraintDefinition(a.Oid, p.Bool)));
        t.F1("pg_get_viewdef", static (a, c) => Text(c.Catalogs.ViewDefinition(a.Oid, false, 0)));
        t.F2("pg_get_viewdef_ext", static (a, p, c) => Text(c.Catalogs.ViewDefinition(a.Oid, p.Bool, 0)));
        t.F2("pg_get_viewdef_wrap", static (a, w, c) => Text(c.Catalogs.ViewDefinition(a.Oid, true, w.Int32)));
        t.F1("pg_get_ruledef", static (a, c) => Text(c.Catalogs.RuleDefinition(a.Oid, false)));
        t.F2("pg_get_ruledef_ext", static (a, p, c) => Text(c.Catalogs.RuleDefinition(a.Oid, p.Bool)));
        t.F1("pg_get_triggerdef", static (a, c) => Text(c.Catalogs.TriggerDefinition(a.Oid, false)));
        t.F2("pg_get_triggerdef_ext", static (a, p, c) => Text(c.Catalogs.TriggerDefinition(a.Oid, p.Bool)));
        t.F1("pg_get_functiondef", static (a, c) => Text(c.Catalogs.FunctionDefinition(a.Oid)));
        t.F1("pg_get_function_arguments", static (a, c) => Text(c.Catalogs.FunctionArgumentText(a.Oid, identity: false)));
        t.F1("pg_get_function_identity_arguments", static (a, c) => Text(c.Catalogs.FunctionArgumentText(a.Oid, identity: true)));
        t.F1("pg_get_function_result", static (a, c) => Text(c.Catalogs.FunctionResultText(a.Oid)));
        t.F1("pg_get_function_sqlbody", static (a, c) => Text(c.Catalogs.FunctionBodyText(a.Oid)));
        t.F1("pg_get_statisticsobjdef", static (a, c) => Text(c.Catalogs.StatisticsDefinition(a.Oid, columnsOnly: false)));
        t.F1("pg_get_statisticsobjdef_columns", static (a, c) => Text(c.Catalogs.StatisticsDefinition(a.Oid, columnsOnly: true)));
        t.F1("pg_get_partkeydef", static (a, c) => Text(c.Catalogs.PartitionKeyDefinition(a.Oid)));
        t.F1("pg_get_partition_constraintdef", static (_, _) => Datum.Null);
        t.F2("pg_get_serial_sequence", static (a, b, c) => SerialSequence(a, TextFunctions.Str(b), c));
    }

    private static Datum SerialSequence(Datum table, string column, EvalContext c)
    {
        Oid relation = TypeRegistry.Find(new Oid(2205))!.Input(table.Bytes, -1, c).Oid;
        return c.Catalogs.OwnedSequence(relation, column) is { } sequence && c.Catalogs.RelationName(sequence) is { } name
            ? Datum.FromText(Quoting.Qualified(name.Schema, name.Name))
            : Datum.Null;
    }

    private static void AddDescriptions(FunctionTable t)
    {
        t.Sql2(1215, "obj_description", static (a, b, c) => Text(c.Catalogs.Description(a.Oid, Catalog(b, c), 0)));
        t.Sql1(1348, "obj_description", static (a, c) => Text(c.Catalogs.Description(a.Oid, 0, 0)));
        t.Sql2(1216, "col_description", static (a, b, c) => Text(c.Catalogs.Description(a.Oid, ClassCatalog, b.Int32)));
        t.Sql2(1993, "shobj_description", static (a, b, c) => Text(c.Catalogs.SharedDescription(a.Oid, Catalog(b, c))));
    }

    private static uint Catalog(Datum name, EvalContext c) => c.Catalogs.FindRelation(["pg_catalog", name.AsText()])?.Value ?? 0;
}

/// <summary>to_regclass and its like: null instead of an error when there is no such object.</summary>
internal static class RegFunctions
{
    public static void Add(FunctionTable t)
    {
        foreach ((string name, uint type) in new (string, uint)[]
        {
            ("to_regclass", 2205), ("to_regtype", 2206), ("to_regproc", 24), ("to_regprocedure", 2202), ("to_regoper", 2203),
            ("to_regoperator", 2204), ("to_regnamespace", 4089), ("to_regrole", 4096), ("to_regcollation", 4191),
        })
        {
            var reg = (RegType)TypeRegistry.Find(new Oid(type))!;
            t.F1(name, (a, c) => reg.Find(TextFunctions.Str(a), c.Catalogs) is { } id ? Datum.FromOid(id) : Datum.Null);
        }

        PgType regclass = TypeRegistry.Find(new Oid(2205))!;
        t.F1("text_regclass", (a, c) => regclass.Input(a.Bytes, -1, c));
    }
}
