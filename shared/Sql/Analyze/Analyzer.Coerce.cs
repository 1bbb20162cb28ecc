using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>Coercions between types (parse_coerce.c).</summary>
public sealed partial class Analyzer
{
    private enum CoercionContext
    {
        Implicit, Assignment, Explicit,
    }

    private enum CoercionPath
    {
        None, Function, Relabel, Array, ViaIo,
    }

    private bool CanCoerce(ReadOnlySpan<Oid> inputs, ReadOnlySpan<Oid> targets, CoercionContext context)
    {
        bool generic = false;
        for (int i = 0; i < inputs.Length; i++)
        {
            Oid input = inputs[i], target = targets[i];
            if (input == target || target.Value == PgTypes.Any || input.Value == PgTypes.Unknown)
            {
                continue;
            }

            if (IsPolymorphic(target))
            {
                generic = true;
                continue;
            }

            if (FindPath(target, input, context, out _) != CoercionPath.None)
            {
                continue;
            }

            if ((input.Value == PgTypes.Record && IsComposite(target)) || (target.Value == PgTypes.Record && IsComposite(input))
                || (target.Value == PgTypes.RecordArray && ElementType(input) is { IsValid: true } e && IsComposite(e)))
            {
                continue;
            }

            return false;
        }

        return !generic || GenericsConsistent(inputs, targets);
    }

    private bool IsComposite(Oid type) => Catalog.Type(type) is { TypType: 'c' };

    private CoercionPath FindPath(Oid target, Oid source, CoercionContext context, out Oid function)
    {
        function = Oid.Invalid;
        source = source.IsValid ? BaseType(source) : source;
        target = target.IsValid ? BaseType(target) : target;
        if (source == target)
        {
            return CoercionPath.Relabel;
        }

        if (Catalog.Cast(source, target) is { } cast)
        {
            CoercionContext needed = cast.CastContext switch { 'i' => CoercionContext.Implicit, 'a' => CoercionContext.Assignment, _ => CoercionContext.Explicit };
            if (context < needed)
            {
                return CoercionPath.None;
            }

            function = cast.CastFunc;
            return cast.CastMethod switch { 'f' => CoercionPath.Function, 'i' => CoercionPath.ViaIo, _ => CoercionPath.Relabel };
        }

        if (target.Value != PgTypes.OidVector && target.Value != PgTypes.Int2Vector)
        {
            Oid targetElement = ElementType(target), sourceElement;
            if (targetElement.IsValid && (sourceElement = ElementType(source)).IsValid)
            {
                CoercionPath path = FindPath(targetElement, sourceElement, context, out _);
                return path == CoercionPath.None ? CoercionPath.None : CoercionPath.Array;
            }
        }

        if (context >= CoercionContext.Assignment && Category(target) == 'S')
        {
            return CoercionPath.ViaIo;
        }

        return context >= CoercionContext.Explicit && Category(source) == 'S' ? CoercionPath.ViaIo : CoercionPath.None;
    }

    /// <summary>Coerces to type and modifier, or gives null when there is no way (coerce_to_target_type).</summary>
    private Expr? CoerceTo(Expr expr, Oid target, int typmod, CoercionContext context, CallForm form, int location)
    {
        if (!CanCoerce([expr.Type], [target], context))
        {
            return null;
        }

        Expr result = Coerce(expr, target, typmod, context, form, location);
        return CoerceTypmod(result, target, typmod, form, context, !ReferenceEquals(result, expr) && result is not ConstExpr);
    }

