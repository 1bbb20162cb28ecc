using SharedStorage.Primitives;

namespace SharedStorage.Catalog.NodeTrees;

/// <summary>
/// Makes the nodes of expressions with the fields that PostgreSQL 15 writes, in its order (outfuncs.c): for defaults, checks, index expressions. Positions in the
/// statement's text are -1, which PostgreSQL takes for unknown.
/// </summary>
public static class NodeBuilder
{
    /// <summary>CoercionForm: as a function call, an explicit cast, an implicit cast, SQL syntax.</summary>
    public const int ExplicitCall = 0, ExplicitCast = 1, ImplicitCast = 2, SqlSyntax = 3;

    private static readonly NodeToken NoLocation = NodeToken.FromInt(-1);

    public static NodeTree Var(int relation, short column, Oid type, int typeModifier, Oid collation, int levelsUp = 0) => Make(
        "VAR", ("varno", Int(relation)), ("varattno", Int(column)), ("vartype", Id(type)), ("vartypmod", Int(typeModifier)), ("varcollid", Id(collation)),
        ("varlevelsup", Int(levelsUp)), ("varnosyn", Int(relation)), ("varattnosyn", Int(column)), ("location", NoLocation));

    /// <param name="value">As <see cref="NodeConstants.Encode"/> makes it; null for a null.</param>
    public static NodeTree Const(Oid type, int typeModifier, Oid collation, short length, bool byValue, NodeDatum? value) => Make(
        "CONST", ("consttype", Id(type)), ("consttypmod", Int(typeModifier)), ("constcollid", Id(collation)), ("constlen", Int(length)),
        ("constbyval", Flag(byValue)), ("constisnull", Flag(value is null)), ("location", NoLocation), ("constvalue", value ?? (NodeValue)NullNode.Instance));

    public static NodeTree Function(Oid function, Oid resultType, Oid collation, Oid inputCollation, int form, bool returnsSet, bool variadic, params IReadOnlyList<NodeValue> args) => Make(
        "FUNCEXPR", ("funcid", Id(function)), ("funcresulttype", Id(resultType)), ("funcretset", Flag(returnsSet)), ("funcvariadic", Flag(variadic)),
        ("funcformat", Int(form)), ("funccollid", Id(collation)), ("inputcollid", Id(inputCollation)), ("args", List(args)), ("location", NoLocation));

    public static NodeTree Operator(Oid op, Oid function, Oid resultType, Oid collation, Oid inputCollation, params IReadOnlyList<NodeValue> args) =>
        OperatorLike("OPEXPR", op, function, resultType, collation, inputCollation, args);

    /// <summary>IS DISTINCT FROM, by the "=" operator.</summary>
    public static NodeTree Distinct(Oid op, Oid function, Oid resultType, Oid collation, Oid inputCollation, params IReadOnlyList<NodeValue> args) =>
        OperatorLike("DISTINCTEXPR", op, function, resultType, collation, inputCollation, args);

    public static NodeTree NullIf(Oid op, Oid function, Oid resultType, Oid collation, Oid inputCollation, params IReadOnlyList<NodeValue> args) =>
        OperatorLike("NULLIFEXPR", op, function, resultType, collation, inputCollation, args);

    /// <summary>scalar op ANY (array), or ALL.</summary>
    public static NodeTree ScalarArray(Oid op, Oid function, bool any, Oid inputCollation, NodeValue scalar, NodeValue array) => Make(
        "SCALARARRAYOPEXPR", ("opno", Id(op)), ("opfuncid", Id(function)), ("hashfuncid", Int(0)), ("negfuncid", Int(0)), ("useOr", Flag(any)),
        ("inputcollid", Id(inputCollation)), ("args", List([scalar, array])), ("location", NoLocation));

    /// <param name="op">and, or, not.</param>
    public static NodeTree Bool(string op, params IReadOnlyList<NodeValue> args) => Make(
        "BOOLEXPR", ("boolop", new NodeToken(op)), ("args", List(args)), ("location", NoLocation));

    public static NodeTree Relabel(NodeValue arg, Oid type, int typeModifier, Oid collation, int form) => Make(
        "RELABELTYPE", ("arg", arg), ("resulttype", Id(type)), ("resulttypmod", Int(typeModifier)), ("resultcollid", Id(collation)),
        ("relabelformat", Int(form)), ("location", NoLocation));

    public static NodeTree CoerceViaIo(NodeValue arg, Oid type, Oid collation, int form) => Make(
        "COERCEVIAIO", ("arg", arg), ("resulttype", Id(type)), ("resultcollid", Id(collation)), ("coerceformat", Int(form)), ("location", NoLocation));

    public static NodeTree ArrayCoerce(NodeValue arg, NodeValue element, Oid type, int typeModifier, Oid collation, int form) => Make(
        "ARRAYCOERCEEXPR", ("arg", arg), ("elemexpr", element), ("resulttype", Id(type)), ("resulttypmod", Int(typeModifier)), ("resultcollid", Id(collation)),
        ("coerceformat", Int(form)), ("location", NoLocation));

