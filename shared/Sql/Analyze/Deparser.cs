using System.Text;
using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>SQL text of stored expressions (ruleutils.c), for pg_get_expr and its like. Columns are named by one table.</summary>
internal sealed class Deparser(ISqlCatalog catalog, ITypeInput types, IReadOnlyList<Oid> searchPath, Relation? table, bool pretty)
{
    public string Write(Expr e) => Write(e, false, false);

    private string Write(Expr e, bool nested) => Write(e, nested, false);

    private string Type(Oid type, int typmod) => TypeNames.Format(catalog, type, typmod, searchPath);

    /// <param name="nested">Within an operator or the like: parentheses where they may be needed.</param>
    /// <param name="casts">Implicit casts are written too, as within operators and calls.</param>
    private string Write(Expr e, bool nested, bool casts)
    {
        switch (e)
        {
            case ConstExpr c:
                return Constant(c);
            case VarExpr v:
                return v.Column > 0 && table is not null ? TypeNames.Quote(table.Desc[v.Column - 1].Name) : throw PgException.NotSupported("this column in a stored expression");
            case FuncExpr f:
                return Function(f, nested, casts);
            case OpExpr o:
                return Operator(o, nested);
            case BoolExpr { Operation: BoolOperation.Not } b:
                return Parens($"NOT {Write(b.Args[0], true)}", nested);
            case BoolExpr b:
                string word = b.Operation == BoolOperation.And ? " AND " : " OR ";
                return Parens(string.Join(word, b.Args.Select(a => Write(a, true))), nested);
            case NullTestExpr n:
                return Parens($"{Write(n.Arg, true)} IS {(n.IsNull ? "" : "NOT ")}NULL", nested);
            case BooleanTestExpr t:
                string test = t.Test switch
                {
                    BooleanTest.IsTrue => "TRUE",
                    BooleanTest.IsNotTrue => "NOT TRUE",
                    BooleanTest.IsFalse => "FALSE",
                    BooleanTest.IsNotFalse => "NOT FALSE",
                    BooleanTest.IsUnknown => "UNKNOWN",
                    _ => "NOT UNKNOWN",
                };
                return Parens($"{Write(t.Arg, true)} IS {test}", nested);
            case ArrayOpExpr a:
                return Parens($"{Write(a.Scalar, true, true)} {a.Operator.OprName} {(a.IsAny ? "ANY" : "ALL")} ({Write(a.Array, true, true)})", nested);
            case RelabelExpr r:
                return r.Form == CallForm.ImplicitCast && !casts ? Write(r.Arg, nested) : Cast(r.Arg, r.Type, r.Typmod);
            case IoCoerceExpr io:
                return io.Form == CallForm.ImplicitCast && !casts ? Write(io.Arg, nested) : Cast(io.Arg, io.Type, -1);
            case ArrayCoerceExpr a:
                return a.Form == CallForm.ImplicitCast && !casts ? Write(a.Arg, nested) : Cast(a.Arg, a.Type, a.Typmod);
            case DomainExpr d:
                return Cast(d.Arg, d.Type, d.Typmod);
            default:
                return WriteMore(e);
        }
    }

    private string WriteMore(Expr e)
    {
        switch (e)
        {
            case CollateExpr c:
                return $"({Write(c.Arg, true)} COLLATE {TypeNames.Quote(catalog.Collation(c.Collation)?.CollName ?? "")})";
            case CoalesceExpr c:
                return $"COALESCE({List(c.Args)})";
            case MinMaxExpr m:
                return $"{(m.Greatest ? "GREATEST" : "LEAST")}({List(m.Args)})";
            case ArrayExpr a:
                return $"ARRAY[{List(a.Elements)}]" + (a.Elements.Count == 0 ? "::" + Type(a.Type, -1) : "");
            case CaseExpr c:
                return Case(c);
            case CaseTestExpr:
                return "CASE_TEST";
            case SubscriptExpr { IsSlice: false } s:
                return Write(s.Array, true) + string.Concat(s.Upper.Select(u => $"[{Write(u!)}]"));
            case RowExpr r:
                return $"ROW({List(r.Args)})";
            case SqlValueExpr s:
                string name = System.Text.RegularExpressions.Regex.Replace(s.Op.ToString()["Svfop".Length..], "(?<=[a-z])([A-Z])", "_$1").ToUpperInvariant();
                return name.EndsWith("_N", StringComparison.Ordinal) ? $"{name[..^2]}({s.Typmod})" : name;
            case NextValueExpr n:
                return $"nextval('{catalog.Class(n.Sequence)?.RelName}'::regclass)";
            default:
                throw PgException.NotSupported($"{e.GetType().Name} in a stored expression");
        }
    }