    private Expr Coerce(Expr expr, Oid target, int typmod, CoercionContext context, CallForm form, int location)
    {
        Oid input = expr.Type;
        if (input == target || target.Value is PgTypes.Any || (IsPolymorphic(target) && (input.Value != PgTypes.Unknown || target.Value is PgTypes.AnyElement or PgTypes.AnyCompatible)))
        {
            return expr;
        }

        if (expr is ConstExpr literal && input.Value == PgTypes.Unknown)
        {
            return CoerceLiteral(literal, target, typmod);
        }

        if (expr is ParamExpr parameter && input.Value == PgTypes.Unknown && _context.InferParameters)
        {
            return SetParameterType(parameter, target);
        }

        if (expr is CollateExpr collate)
        {
            Expr inner = Coerce(collate.Arg, target, typmod, context, form, location);
            return IsCollatable(target) ? new CollateExpr(inner, collate.Collation) { Location = collate.Location } : inner;
        }

        CoercionPath path = FindPath(target, input, context, out Oid function);
        Oid baseTarget = BaseType(target, out int baseTypmod);
        if (path == CoercionPath.Relabel)
        {
            if (baseTarget != target)
            {
                return new DomainExpr(Relabel(expr, baseTarget, form, location), target, -1) { Collation = TypeCollation(target), Location = location };
            }

            return Relabel(expr, target, form, location);
        }

        if (path != CoercionPath.None)
        {
            Expr result = BuildCoercion(path, function, expr, baseTarget, baseTarget == target ? typmod : baseTypmod, context, form, location);
            return baseTarget != target ? new DomainExpr(result, target, -1) { Collation = TypeCollation(target), Location = location } : result;
        }

        if (target.Value == PgTypes.Record && IsComposite(input))
        {
            return expr;
        }

        if (input.Value == PgTypes.Record && expr is RowExpr row && IsComposite(target))
        {
            return CoerceRow(row, target, context, form, location);
        }

        throw _context.Error(SqlStates.CannotCoerce, $"failed to find conversion function from {FormatType(input)} to {FormatType(target)}", location);
    }

    private Expr Relabel(Expr expr, Oid target, CallForm form, int location)
    {
        if (expr.Type == target)
        {
            return expr;
        }

        Oid collation = IsCollatable(target) ? (expr.Collation.IsValid ? expr.Collation : TypeCollation(target)) : Oid.Invalid;
        return expr is ConstExpr c && SameStorage(c.Type, target)
            ? new ConstExpr(c.Value, target, -1) { Collation = collation, Location = c.Location }
            : new RelabelExpr(expr, target, -1, form) { Collation = collation, Location = location };
    }

    private bool SameStorage(Oid a, Oid b) => TypeRow(a).TypByVal == TypeRow(b).TypByVal;

    private Expr CoerceLiteral(ConstExpr literal, Oid target, int typmod)
    {
        Oid baseType = BaseType(target, out int baseTypmod);
        // For types whose length coercion truncates only when explicit the modifier is applied afterwards (only interval needs it at input).
        int inputTypmod = baseType.Value == PgTypes.Interval ? (baseType == target ? typmod : baseTypmod) : -1;
        Datum value = Datum.Null;
        if (!literal.Value.IsNull)
        {
            try
            {
                value = _context.Types.Input(baseType, literal.Value.AsText(), inputTypmod);
            }
            catch (PgException e) when (e.Position == 0)
            {
                e.Position = _context.Source.Position(literal.Location);
                throw;
            }
        }

        var constant = new ConstExpr(value, baseType == target ? target : baseType, inputTypmod) { Collation = TypeCollation(baseType), Location = literal.Location };
        if (baseType == target)
        {
            return constant;
        }

        Expr sized = CoerceTypmod(constant, baseType, baseTypmod, CallForm.ImplicitCast, CoercionContext.Implicit, false);
        return new DomainExpr(sized, target, -1) { Collation = TypeCollation(target), Location = literal.Location };
    }

    private Expr CoerceRow(RowExpr row, Oid target, CoercionContext context, CallForm form, int location)
    {
        Access.Relation shape = Catalog.Relation(TypeRow(target).TypRelId) ?? throw PgException.NotSupported($"rows of type {FormatType(target)}");
        var args = new Expr[shape.Desc.Count];
        if (row.Args.Count != args.Length)
        {
            throw _context.Error(SqlStates.CannotCoerce, $"cannot cast type record to {FormatType(target)}", location,
                detail: row.Args.Count < args.Length ? "Input has too few columns." : "Input has too many columns.");
        }

        for (int i = 0; i < args.Length; i++)
        {
            args[i] = CoerceTo(row.Args[i], shape.Desc[i].TypeId, shape.Desc[i].TypeModifier, context, form, location)
                ?? throw _context.Error(SqlStates.CannotCoerce, $"cannot cast type record to {FormatType(target)}", location);
        }

        return new RowExpr(args, target, [.. shape.Desc.Attributes.ToArray().Select(a => a.Name)]) { Location = row.Location };
    }

