using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>The name of an output column without AS (parse_target.c FigureColname).</summary>
internal static class ColumnNames
{
    public static string Of(Pg.Node node) => Find(node, out _) ?? "?column?";

    /// <summary>Strength 2 is a good name; 1 one that a better one replaces.</summary>
    private static string? Find(Pg.Node? node, out int strength)
    {
        strength = 2;
        switch (node?.NodeCase)
        {
            case Pg.Node.NodeOneofCase.ColumnRef:
                return node.ColumnRef.Fields.LastOrDefault(f => f.NodeCase == Pg.Node.NodeOneofCase.String)?.String.Sval;
            case Pg.Node.NodeOneofCase.AIndirection:
                return node.AIndirection.Indirection.LastOrDefault(f => f.NodeCase == Pg.Node.NodeOneofCase.String)?.String.Sval
                    ?? Find(node.AIndirection.Arg, out strength);
            case Pg.Node.NodeOneofCase.FuncCall:
                return node.FuncCall.Funcname[^1].String.Sval;
            case Pg.Node.NodeOneofCase.AExpr when node.AExpr.Kind == Pg.A_Expr_Kind.AexprNullif:
                return "nullif";
            case Pg.Node.NodeOneofCase.TypeCast:
                string? inner = Find(node.TypeCast.Arg, out strength);
                if (inner is not null && strength == 2)
                {
                    return inner;
                }

                strength = 1;
                return node.TypeCast.TypeName.Names[^1].String.Sval;
            case Pg.Node.NodeOneofCase.CollateClause:
                return Find(node.CollateClause.Arg, out strength);
            case Pg.Node.NodeOneofCase.SubLink:
                return OfSubLink(node.SubLink, out strength);
            case Pg.Node.NodeOneofCase.CaseExpr:
                string? otherwise = Find(node.CaseExpr.Defresult, out int caseStrength);
                if (otherwise is not null && caseStrength == 2)
                {
                    return otherwise;
                }

                strength = 1;
                return "case";
            case Pg.Node.NodeOneofCase.AArrayExpr:
                return "array";
            case Pg.Node.NodeOneofCase.RowExpr:
                return "row";
            case Pg.Node.NodeOneofCase.CoalesceExpr:
                return "coalesce";
            case Pg.Node.NodeOneofCase.MinMaxExpr:
                return node.MinMaxExpr.Op == Pg.MinMaxOp.IsGreatest ? "greatest" : "least";
            case Pg.Node.NodeOneofCase.SqlvalueFunction:
                return OfSqlValue(node.SqlvalueFunction.Op);
            default:
                strength = 0;
                return null;
        }
    }

    private static string? OfSubLink(Pg.SubLink link, out int strength)
    {
        strength = 2;
        switch (link.SubLinkType)
        {
            case Pg.SubLinkType.ExistsSublink:
                return "exists";
            case Pg.SubLinkType.ArraySublink:
                return "array";
            case Pg.SubLinkType.ExprSublink:
                Pg.SelectStmt select = link.Subselect.SelectStmt;
                while (select.Larg is not null)
                {
                    select = select.Larg;
                }

                if (select.TargetList.Count > 0)
                {
                    Pg.ResTarget t = select.TargetList[0].ResTarget;
                    return t.Name.Length > 0 ? t.Name : Find(t.Val, out strength);
                }

                return "column1";
            default:
                strength = 0;
                return null;
        }
    }

    private static string OfSqlValue(Pg.SQLValueFunctionOp op) => op switch
    {
        Pg.SQLValueFunctionOp.SvfopCurrentDate => "current_date",
        Pg.SQLValueFunctionOp.SvfopCurrentTime or Pg.SQLValueFunctionOp.SvfopCurrentTimeN => "current_time",
        Pg.SQLValueFunctionOp.SvfopCurrentTimestamp or Pg.SQLValueFunctionOp.SvfopCurrentTimestampN => "current_timestamp",
        Pg.SQLValueFunctionOp.SvfopLocaltime or Pg.SQLValueFunctionOp.SvfopLocaltimeN => "localtime",
        Pg.SQLValueFunctionOp.SvfopLocaltimestamp or Pg.SQLValueFunctionOp.SvfopLocaltimestampN => "localtimestamp",
        Pg.SQLValueFunctionOp.SvfopCurrentRole => "current_role",
        Pg.SQLValueFunctionOp.SvfopCurrentUser => "current_user",
        Pg.SQLValueFunctionOp.SvfopUser => "user",
        Pg.SQLValueFunctionOp.SvfopSessionUser => "session_user",
        Pg.SQLValueFunctionOp.SvfopCurrentCatalog => "current_catalog",
        _ => "current_schema",
    };
}
