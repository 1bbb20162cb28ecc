using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;

namespace SharedStorage.Sql.Session;

/// <summary>Definitions of objects as SQL text (ruleutils.c).</summary>
internal sealed partial class CatalogFunctions
{
    private Deparser NewDeparser(Relation? table, bool pretty) => new(Catalog, session, SearchPath, table, pretty);

    public string? DeparseExpression(string nodeTree, Oid relation, bool pretty)
    {
        IReadOnlyList<Expr> exprs = NodeTreeReader.ReadExprs(Catalog, nodeTree);
        Deparser deparser = NewDeparser(relation.IsValid ? Catalog.Relation(relation) : null, pretty);
        return string.Join(", ", exprs.Select(deparser.Write));
    }

    private string QualifiedName(PgClass row)
    {
        bool visible = SearchPath.Select(s => Catalog.ClassByName(row.RelName, s)).FirstOrDefault(c => c is not null)?.Oid == row.Oid;
        string name = TypeNames.Quote(row.RelName);
        return visible ? name : $"{TypeNames.Quote(SchemaName(row.RelNamespace))}.{name}";
    }

    private static string ColumnList(Relation table, IEnumerable<short> columns) => string.Join(", ", columns.Select(c => TypeNames.Quote(table.Desc[c - 1].Name)));

    public string? IndexDefinition(Oid index, int column, bool pretty)
    {
        if (Catalog.IndexRow(index) is not { } row || Catalog.Class(index) is not { } name || Catalog.Class(row.IndRelId) is not { } tableRow)
        {
            return null;
        }

        Relation table = Catalog.Relation(row.IndRelId)!;
        Deparser deparser = NewDeparser(table, pretty);
        Queue<Expr> expressions = new(row.IndExprs is null ? [] : NodeTreeReader.ReadExprs(Catalog, row.IndExprs));
        var keys = new List<string>();
        var included = new List<string>();
        for (int i = 0; i < row.IndKey.Length; i++)
        {
            Expr? expression = row.IndKey[i] == 0 ? expressions.Dequeue() : null;
            string text = expression is null ? TypeNames.Quote(table.Desc[row.IndKey[i] - 1].Name) : Expression(deparser, expression);
            Oid type = expression?.Type ?? table.Desc[row.IndKey[i] - 1].TypeId;
            Oid collation = expression?.Collation ?? table.Desc[row.IndKey[i] - 1].Collation;
            if (column == 0 && i < row.IndNKeyAtts)
            {
                text += KeyOptions(row, i, type, collation);
            }

            if (column == i + 1)
            {
                return text;
            }

            (i < row.IndNKeyAtts ? keys : included).Add(text);
        }

        if (column != 0)
        {
            return "";
        }

        string where = row.IndPred is null ? "" : " WHERE " + Predicate(table, row.IndPred, pretty);
        string include = included.Count > 0 ? $" INCLUDE ({string.Join(", ", included)})" : "";
        string options = name.RelOptions is { Length: > 0 } o ? $" WITH ({string.Join(", ", o.Select(Option))})" : "";
        string on = pretty ? QualifiedName(tableRow) : $"{TypeNames.Quote(SchemaName(tableRow.RelNamespace))}.{TypeNames.Quote(tableRow.RelName)}";
        string method = Catalog.View.AccessMethodById(name.RelAm)?.AmName ?? "btree";
        return $"CREATE {(row.IndIsUnique ? "UNIQUE " : "")}INDEX {TypeNames.Quote(name.RelName)} ON {on} USING {method} ({string.Join(", ", keys)}){include}"
            + $"{(row.IndNullsNotDistinct ? " NULLS NOT DISTINCT" : "")}{options}{where}";
    }

    private static string Expression(Deparser deparser, Expr e)
    {
        string text = deparser.Write(e);
        // A call stands by itself; anything else in parentheses.
        return e is FuncExpr { Form: CallForm.Call } ? text : text.StartsWith('(') && text.EndsWith(')') ? text : $"({text})";
    }

    private string Predicate(Relation table, string tree, bool pretty)
    {
        IReadOnlyList<Expr> tests = NodeTreeReader.ReadExprs(Catalog, tree);
        Deparser deparser = NewDeparser(table, pretty);
        return deparser.Write(tests.Count == 1 ? tests[0] : new BoolExpr(BoolOperation.And, [.. tests]));
    }

    private static string Option(string option)
    {
        int at = option.IndexOf('=', StringComparison.Ordinal);
        return at < 0 ? option : $"{option[..at]}='{option[(at + 1)..]}'";
    }

    private string KeyOptions(PgIndex row, int i, Oid type, Oid collation)
    {
        string result = "";
        if (row.IndCollation[i].IsValid && row.IndCollation[i] != collation && Catalog.Collation(row.IndCollation[i]) is { } c)
        {
            result += $" COLLATE {(SearchPath.Contains(c.CollNamespace) ? "" : TypeNames.Quote(SchemaName(c.CollNamespace)) + ".")}{TypeNames.Quote(c.CollName)}";
        }

        if (Catalog.OpClass(row.IndClass[i]) is { } opclass && !opclass.OpcDefault)
        {
            result += " " + TypeNames.Quote(opclass.OpcName);
        }

        _ = type;
        bool descending = (row.IndOption[i] & 1) != 0, nullsFirst = (row.IndOption[i] & 2) != 0;
        return result + (descending ? nullsFirst ? " DESC" : " DESC NULLS LAST" : nullsFirst ? " NULLS FIRST" : "");
    }

