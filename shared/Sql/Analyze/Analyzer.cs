using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Parse;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>
/// Turns a raw statement into a <see cref="Query"/>: PostgreSQL's parser/analyze.c and parse_*.c, with its rules, messages and positions.
/// </summary>
public sealed partial class Analyzer(AnalyzeContext context)
{
    private readonly AnalyzeContext _context = context;
    private ISqlCatalog Catalog => _context.Catalog;

    /// <summary>A SELECT, INSERT, UPDATE or DELETE.</summary>
    public Query Analyze(Pg.Node statement)
    {
        try
        {
            Query query = AnalyzeStatement(statement, null);
            CheckParameters();
            return query;
        }
        catch (InsufficientExecutionStackException)
        {
            throw NestingGuard.TooDeep();
        }
    }

    /// <summary>Whether the statement is one that <see cref="Analyze"/> takes.</summary>
    public static bool IsQuery(Pg.Node statement) => statement.NodeCase is Pg.Node.NodeOneofCase.SelectStmt or Pg.Node.NodeOneofCase.InsertStmt
        or Pg.Node.NodeOneofCase.UpdateStmt or Pg.Node.NodeOneofCase.DeleteStmt;

    /// <summary>An expression without tables, coerced to a type: EXECUTE's arguments, defaults of columns.</summary>
    public Expr AnalyzeStandalone(Pg.Node expression, Oid type, int typmod, string column)
    {
        var scope = new Scope(new Query(), null) { Clause = ClauseKind.ColumnDefault };
        Expr value = TransformExpr(scope, expression);
        return CoerceForAssignment(value, type, typmod, column, NodeLocation(expression));
    }

    /// <summary>A condition over one table (CHECK, a partial index).</summary>
    public Expr AnalyzeCondition(Pg.Node expression, Access.Relation table, string clause)
    {
        var scope = new Scope(new Query(), null) { Clause = ClauseKind.CheckConstraint };
        AddRelation(scope, table, null, table.Name, true);
        return CoerceToBoolean(TransformExpr(scope, expression), clause);
    }

    /// <summary>An expression over one table (an index column).</summary>
    public Expr AnalyzeOver(Pg.Node expression, Access.Relation table)
    {
        var scope = new Scope(new Query(), null) { Clause = ClauseKind.IndexExpression };
        AddRelation(scope, table, null, table.Name, true);
        return ResolveUnknown(TransformExpr(scope, expression));
    }

    /// <summary>The value of a column in its new type: by USING, else by an assignment cast (ALTER COLUMN TYPE).</summary>
    /// <exception cref="PgException">42804.</exception>
    public Expr AnalyzeConversion(Pg.Node? transform, Access.Relation table, short column, Oid type, int typmod)
    {
        var scope = new Scope(new Query(), null) { Clause = ClauseKind.IndexExpression };
        AddRelation(scope, table, null, table.Name, true);
        string name = table.Desc[column - 1].Name;
        Expr value = TransformExpr(scope, transform ?? new Pg.Node { ColumnRef = new Pg.ColumnRef { Fields = { new Pg.Node { String = new Pg.String { Sval = name } } }, Location = -1 } });
        if (CoerceTo(value, type, typmod, CoercionContext.Assignment, CallForm.ImplicitCast, -1) is { } converted)
        {
            return converted;
        }

        string typeName = TypeNames.Format(Catalog, type, typmod, _context.SearchPath);
        throw transform is null
            ? _context.Error(SqlStates.DatatypeMismatch, $"column \"{name}\" cannot be cast automatically to type {FormatType(type)}", -1,
                $"You might need to specify \"USING {TypeNames.Quote(name)}::{typeName}\".")
            : _context.Error(SqlStates.DatatypeMismatch, $"result of USING clause for column \"{name}\" cannot be cast automatically to type {FormatType(type)}", -1,
                "You might need to add an explicit cast.");
    }

    /// <summary>A stored default in the column's new type.</summary>
    /// <exception cref="PgException">42804.</exception>
    public Expr ConvertDefault(Expr value, Oid type, int typmod, string column) =>
        CoerceTo(value, type, typmod, CoercionContext.Assignment, CallForm.ImplicitCast, -1)
            ?? throw _context.Error(SqlStates.DatatypeMismatch, $"default for column \"{column}\" cannot be cast automatically to type {FormatType(type)}", -1);