    public static NodeTree Collate(NodeValue arg, Oid collation) => Make("COLLATEEXPR", ("arg", arg), ("collOid", Id(collation)), ("location", NoLocation));

    public static NodeTree NullTest(NodeValue arg, bool isNull, bool argIsRow) => Make(
        "NULLTEST", ("arg", arg), ("nulltesttype", Int(isNull ? 0 : 1)), ("argisrow", Flag(argIsRow)), ("location", NoLocation));

    /// <param name="test">0 IS TRUE, 1 IS NOT TRUE, 2 IS FALSE, 3 IS NOT FALSE, 4 IS UNKNOWN, 5 IS NOT UNKNOWN.</param>
    public static NodeTree BooleanTest(NodeValue arg, int test) => Make("BOOLEANTEST", ("arg", arg), ("booltesttype", Int(test)), ("location", NoLocation));

    /// <param name="arg">The value after CASE; null for a searched CASE.</param>
    public static NodeTree Case(Oid type, Oid collation, NodeValue? arg, IReadOnlyList<NodeValue> whens, NodeValue? otherwise) => Make(
        "CASEEXPR", ("casetype", Id(type)), ("casecollid", Id(collation)), ("arg", arg ?? NullNode.Instance), ("args", List(whens)),
        ("defresult", otherwise ?? NullNode.Instance), ("location", NoLocation));

    public static NodeTree When(NodeValue condition, NodeValue result) => Make("CASEWHEN", ("expr", condition), ("result", result), ("location", NoLocation));

    public static NodeTree CaseTest(Oid type, int typeModifier, Oid collation) => Make(
        "CASETESTEXPR", ("typeId", Id(type)), ("typeMod", Int(typeModifier)), ("collation", Id(collation)));

    public static NodeTree Coalesce(Oid type, Oid collation, params IReadOnlyList<NodeValue> args) => Make(
        "COALESCEEXPR", ("coalescetype", Id(type)), ("coalescecollid", Id(collation)), ("args", List(args)), ("location", NoLocation));

    public static NodeTree MinMax(Oid type, Oid collation, Oid inputCollation, bool greatest, params IReadOnlyList<NodeValue> args) => Make(
        "MINMAXEXPR", ("minmaxtype", Id(type)), ("minmaxcollid", Id(collation)), ("inputcollid", Id(inputCollation)), ("op", Int(greatest ? 0 : 1)),
        ("args", List(args)), ("location", NoLocation));

    public static NodeTree Array(Oid arrayType, Oid collation, Oid elementType, bool nested, params IReadOnlyList<NodeValue> elements) => Make(
        "ARRAYEXPR", ("array_typeid", Id(arrayType)), ("array_collid", Id(collation)), ("element_typeid", Id(elementType)), ("elements", List(elements)),
        ("multidims", Flag(nested)), ("location", NoLocation));

    /// <param name="op">SVFOP of primnodes.h: 0 CURRENT_DATE, 1 CURRENT_TIME, 3 CURRENT_TIMESTAMP, 5 LOCALTIME, 7 LOCALTIMESTAMP, 10 CURRENT_USER ...</param>
    public static NodeTree SqlValueFunction(int op, Oid type, int typeModifier) => Make(
        "SQLVALUEFUNCTION", ("op", Int(op)), ("type", Id(type)), ("typmod", Int(typeModifier)), ("location", NoLocation));

    /// <summary>Any node from its name and fields, in PostgreSQL's order.</summary>
    public static NodeTree Make(string name, params ReadOnlySpan<(string Field, NodeValue Value)> fields)
    {
        var list = new KeyValuePair<string, NodeValue>[fields.Length];
        for (int i = 0; i < list.Length; i++)
        {
            list[i] = new(fields[i].Field, fields[i].Value);
        }

        return new NodeTree(name, list);
    }

    private static NodeTree OperatorLike(string node, Oid op, Oid function, Oid resultType, Oid collation, Oid inputCollation, IReadOnlyList<NodeValue> args) => Make(
        node, ("opno", Id(op)), ("opfuncid", Id(function)), ("opresulttype", Id(resultType)), ("opretset", Flag(false)), ("opcollid", Id(collation)),
        ("inputcollid", Id(inputCollation)), ("args", List(args)), ("location", NoLocation));

    private static NodeToken Int(long value) => NodeToken.FromInt(value);
    private static NodeToken Id(Oid value) => NodeToken.FromInt(value.Value);
    private static NodeToken Flag(bool value) => NodeToken.FromBool(value);
    private static NodeValue List(IReadOnlyList<NodeValue> items) => items.Count == 0 ? NullNode.Instance : NodeList.Of(items);
}
