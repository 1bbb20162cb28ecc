using System.Globalization;
using System.Runtime.CompilerServices;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>Expressions (parse_expr.c).</summary>
public sealed partial class Analyzer
{
    private readonly HashSet<int> _usedParameters = [];

    private Expr TransformExpr(Scope scope, Pg.Node node)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        return node.NodeCase switch
        {
            Pg.Node.NodeOneofCase.ColumnRef => TransformColumnRef(scope, node.ColumnRef),
            Pg.Node.NodeOneofCase.AConst => TransformConst(node.AConst),
            Pg.Node.NodeOneofCase.ParamRef => TransformParameter(node.ParamRef),
            Pg.Node.NodeOneofCase.AExpr => TransformOperatorExpr(scope, node.AExpr),
            Pg.Node.NodeOneofCase.BoolExpr => TransformBool(scope, node.BoolExpr),
            Pg.Node.NodeOneofCase.FuncCall => TransformCall(scope, node.FuncCall),
            Pg.Node.NodeOneofCase.TypeCast => TransformCast(scope, node.TypeCast),
            Pg.Node.NodeOneofCase.SubLink => TransformSubLink(scope, node.SubLink),
            Pg.Node.NodeOneofCase.CaseExpr => TransformCase(scope, node.CaseExpr),
            Pg.Node.NodeOneofCase.CoalesceExpr => TransformCoalesce(scope, node.CoalesceExpr),
            Pg.Node.NodeOneofCase.MinMaxExpr => TransformMinMax(scope, node.MinMaxExpr),
            Pg.Node.NodeOneofCase.NullTest => TransformNullTest(scope, node.NullTest),
            Pg.Node.NodeOneofCase.BooleanTest => TransformBooleanTest(scope, node.BooleanTest),
            Pg.Node.NodeOneofCase.SqlvalueFunction => TransformSqlValue(node.SqlvalueFunction),
            Pg.Node.NodeOneofCase.AArrayExpr => TransformArray(scope, node.AArrayExpr, Oid.Invalid, Oid.Invalid, -1),
            Pg.Node.NodeOneofCase.AIndirection => TransformIndirection(scope, node.AIndirection),
            Pg.Node.NodeOneofCase.RowExpr => TransformRow(scope, node.RowExpr),
            Pg.Node.NodeOneofCase.CollateClause => TransformCollate(scope, node.CollateClause),
            Pg.Node.NodeOneofCase.SetToDefault => scope.AllowDefault
                ? new DefaultExpr { Location = node.SetToDefault.Location }
                : throw _context.Error(SqlStates.SyntaxError, "DEFAULT is not allowed in this context", node.SetToDefault.Location),
            Pg.Node.NodeOneofCase.List => new RowExpr([.. node.List.Items.Select(i => TransformExpr(scope, i))], new Oid(PgTypes.Record), []),
            _ => throw PgException.NotSupported(node.NodeCase.ToString()),
        };
    }

    private ConstExpr TransformConst(Pg.A_Const c)
    {
        if (c.Isnull)
        {
            return new ConstExpr(Datum.Null, new Oid(PgTypes.Unknown)) { Location = c.Location };
        }

        switch (c.ValCase)
        {
            case Pg.A_Const.ValOneofCase.Ival:
                return new ConstExpr(Datum.FromInt32(c.Ival.Ival), new Oid(PgTypes.Int4)) { Location = c.Location };
            case Pg.A_Const.ValOneofCase.Fval:
                return long.TryParse(c.Fval.Fval, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long big)
                    ? new ConstExpr(Datum.FromInt64(big), new Oid(PgTypes.Int8)) { Location = c.Location }
                    : new ConstExpr(_context.Types.Input(new Oid(PgTypes.Numeric), c.Fval.Fval, -1), new Oid(PgTypes.Numeric)) { Location = c.Location };
            case Pg.A_Const.ValOneofCase.Boolval:
                return new ConstExpr(Datum.FromBool(c.Boolval.Boolval), new Oid(PgTypes.Bool)) { Location = c.Location };
            case Pg.A_Const.ValOneofCase.Sval:
                return new ConstExpr(Datum.FromText(c.Sval.Sval), new Oid(PgTypes.Unknown)) { Location = c.Location };
            case Pg.A_Const.ValOneofCase.Bsval:
                throw PgException.NotSupported("type bit");
            default:
                // A zero integer is an empty message: protobuf leaves out what is the default.
                return new ConstExpr(Datum.FromInt32(0), new Oid(PgTypes.Int4)) { Location = c.Location };
        }
    }

    private ParamExpr TransformParameter(Pg.ParamRef p)
    {
        List<Oid> types = _context.ParameterTypes;
        if (p.Number is <= 0 or > 65535 || (p.Number > types.Count && !_context.InferParameters))
        {
            throw _context.Error(SqlStates.UndefinedParameter, $"there is no parameter ${p.Number}", p.Location);
        }

        while (types.Count < p.Number)
        {
            types.Add(Oid.Invalid);
        }

        if (!types[p.Number - 1].IsValid)
        {
            types[p.Number - 1] = new Oid(PgTypes.Unknown);
        }

        _usedParameters.Add(p.Number);
        return NewParameter(p.Number, types[p.Number - 1], p.Location);
    }

    private ParamExpr NewParameter(int number, Oid type, int location) => new(number, type) { Location = location, Collation = TypeCollation(type) };

    private Expr SetParameterType(ParamExpr p, Oid target)
    {
        Oid known = _context.ParameterTypes[p.Number - 1];
        if (known.Value == PgTypes.Unknown)
        {
            _context.ParameterTypes[p.Number - 1] = target;
        }
        else if (known != target)
        {
            throw _context.Error("42P08", $"inconsistent types deduced for parameter ${p.Number}", p.Location,
                detail: $"{FormatType(known)} versus {FormatType(target)}");
        }

        return NewParameter(p.Number, target, p.Location);
    }

    private BoolExpr TransformBool(Scope scope, Pg.BoolExpr b)
    {
        (BoolOperation operation, string name) = b.Boolop switch
        {
            Pg.BoolExprType.AndExpr => (BoolOperation.And, "AND"),
            Pg.BoolExprType.OrExpr => (BoolOperation.Or, "OR"),
            _ => (BoolOperation.Not, "NOT"),
        };
        var args = new Expr[b.Args.Count];
        for (int i = 0; i < args.Length; i++)
        {
            args[i] = CoerceToBoolean(TransformExpr(scope, b.Args[i]), name);
        }

        return new BoolExpr(operation, args) { Location = b.Location };
    }

    private Expr TransformCast(Scope scope, Pg.TypeCast cast)
    {
        (Oid type, int typmod) = ResolveType(cast.TypeName);
        Oid element = ElementType(type);
        Expr arg = cast.Arg.NodeCase == Pg.Node.NodeOneofCase.AArrayExpr && element.IsValid
            ? TransformArray(scope, cast.Arg.AArrayExpr, type, element, typmod)
            : TransformExpr(scope, cast.Arg);
        int location = cast.Location >= 0 ? cast.Location : cast.TypeName.Location;
        return CoerceTo(arg, type, typmod, CoercionContext.Explicit, CallForm.ExplicitCast, location)
            ?? throw _context.Error(SqlStates.CannotCoerce, $"cannot cast type {FormatType(arg.Type)} to {FormatType(type)}", location);
    }

    private CaseExpr TransformCase(Scope scope, Pg.CaseExpr c)
    {
        Expr? arg = c.Arg is null ? null : ResolveUnknown(TransformExpr(scope, c.Arg));
        CaseTestExpr? test = arg is null ? null : new CaseTestExpr(arg.Type, arg.Typmod) { Collation = arg.Collation };
        var conditions = new Expr[c.Args.Count];
        var results = new Expr[c.Args.Count];
        for (int i = 0; i < conditions.Length; i++)
        {
            Pg.CaseWhen when = c.Args[i].CaseWhen;
            Expr condition = TransformExpr(scope, when.Expr);
            if (test is not null)
            {
                condition = MakeOperator(["="], test, condition, when.Location);
            }

            conditions[i] = CoerceToBoolean(condition, "CASE/WHEN");
            results[i] = TransformExpr(scope, when.Result);
        }

        Expr otherwise = c.Defresult is null ? new ConstExpr(Datum.Null, new Oid(PgTypes.Unknown)) : TransformExpr(scope, c.Defresult);
        // The default comes first when the common type is sought, as in PostgreSQL.
        Oid type = CommonType([otherwise, .. results], "CASE");
        for (int i = 0; i < results.Length; i++)
        {
            results[i] = CoerceToCommon(results[i], type, "CASE/WHEN");
        }

        otherwise = CoerceToCommon(otherwise, type, "CASE/ELSE");
        return new CaseExpr(type, arg, conditions, results, otherwise)
        {
            Location = c.Location,
            Collation = ResultCollation(type, MergeCollations([.. results, otherwise])),
        };
    }

    private CoalesceExpr TransformCoalesce(Scope scope, Pg.CoalesceExpr c)
    {
        Expr[] args = [.. c.Args.Select(a => TransformExpr(scope, a))];
        Oid type = CommonType(args, "COALESCE");
        args = [.. args.Select(a => CoerceToCommon(a, type, "COALESCE"))];
        return new CoalesceExpr(type, args) { Location = c.Location, Collation = ResultCollation(type, MergeCollations(args)) };
    }

    private MinMaxExpr TransformMinMax(Scope scope, Pg.MinMaxExpr m)
    {
        bool greatest = m.Op == Pg.MinMaxOp.IsGreatest;
        string name = greatest ? "GREATEST" : "LEAST";
        Expr[] args = [.. m.Args.Select(a => TransformExpr(scope, a))];
        Oid type = CommonType(args, name);
        args = [.. args.Select(a => CoerceToCommon(a, type, name))];
        Oid collation = MergeCollations(args);
        return new MinMaxExpr(type, greatest, args) { Location = m.Location, InputCollation = collation, Collation = ResultCollation(type, collation) };
    }

    private Expr TransformNullTest(Scope scope, Pg.NullTest t)
    {
        bool isNull = t.Nulltesttype == Pg.NullTestType.IsNull;
        Expr arg = TransformExpr(scope, t.Arg);
        if (arg is RowExpr row)
        {
            Expr[] tests = [.. row.Args.Select(a => (Expr)new NullTestExpr(ResolveUnknown(a), isNull) { Location = t.Location })];
            return tests.Length == 1 ? tests[0] : tests.Length == 0 ? BoolConst(isNull) : new BoolExpr(BoolOperation.And, tests) { Location = t.Location };
        }

        return new NullTestExpr(arg, isNull) { Location = t.Location };
    }

    private BooleanTestExpr TransformBooleanTest(Scope scope, Pg.BooleanTest t)
    {
        (BooleanTest test, string name) = t.Booltesttype switch
        {
            Pg.BoolTestType.IsTrue => (BooleanTest.IsTrue, "IS TRUE"),
            Pg.BoolTestType.IsNotTrue => (BooleanTest.IsNotTrue, "IS NOT TRUE"),
            Pg.BoolTestType.IsFalse => (BooleanTest.IsFalse, "IS FALSE"),
            Pg.BoolTestType.IsNotFalse => (BooleanTest.IsNotFalse, "IS NOT FALSE"),
            Pg.BoolTestType.IsUnknown => (BooleanTest.IsUnknown, "IS UNKNOWN"),
            _ => (BooleanTest.IsNotUnknown, "IS NOT UNKNOWN"),
        };
        return new BooleanTestExpr(CoerceToBoolean(TransformExpr(scope, t.Arg), name), test) { Location = t.Location };
    }

    private static SqlValueExpr TransformSqlValue(Pg.SQLValueFunction f)
    {
        uint type = f.Op switch
        {
            Pg.SQLValueFunctionOp.SvfopCurrentDate => PgTypes.Date,
            Pg.SQLValueFunctionOp.SvfopCurrentTime or Pg.SQLValueFunctionOp.SvfopCurrentTimeN => PgTypes.TimeTz,
            Pg.SQLValueFunctionOp.SvfopCurrentTimestamp or Pg.SQLValueFunctionOp.SvfopCurrentTimestampN => PgTypes.TimestampTz,
            Pg.SQLValueFunctionOp.SvfopLocaltime or Pg.SQLValueFunctionOp.SvfopLocaltimeN => PgTypes.Time,
            Pg.SQLValueFunctionOp.SvfopLocaltimestamp or Pg.SQLValueFunctionOp.SvfopLocaltimestampN => PgTypes.Timestamp,
            _ => PgTypes.Name,
        };
        bool hasPrecision = f.Op is Pg.SQLValueFunctionOp.SvfopCurrentTimeN or Pg.SQLValueFunctionOp.SvfopCurrentTimestampN
            or Pg.SQLValueFunctionOp.SvfopLocaltimeN or Pg.SQLValueFunctionOp.SvfopLocaltimestampN;
        return new SqlValueExpr(f.Op, new Oid(type), hasPrecision ? Math.Min(f.Typmod, 6) : -1)
        {
            Location = f.Location,
            Collation = type == PgTypes.Name ? new Oid(PgOids.CCollation) : Oid.Invalid,
        };
    }

    private ArrayExpr TransformArray(Scope scope, Pg.A_ArrayExpr a, Oid arrayType, Oid elementType, int typmod)
    {
        var elements = new List<Expr>();
        bool multi = false;
        foreach (Pg.Node node in a.Elements)
        {
            Expr e;
            if (node.NodeCase == Pg.Node.NodeOneofCase.AArrayExpr)
            {
                e = TransformArray(scope, node.AArrayExpr, arrayType, elementType, typmod);
                multi = true;
            }
            else
            {
                e = TransformExpr(scope, node);
                multi |= ElementType(e.Type).IsValid && !(arrayType.IsValid && e.Type.Value == PgTypes.Unknown);
            }

            elements.Add(e);
        }

        bool forced = arrayType.IsValid;
        Oid target;
        if (forced)
        {
            target = multi ? arrayType : elementType;
        }
        else if (elements.Count == 0)
        {
            throw _context.Error(SqlStates.IndeterminateDatatype, "cannot determine type of empty array", a.Location, "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
        }
        else
        {
            target = CommonType(elements, "ARRAY");
            arrayType = multi ? target : ArrayType(target);
            elementType = multi ? ElementType(target) : target;
            if (!arrayType.IsValid || !elementType.IsValid)
            {
                throw _context.Error(SqlStates.UndefinedObject, $"could not find array type for data type {FormatType(target)}", a.Location);
            }
        }

        Expr[] coerced = [.. elements.Select(e => forced
            ? CoerceTo(e, target, typmod, CoercionContext.Explicit, CallForm.ExplicitCast, -1)
                ?? throw _context.Error(SqlStates.CannotCoerce, $"cannot cast type {FormatType(e.Type)} to {FormatType(target)}", ExprLocation(e))
            : CoerceToCommon(e, target, "ARRAY"))];
        return new ArrayExpr(arrayType, elementType, multi, coerced) { Location = a.Location, Collation = ResultCollation(arrayType, MergeCollations(coerced)) };
    }

    private Expr TransformIndirection(Scope scope, Pg.A_Indirection indirection)
    {
        Expr result = TransformExpr(scope, indirection.Arg);
        int i = 0;
        while (i < indirection.Indirection.Count)
        {
            Pg.Node step = indirection.Indirection[i];
            if (step.NodeCase == Pg.Node.NodeOneofCase.AIndices)
            {
                var indices = new List<Pg.A_Indices>();
                while (i < indirection.Indirection.Count && indirection.Indirection[i].NodeCase == Pg.Node.NodeOneofCase.AIndices)
                {
                    indices.Add(indirection.Indirection[i++].AIndices);
                }

                result = Subscript(scope, result, indices);
            }
            else if (step.NodeCase == Pg.Node.NodeOneofCase.String)
            {
                result = SelectField(result, step.String.Sval);
                i++;
            }
            else
            {
                throw _context.Error(SqlStates.SyntaxError, "row expansion via \"*\" is not supported here", ExprLocation(result));
            }
        }

        return result;
    }

    private SubscriptExpr Subscript(Scope scope, Expr array, List<Pg.A_Indices> indices)
    {
        Oid container = BaseType(array.Type);
        Oid element = ElementType(container);
        if (!element.IsValid)
        {
            PgType row = TypeRow(container);
            element = row.TypElem.IsValid && row.TypSubscript.IsValid ? row.TypElem
                : throw _context.Error(SqlStates.DatatypeMismatch, $"cannot subscript type {FormatType(array.Type)} because it does not support subscripting", ExprLocation(array));
        }

        bool slice = indices.Exists(i => i.IsSlice);
        Expr? Index(Pg.Node? node) => node is null ? null
            : CoerceTo(TransformExpr(scope, node), new Oid(PgTypes.Int4), -1, CoercionContext.Assignment, CallForm.ImplicitCast, -1)
                ?? throw _context.Error(SqlStates.DatatypeMismatch, "array subscript must have type integer", NodeLocation(node));
        Expr?[] upper = [.. indices.Select(i => Index(i.Uidx))];
        Expr?[] lower = slice
            ? [.. indices.Select(i => i.IsSlice ? Index(i.Lidx) : new ConstExpr(Datum.FromInt32(1), new Oid(PgTypes.Int4)))]
            : [];
        Oid type = slice ? container : element;
        return new SubscriptExpr(array, container, element, type, slice, lower, upper)
        {
            Location = array.Location,
            Collation = ResultCollation(type, array.Collation),
        };
    }

    private Expr SelectField(Expr row, string name)
    {
        if (row is RowExpr r)
        {
            int index = r.Names.ToList().IndexOf(name);
            return index >= 0 ? r.Args[index] : throw _context.Error(SqlStates.UndefinedColumn, $"could not identify column \"{name}\" in record data type", ExprLocation(row));
        }

        PgType? type = Catalog.Type(BaseType(row.Type));
        if (type is { TypType: 'c' } && Catalog.Relation(type.TypRelId) is { } shape)
        {
            int index = shape.Desc.IndexOf(name);
            return index >= 0
                ? new FieldSelectExpr(row, (short)(index + 1), shape.Desc[index].TypeId, shape.Desc[index].TypeModifier) { Collation = shape.Desc[index].Collation }
                : throw _context.Error(SqlStates.UndefinedColumn, $"column \"{name}\" not found in data type {FormatType(row.Type)}", ExprLocation(row));
        }

        throw row.Type.Value == PgTypes.Record
            ? _context.Error(SqlStates.UndefinedColumn, $"could not identify column \"{name}\" in record data type", ExprLocation(row))
            : _context.Error(SqlStates.WrongObjectType, $"column notation .{name} applied to type {FormatType(row.Type)}, which is not a composite type", ExprLocation(row));
    }

    private RowExpr TransformRow(Scope scope, Pg.RowExpr r) =>
        new([.. r.Args.Select(a => TransformExpr(scope, a))], new Oid(PgTypes.Record), [.. r.Args.Select((_, i) => $"f{i + 1}")]) { Location = r.Location };

    private CollateExpr TransformCollate(Scope scope, Pg.CollateClause clause)
    {
        Expr arg = TransformExpr(scope, clause.Arg);
        if (!IsCollatable(arg.Type) && arg.Type.Value != PgTypes.Unknown)
        {
            throw _context.Error(SqlStates.DatatypeMismatch, $"collations are not supported by type {FormatType(arg.Type)}", clause.Location);
        }

        return new CollateExpr(arg, ResolveCollation([.. clause.Collname.Select(ExprString)], clause.Location)) { Location = clause.Location };
    }

    /// <exception cref="PgException">42704: no such collation.</exception>
    public Oid ResolveCollation(string[] name, int location)
    {
        IEnumerable<Oid> schemas = name.Length > 1 ? [Catalog.SchemaByName(name[^2])?.Oid ?? Oid.Invalid] : _context.SearchPath;
        foreach (Oid schema in schemas)
        {
            if (Catalog.CollationByName(name[^1], schema) is { } found)
            {
                return found.Oid;
            }
        }

        throw _context.Error(SqlStates.UndefinedObject, $"collation \"{string.Join('.', name)}\" for encoding \"UTF8\" does not exist", location);
    }
}