    private Query AnalyzeStatement(Pg.Node statement, Scope? parent)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        return statement.NodeCase switch
        {
            Pg.Node.NodeOneofCase.SelectStmt => AnalyzeSelectStatement(statement.SelectStmt, parent),
            Pg.Node.NodeOneofCase.InsertStmt => AnalyzeInsert(statement.InsertStmt, parent),
            Pg.Node.NodeOneofCase.UpdateStmt => AnalyzeUpdate(statement.UpdateStmt, parent),
            Pg.Node.NodeOneofCase.DeleteStmt => AnalyzeDelete(statement.DeleteStmt, parent),
            _ => throw PgException.NotSupported(statement.NodeCase.ToString()),
        };
    }

    private void CheckParameters()
    {
        for (int i = 0; i < _context.ParameterTypes.Count; i++)
        {
            if (!_context.ParameterTypes[i].IsValid || _context.ParameterTypes[i].Value == PgTypes.Unknown)
            {
                if (_context.InferParameters && _usedParameters.Contains(i + 1))
                {
                    throw new PgException(SqlStates.IndeterminateDatatype, $"could not determine data type of parameter ${i + 1}");
                }
            }
        }
    }

    private static int NodeLocation(Pg.Node? node) => node?.NodeCase switch
    {
        Pg.Node.NodeOneofCase.ColumnRef => node.ColumnRef.Location,
        Pg.Node.NodeOneofCase.AConst => node.AConst.Location,
        Pg.Node.NodeOneofCase.AExpr => Min(node.AExpr.Location, NodeLocation(node.AExpr.Lexpr)),
        Pg.Node.NodeOneofCase.FuncCall => node.FuncCall.Location,
        Pg.Node.NodeOneofCase.TypeCast => Min(NodeLocation(node.TypeCast.Arg), node.TypeCast.TypeName?.Location ?? -1),
        Pg.Node.NodeOneofCase.ParamRef => node.ParamRef.Location,
        Pg.Node.NodeOneofCase.BoolExpr => Min(node.BoolExpr.Location, NodeLocation(node.BoolExpr.Args.FirstOrDefault())),
        Pg.Node.NodeOneofCase.SubLink => Min(NodeLocation(node.SubLink.Testexpr), node.SubLink.Location),
        Pg.Node.NodeOneofCase.CaseExpr => node.CaseExpr.Location,
        Pg.Node.NodeOneofCase.CoalesceExpr => node.CoalesceExpr.Location,
        Pg.Node.NodeOneofCase.MinMaxExpr => node.MinMaxExpr.Location,
        Pg.Node.NodeOneofCase.NullTest => Min(node.NullTest.Location, NodeLocation(node.NullTest.Arg)),
        Pg.Node.NodeOneofCase.BooleanTest => Min(node.BooleanTest.Location, NodeLocation(node.BooleanTest.Arg)),
        Pg.Node.NodeOneofCase.AArrayExpr => node.AArrayExpr.Location,
        Pg.Node.NodeOneofCase.RowExpr => node.RowExpr.Location,
        Pg.Node.NodeOneofCase.AIndirection => NodeLocation(node.AIndirection.Arg),
        Pg.Node.NodeOneofCase.CollateClause => NodeLocation(node.CollateClause.Arg),
        Pg.Node.NodeOneofCase.SqlvalueFunction => node.SqlvalueFunction.Location,
        Pg.Node.NodeOneofCase.ResTarget => node.ResTarget.Location,
        Pg.Node.NodeOneofCase.SetToDefault => node.SetToDefault.Location,
        _ => -1,
    };

    /// <summary>The leftmost of two locations, when both are known (exprLocation).</summary>
    private static int Min(int a, int b) => a < 0 ? b : b < 0 ? a : Math.Min(a, b);

    private static int ExprLocation(Expr expr)
    {
        int location = expr.Location;
        if (expr is OpExpr or BoolExpr or NullTestExpr or BooleanTestExpr or RelabelExpr or IoCoerceExpr or ArrayOpExpr or CollateExpr or FuncExpr { Form: not CallForm.Call })
        {
            foreach (Expr child in expr.Children)
            {
                location = Min(location, ExprLocation(child));
                break;
            }
        }

        return location;
    }

    private static Oid TypeOid(uint value) => new(value);

    private static string ExprString(Pg.Node node) => node.NodeCase == Pg.Node.NodeOneofCase.String ? node.String.Sval : "";

    private ConstExpr BoolConst(bool value) => new(Datum.FromBool(value), TypeOid(PgTypes.Bool));

    private PgType TypeRow(Oid type) => Catalog.Type(type) ?? throw new PgException(SqlStates.UndefinedObject, $"type with OID {type} does not exist");

    private PgProc ProcRow(Oid proc) => Catalog.Proc(proc) ?? throw new PgException(SqlStates.UndefinedFunction, $"function with OID {proc} does not exist");
}
