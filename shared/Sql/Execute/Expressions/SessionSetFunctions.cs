using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Session;

namespace SharedStorage.Sql.Execute.Expressions;

/// <summary>Set-returning functions that ask the session or the catalogs, by pg_proc.prosrc.</summary>
internal static class SessionSetFunctions
{
    public static SetFunction? Find(string source, ISqlCatalog catalog) => source switch
    {
        "pg_partition_ancestors" => new SetFunction(source, 1, (args, _) => new ListRows(Ancestors(catalog, args[0].Oid))),
        "pg_partition_tree" => new SetFunction(source, 4, (_, _) => new ListRows([])),
        "show_all_settings" => new SetFunction(source, 17, (_, context) => new ListRows([.. Settings(context)])),
        _ => null,
    };

    // A table that is no partition has no ancestors; partitions come from stock PostgreSQL's directories.
    private static IReadOnlyList<Datum[]> Ancestors(ISqlCatalog catalog, Oid table) =>
        catalog.Class(table) is { RelIsPartition: true } or { RelKind: 'p' or 'I' } ? [[Datum.FromOid(table)]] : [];

    private static IEnumerable<Datum[]> Settings(EvalContext context)
    {
        foreach (Setting s in SettingList.All.OrderBy(x => x.Name, StringComparer.OrdinalIgnoreCase))
        {
            string value = context.Session.GetSetting(s.Name) ?? "";
            var row = new Datum[17];
            Array.Fill(row, Datum.Null);
            row[0] = Datum.FromText(s.Name);
            row[1] = Datum.FromText(s.Unit.Length > 0 ? SessionSettings.InUnit(s, value) : value);
            row[2] = s.Unit.Length > 0 ? Datum.FromText(s.Unit) : Datum.Null;
            row[3] = row[4] = Datum.FromText("");
            row[6] = Datum.FromText(s.Changeable ? "user" : "internal");
            row[7] = Datum.FromText(s.Kind switch { SettingKind.Bool => "bool", SettingKind.Int => "integer", SettingKind.Real => "real", SettingKind.Enum => "enum", _ => "string" });
            row[8] = Datum.FromText(value == s.Default ? "default" : "session");
            row[9] = s.Min != long.MinValue ? Datum.FromText(s.Min.ToString(System.Globalization.CultureInfo.InvariantCulture)) : Datum.Null;
            row[10] = s.Max != long.MaxValue ? Datum.FromText(s.Max.ToString(System.Globalization.CultureInfo.InvariantCulture)) : Datum.Null;
            row[11] = s.Kind == SettingKind.Enum ? ArrayOf(s.Values) : Datum.Null;
            row[12] = row[13] = Datum.FromText(s.Default);
            row[16] = Datum.FromBool(false);
            yield return row;
        }
    }

    private static Datum ArrayOf(string[] values) =>
        Types.ArrayBuilder.Build(Types.TypeRegistry.Find(new Oid(Catalog.PgTypes.Text))!, values.Select(Datum.FromText).ToArray());

    private sealed class ListRows(IReadOnlyList<Datum[]> rows) : SetRows
    {
        private int _next;

        public override bool Next(Span<Datum> row)
        {
            if (_next >= rows.Count)
            {
                return false;
            }

            rows[_next++].AsSpan(0, row.Length).CopyTo(row);
            return true;
        }
    }
}