    private Expr BuildCoercion(CoercionPath path, Oid function, Expr arg, Oid target, int typmod, CoercionContext context, CallForm form, int location)
    {
        switch (path)
        {
            case CoercionPath.Function:
                PgProc proc = ProcRow(function);
                var args = new List<Expr> { arg };
                if (proc.ProNArgs >= 2)
                {
                    args.Add(new ConstExpr(Datum.FromInt32(typmod), new Oid(PgTypes.Int4)));
                }

                if (proc.ProNArgs == 3)
                {
                    args.Add(BoolConst(context == CoercionContext.Explicit));
                }

                return new FuncExpr(proc, [.. args], target, form)
                {
                    Location = location,
                    InputCollation = arg.Collation,
                    Collation = ResultCollation(target, arg.Collation),
                };
            case CoercionPath.Array:
                Oid source = ElementType(arg.Type), element = ElementType(target);
                var test = new CaseTestExpr(source, -1) { Collation = arg.Collation };
                Expr each = CoerceTo(test, element, typmod, context, form, location)!;
                return new ArrayCoerceExpr(arg, each, target, typmod, form) { Location = location, Collation = ResultCollation(target, arg.Collation) };
            default:
                return new IoCoerceExpr(arg, target, form) { Location = location, Collation = TypeCollation(target) };
        }
    }

    /// <summary>Applies a type's length coercion function (varchar(n), numeric(p,s), char(n)).</summary>
    private Expr CoerceTypmod(Expr expr, Oid target, int typmod, CallForm form, CoercionContext context, bool hideInput)
    {
        _ = hideInput;
        Oid baseType = BaseType(target);
        if (typmod < 0 || typmod == expr.Typmod || baseType != target)
        {
            return expr;
        }

        Oid element = ElementType(target);
        Oid subject = element.IsValid ? element : target;
        PgCast? cast = Catalog.Cast(subject, subject);
        if (cast is null || !cast.CastFunc.IsValid)
        {
            return expr.Type == target && expr.Typmod != typmod ? new RelabelExpr(expr, target, typmod, form) { Collation = expr.Collation, Location = expr.Location } : expr;
        }

        if (element.IsValid)
        {
            Expr test = new CaseTestExpr(element, -1) { Collation = expr.Collation };
            return new ArrayCoerceExpr(expr, BuildCoercion(CoercionPath.Function, cast.CastFunc, test, element, typmod, context, form, expr.Location), target, typmod, form)
            {
                Location = expr.Location,
                Collation = expr.Collation,
            };
        }

        return BuildCoercion(CoercionPath.Function, cast.CastFunc, expr, target, typmod, context, form, expr.Location);
    }

    private Expr CoerceToBoolean(Expr expr, string construct)
    {
        if (expr.Type.Value != PgTypes.Bool)
        {
            int location = ExprLocation(expr);
            expr = CoerceTo(expr, new Oid(PgTypes.Bool), -1, CoercionContext.Assignment, CallForm.ImplicitCast, -1)
                ?? throw _context.Error(SqlStates.DatatypeMismatch, $"argument of {construct} must be type boolean, not type {FormatType(expr.Type)}", location);
        }

        return ReturnsSet(expr)
            ? throw _context.Error(SqlStates.DatatypeMismatch, $"argument of {construct} must not return a set", ExprLocation(expr))
            : expr;
    }

    private Expr CoerceToSpecific(Expr expr, Oid type, string construct)
    {
        if (expr.Type != type)
        {
            int location = ExprLocation(expr);
            expr = CoerceTo(expr, type, -1, CoercionContext.Assignment, CallForm.ImplicitCast, -1)
                ?? throw _context.Error(SqlStates.DatatypeMismatch, $"argument of {construct} must be type {FormatType(type)}, not type {FormatType(expr.Type)}", location);
        }

        return expr;
    }

