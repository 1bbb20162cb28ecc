using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>Expressions as PostgreSQL stores them (pg_node_tree), for defaults, checks and index expressions.</summary>
internal sealed class NodeTreeWriter(ISqlCatalog catalog)
{
    public NodeValue Write(Expr e)
    {
        switch (e)
        {
            case ConstExpr c:
                PgType type = catalog.Type(c.Type)!;
                return NodeBuilder.Const(c.Type, c.Typmod, c.Collation, type.TypLen, type.TypByVal, c.Value.IsNull ? null : NodeConstants.Encode(c.Value, type.TypLen, type.TypByVal));
            case VarExpr v:
                return NodeBuilder.Var(v.Entry, v.Column, v.Type, v.Typmod, v.Collation, v.LevelsUp);
            case FuncExpr f:
                return NodeBuilder.Function(f.Proc.Oid, f.Type, f.Collation, f.InputCollation, (int)f.Form, f.Proc.ProRetSet, f.Variadic, All(f.Args));
            case OpExpr { Kind: OperatorKind.Distinct } o:
                return NodeBuilder.Distinct(o.Operator.Oid, o.Proc.Oid, o.Type, o.Collation, o.InputCollation, All(o.Args));
            case OpExpr { Kind: OperatorKind.NullIf } o:
                return NodeBuilder.NullIf(o.Operator.Oid, o.Proc.Oid, o.Type, o.Collation, o.InputCollation, All(o.Args));
            case OpExpr o:
                return NodeBuilder.Operator(o.Operator.Oid, o.Proc.Oid, o.Type, o.Collation, o.InputCollation, All(o.Args));
            case ArrayOpExpr a:
                return NodeBuilder.ScalarArray(a.Operator.Oid, a.Proc.Oid, a.IsAny, a.InputCollation, Write(a.Scalar), Write(a.Array));
            case BoolExpr b:
                return NodeBuilder.Bool(b.Operation switch { BoolOperation.And => "and", BoolOperation.Or => "or", _ => "not" }, All(b.Args));
            case NullTestExpr n:
                return NodeBuilder.NullTest(Write(n.Arg), n.IsNull, false);
            case BooleanTestExpr t:
                return NodeBuilder.BooleanTest(Write(t.Arg), (int)t.Test);
            case RelabelExpr r:
                return NodeBuilder.Relabel(Write(r.Arg), r.Type, r.Typmod, r.Collation, (int)r.Form);
            case IoCoerceExpr io:
                return NodeBuilder.CoerceViaIo(Write(io.Arg), io.Type, io.Collation, (int)io.Form);
            case ArrayCoerceExpr a:
                return NodeBuilder.ArrayCoerce(Write(a.Arg), Write(a.Element), a.Type, a.Typmod, a.Collation, (int)a.Form);
            case CollateExpr c:
                return NodeBuilder.Collate(Write(c.Arg), c.Collation);
            case CaseExpr c:
                return NodeBuilder.Case(c.Type, c.Collation, c.Arg is null ? null : Write(c.Arg),
                    [.. c.Conditions.Select((w, i) => (NodeValue)NodeBuilder.When(Write(w), Write(c.Results[i])))], Write(c.Otherwise));
            case CaseTestExpr t:
                return NodeBuilder.CaseTest(t.Type, t.Typmod, t.Collation);
            case CoalesceExpr c:
                return NodeBuilder.Coalesce(c.Type, c.Collation, All(c.Args));
            case MinMaxExpr m:
                return NodeBuilder.MinMax(m.Type, m.Collation, m.InputCollation, m.Greatest, All(m.Args));
            case ArrayExpr a:
                return NodeBuilder.Array(a.Type, a.Collation, a.ElementType, a.MultiDimensional, All(a.Elements));
            case SqlValueExpr s:
                return NodeBuilder.SqlValueFunction((int)s.Op - 1, s.Type, s.Typmod);
            default:
                throw PgException.NotSupported($"storing {e.GetType().Name}");
        }
    }

    private IReadOnlyList<NodeValue> All(IReadOnlyList<Expr> exprs) => [.. exprs.Select(Write)];
}