    public string? ConstraintDefinition(Oid constraint, bool pretty)
    {
        if (Catalog.View.ConstraintById(constraint) is not { } c)
        {
            return null;
        }

        Relation? table = c.ConRelId.IsValid ? Catalog.Relation(c.ConRelId) : null;
        string text;
        switch (c.ConType)
        {
            case 'c':
                string test = NewDeparser(table, pretty).Write(NodeTreeReader.ReadExpr(Catalog, c.ConBin!));
                text = $"CHECK ({test}){(c.ConNoInherit ? " NO INHERIT" : "")}";
                break;
            case 'p' or 'u':
                PgIndex index = Catalog.IndexRow(c.ConIndId)!;
                string included = index.IndKey.Length > index.IndNKeyAtts ? $" INCLUDE ({ColumnList(table!, index.IndKey.Skip(index.IndNKeyAtts))})" : "";
                text = $"{(c.ConType == 'p' ? "PRIMARY KEY" : index.IndNullsNotDistinct ? "UNIQUE NULLS NOT DISTINCT" : "UNIQUE")} ({ColumnList(table!, c.ConKey!)}){included}";
                break;
            case 'f':
                text = ForeignKey(c, table!);
                break;
            default:
                throw PgException.NotSupported("the definition of this kind of constraint");
        }

        return text + (c.ConDeferrable ? " DEFERRABLE" : "") + (c.ConDeferred ? " INITIALLY DEFERRED" : "") + (c.ConValidated ? "" : " NOT VALID");
    }

    private string ForeignKey(PgConstraint c, Relation table)
    {
        Relation parent = Catalog.Relation(c.ConFRelId)!;
        static string Action(char action) => action switch { 'c' => "CASCADE", 'n' => "SET NULL", 'd' => "SET DEFAULT", 'r' => "RESTRICT", _ => "" };
        string update = Action(c.ConFUpdType), delete = Action(c.ConFDelType);
        string set = c.ConFDelSetCols is { Length: > 0 } columns ? $" ({ColumnList(table, columns)})" : "";
        return $"FOREIGN KEY ({ColumnList(table, c.ConKey!)}) REFERENCES {QualifiedName(Catalog.Class(c.ConFRelId)!)}({ColumnList(parent, c.ConFKey!)})"
            + (c.ConFMatchType == 'f' ? " MATCH FULL" : "") + (update.Length > 0 ? $" ON UPDATE {update}" : "") + (delete.Length > 0 ? $" ON DELETE {delete}{set}" : "");
    }

    public string? FunctionResultText(Oid function)
    {
        if (Catalog.Proc(function) is not { ProKind: not 'p' } p)
        {
            return null;
        }

        if (p.ProArgModes is { } modes && modes.Contains('t'))
        {
            IEnumerable<string> columns = modes.Select((m, i) => (m, i)).Where(x => x.m == 't')
                .Select(x => $"{TypeNames.Quote(p.ProArgNames![x.i])} {TypeNames.Format(Catalog, p.ProAllArgTypes![x.i], -1, SearchPath)}");
            return $"TABLE({string.Join(", ", columns)})";
        }

        return (p.ProRetSet ? "SETOF " : "") + TypeNames.Format(Catalog, p.ProRetType, -1, SearchPath);
    }

    public string? FunctionBodyText(Oid function) =>
        Catalog.Proc(function)?.ProSqlBody is null ? null : throw PgException.NotSupported("pg_get_function_sqlbody() of a function in standard SQL form");

    public string? FunctionArgumentText(Oid function, bool identity)
    {
        if (Catalog.Proc(function) is not { } p)
        {
            return null;
        }

        Oid[] all = p.ProAllArgTypes ?? p.ProArgTypes;
        IReadOnlyList<Expr> defaults = identity || p.ProArgDefaults is null ? [] : NodeTreeReader.ReadExprs(Catalog, p.ProArgDefaults);
        var parts = new List<string>();
        int inputs = 0;
        for (int i = 0; i < all.Length; i++)
        {
            char mode = p.ProArgModes is { } modes ? modes[i] : 'i';
            bool input = mode is 'i' or 'b' or 'v';
            inputs += input ? 1 : 0;
            if (mode == 't' || (identity && mode == 'o'))
            {
                continue;
            }

            string name = p.ProArgNames is { } names && names[i].Length > 0 ? TypeNames.Quote(names[i]) + " " : "";
            string prefix = mode switch { 'o' => "OUT ", 'b' => "INOUT ", 'v' => "VARIADIC ", _ => "" };
            int at = inputs - 1 - (p.ProNArgs - defaults.Count);
            string value = input && at >= 0 && at < defaults.Count ? $" DEFAULT {NewDeparser(null, false).Write(defaults[at])}" : "";
            parts.Add(prefix + name + TypeNames.Format(Catalog, all[i], -1, SearchPath) + value);
        }

        return string.Join(", ", parts);
    }
}