    /// <summary>The one type for the branches of UNION, CASE, VALUES ... (select_common_type).</summary>
    private Oid CommonType(IReadOnlyList<Expr> exprs, string? context)
    {
        Oid first = exprs[0].Type;
        if (first.Value != PgTypes.Unknown && exprs.All(e => e.Type == first))
        {
            return first;
        }

        Oid type = BaseType(first);
        char category = Category(type);
        bool preferred = IsPreferred(category, type);
        for (int i = 1; i < exprs.Count; i++)
        {
            Oid next = BaseType(exprs[i].Type);
            if (next.Value == PgTypes.Unknown || next == type)
            {
                continue;
            }

            char nextCategory = Category(next);
            if (type.Value == PgTypes.Unknown)
            {
                (type, category, preferred) = (next, nextCategory, IsPreferred(nextCategory, next));
            }
            else if (nextCategory != category)
            {
                return context is null ? Oid.Invalid : throw _context.Error(SqlStates.DatatypeMismatch,
                    $"{context} types {FormatType(type)} and {FormatType(next)} cannot be matched", ExprLocation(exprs[i]));
            }
            else if (!preferred && CanCoerce([type], [next], CoercionContext.Implicit) && !CanCoerce([next], [type], CoercionContext.Implicit))
            {
                (type, preferred) = (next, IsPreferred(category, next));
            }
        }

        return type.Value == PgTypes.Unknown ? new Oid(PgTypes.Text) : type;
    }

    private Expr CoerceToCommon(Expr expr, Oid type, string context)
    {
        if (expr.Type == type)
        {
            return expr;
        }

        return CanCoerce([expr.Type], [type], CoercionContext.Implicit)
            ? Coerce(expr, type, -1, CoercionContext.Implicit, CallForm.ImplicitCast, -1)
            : throw _context.Error(SqlStates.CannotCoerce, $"{context} could not convert type {FormatType(expr.Type)} to {FormatType(type)}", ExprLocation(expr));
    }

    /// <summary>For a column that is stored: INSERT, UPDATE, a default.</summary>
    private Expr CoerceForAssignment(Expr expr, Oid type, int typmod, string column, int location) =>
        CoerceTo(expr, type, typmod, CoercionContext.Assignment, CallForm.ImplicitCast, -1)
            ?? throw _context.Error(SqlStates.DatatypeMismatch,
                $"column \"{column}\" is of type {FormatType(type)} but expression is of type {FormatType(expr.Type)}",
                location, "You will need to rewrite or cast the expression.");

    /// <summary>A literal or parameter that nothing gave a type becomes text.</summary>
    private Expr ResolveUnknown(Expr expr) =>
        expr.Type.Value == PgTypes.Unknown ? Coerce(expr, new Oid(PgTypes.Text), -1, CoercionContext.Implicit, CallForm.ImplicitCast, -1) : expr;

    private Oid TypeCollation(Oid type) => Catalog.Type(type)?.TypCollation ?? Oid.Invalid;

    private bool IsCollatable(Oid type) => TypeCollation(type).IsValid;

    /// <summary>The collation of a result that is derived from arguments.</summary>
    private Oid ResultCollation(Oid type, Oid argument) => !IsCollatable(type) ? Oid.Invalid : argument.IsValid ? argument : TypeCollation(type);

    /// <summary>The collation that arguments agree on: an explicit one, else the one implicit one that is not the default.</summary>
    private Oid MergeCollations(IEnumerable<Expr> args)
    {
        Oid found = Oid.Invalid;
        bool isExplicit = false, conflict = false;
        foreach (Expr arg in args)
        {
            if (!arg.Collation.IsValid)
            {
                continue;
            }

            if (arg.HasExplicitCollation)
            {
                if (isExplicit && found != arg.Collation)
                {
                    throw _context.Error("42P21",
                        $"collation mismatch between explicit collations \"{Catalog.Collation(found)?.CollName}\" and \"{Catalog.Collation(arg.Collation)?.CollName}\"", arg.Location);
                }

                (found, isExplicit, conflict) = (arg.Collation, true, false);
            }
            else if (!isExplicit)
            {
                if (!found.IsValid || found.Value == PgOids.DefaultCollation)
                {
                    found = arg.Collation;
                }
                else if (found != arg.Collation && arg.Collation.Value != PgOids.DefaultCollation)
                {
                    conflict = true;
                }
            }
        }

        return conflict ? Oid.Invalid : found;
    }
}