    private string List(IEnumerable<Expr> exprs) => string.Join(", ", exprs.Select(Write));

    // Without pretty-printing PostgreSQL puts everything into parentheses.
    private string Parens(string text, bool nested) => pretty && !nested ? text : $"({text})";

    private string Cast(Expr arg, Oid type, int typmod)
    {
        if (arg is ConstExpr { Typmod: -1 } c && c.Type == type)
        {
            return $"{Literal(c)}::{Type(type, typmod)}";
        }

        string inner = Write(arg, true);
        return $"{(pretty || inner[0] == '(' ? inner : $"({inner})")}::{Type(type, typmod)}";
    }

    private string Constant(ConstExpr c)
    {
        if (c.Value.IsNull)
        {
            return "NULL::" + Type(c.Type, c.Typmod);
        }

        string text = types.Output(c.Type, c.Value);
        switch (c.Type.Value)
        {
            case PgTypes.Int4:
                return text[0] == '-' ? $"'{text}'::integer" : text;
            case PgTypes.Numeric when char.IsAsciiDigit(text[0]) && text.IndexOfAny(['.', 'e', 'E']) >= 0:
                return text;
            case PgTypes.Bool:
                return c.Value.Bool ? "true" : "false";
            default:
                int typmod = c.Type.Value is PgTypes.BpChar or PgTypes.VarChar ? c.Typmod : c.Typmod;
                string type = c.Type.Value == PgTypes.BpChar && typmod < 0 ? "bpchar" : Type(c.Type, typmod);
                return $"{Literal(c)}::{type}";
        }
    }

    private string Literal(ConstExpr c)
    {
        if (c.Value.IsNull)
        {
            return "NULL";
        }

        string text = types.Output(c.Type, c.Value);
        var result = new StringBuilder();
        bool escapes = text.Contains('\\', StringComparison.Ordinal);
        result.Append(escapes ? "E'" : "'");
        result.Append(text.Replace("'", "''", StringComparison.Ordinal).Replace("\\", "\\\\", StringComparison.Ordinal)).Append('\'');
        return result.ToString();
    }

    private string Function(FuncExpr f, bool nested, bool casts)
    {
        if (f.Form == CallForm.ImplicitCast && !casts)
        {
            return Write(f.Args[0], nested);
        }

        if (f.Form is CallForm.ExplicitCast or CallForm.ImplicitCast)
        {
            return Cast(f.Args[0], f.Type, f.Typmod);
        }

        bool visible = false;
        foreach (Oid schema in searchPath)
        {
            if (catalog.ProcsByName(f.Proc.ProName).Any(p => p.ProNamespace == schema && p.ProArgTypes.AsSpan().SequenceEqual(f.Proc.ProArgTypes)))
            {
                visible = schema == f.Proc.ProNamespace;
                break;
            }
        }

        string name = TypeNames.Quote(f.Proc.ProName);
        name = visible ? name : $"{TypeNames.Quote(catalog.Schema(f.Proc.ProNamespace)?.NspName ?? "")}.{name}";
        return $"{name}({string.Join(", ", f.Args.Select(a => Write(a, false, true)))})";
    }

    private string Operator(OpExpr o, bool nested)
    {
        if (o.Kind == OperatorKind.NullIf)
        {
            return $"NULLIF({List(o.Args)})";
        }

        string sign = o.Kind == OperatorKind.Distinct ? "IS DISTINCT FROM" : o.Operator.OprName;
        string text = o.Args.Count == 1 ? $"{sign} {Write(o.Args[0], true, true)}" : $"{Write(o.Args[0], true, true)} {sign} {Write(o.Args[1], true, true)}";
        return Parens(text, nested);
    }

    private string Case(CaseExpr c)
    {
        string indent = "\n    ";
        var text = new StringBuilder("CASE");
        if (c.Arg is not null)
        {
            text.Append(' ').Append(Write(c.Arg, true));
        }

        for (int i = 0; i < c.Conditions.Count; i++)
        {
            Expr condition = c.Conditions[i];
            if (c.Arg is not null && condition is OpExpr { Args.Count: 2 } o)
            {
                condition = o.Args[1];
            }

            text.Append(indent).Append("WHEN ").Append(Write(condition)).Append(" THEN ").Append(Write(c.Results[i]));
        }

        text.Append(indent).Append("ELSE ").Append(Write(c.Otherwise)).Append("\nEND");
        return text.ToString();
    }
}
