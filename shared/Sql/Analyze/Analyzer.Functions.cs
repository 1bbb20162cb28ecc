using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>Which function a call means (parse_func.c): candidates of the name, exact match, then PostgreSQL's rules of preference.</summary>
public sealed partial class Analyzer
{
    /// <summary>A candidate with its argument types as they are for this call (variadic ones spread out).</summary>
    private sealed record Candidate(PgProc? Proc, PgOperator? Operator, Oid[] Types, bool VariadicExpanded, int Defaults, int PathPosition);

    private List<Candidate> FunctionCandidates(string[] name, int argCount, bool variadic)
    {
        var result = new List<Candidate>();
        Oid? schema = null;
        if (name.Length > 1)
        {
            schema = (Catalog.SchemaByName(name[^2]) ?? throw new PgException(SqlStates.InvalidSchemaName, $"schema \"{name[^2]}\" does not exist")).Oid;
        }

        foreach (PgProc proc in Catalog.ProcsByName(name[^1]))
        {
            int position = schema is null ? IndexOf(_context.SearchPath, proc.ProNamespace) : proc.ProNamespace == schema ? 0 : -1;
            if (position < 0)
            {
                continue;
            }

            int declared = proc.ProNArgs;
            bool expand = proc.ProVariadic.IsValid && !variadic && argCount >= declared;
            if (!expand && (argCount > declared || argCount + proc.ProNArgDefaults < declared))
            {
                continue;
            }

            Oid[] types = [.. proc.ProArgTypes];
            if (expand)
            {
                types = new Oid[argCount];
                for (int i = 0; i < argCount; i++)
                {
                    types[i] = i < declared - 1 ? proc.ProArgTypes[i] : proc.ProVariadic;
                }
            }

            int defaults = expand ? 0 : declared - argCount;
            AddCandidate(result, new Candidate(proc, null, types[..argCount], expand, defaults, position));
        }

        return result;
    }

    // Same arguments: the earlier schema hides the later one, and a plain function a variadic one.
    private static void AddCandidate(List<Candidate> all, Candidate next)
    {
        for (int i = 0; i < all.Count; i++)
        {
            if (!all[i].Types.AsSpan().SequenceEqual(next.Types))
            {
                continue;
            }

            Candidate old = all[i];
            bool newWins = next.PathPosition != old.PathPosition ? next.PathPosition < old.PathPosition
                : next.VariadicExpanded != old.VariadicExpanded ? !next.VariadicExpanded
                : next.Defaults < old.Defaults;
            if (newWins)
            {
                all[i] = next;
            }

            return;
        }

        all.Add(next);
    }

    private static int IndexOf(IReadOnlyList<Oid> path, Oid schema)
    {
        for (int i = 0; i < path.Count; i++)
        {
            if (path[i] == schema)
            {
                return i;
            }
        }

        return -1;
    }

    private enum Resolution
    {
        Found, NotFound, Ambiguous,
    }

    private Resolution Choose(List<Candidate> candidates, Oid[] actual, out Candidate? chosen)
    {
        chosen = candidates.Find(c => c.Types.AsSpan().SequenceEqual(actual));
        if (chosen is not null)
        {
            return Resolution.Found;
        }

        List<Candidate> usable = candidates.FindAll(c => CanCoerce(actual, c.Types, CoercionContext.Implicit));
        if (usable.Count == 0)
        {
            return Resolution.NotFound;
        }

        chosen = usable.Count == 1 ? usable[0] : SelectCandidate(actual, usable);
        return chosen is null ? Resolution.Ambiguous : Resolution.Found;
    }

    /// <summary>The rules of PostgreSQL's manual, 10.3 step 4 (func_select_candidate); null is ambiguous.</summary>
    private Candidate? SelectCandidate(Oid[] actual, List<Candidate> candidates)
    {
        Oid[] inputs = new Oid[actual.Length];
        int unknowns = 0;
        for (int i = 0; i < inputs.Length; i++)
        {
            inputs[i] = actual[i].Value == PgTypes.Unknown ? actual[i] : BaseType(actual[i]);
            unknowns += actual[i].Value == PgTypes.Unknown ? 1 : 0;
        }

        List<Candidate> best = Best(candidates, c => Count(inputs, c, (input, type, _) => type == input));
        if (best.Count == 1)
        {
            return best[0];
        }

        char[] categories = [.. inputs.Select(Category)];
        best = Best(best, c => Count(inputs, c, (input, type, i) => type == input || IsPreferred(categories[i], type)));
        if (best.Count == 1 || unknowns == 0)
        {
            return best.Count == 1 ? best[0] : null;
        }

        List<Candidate>? resolved = ResolveUnknowns(inputs, best);
        if (resolved is { Count: > 0 })
        {
            best = resolved;
            if (best.Count == 1)
            {
                return best[0];
            }
        }

        return LastGuess(inputs, unknowns, best);
    }

    private static int Count(Oid[] inputs, Candidate candidate, Func<Oid, Oid, int, bool> matches)
    {
        int n = 0;
        for (int i = 0; i < inputs.Length; i++)
        {
            n += inputs[i].Value != PgTypes.Unknown && matches(inputs[i], candidate.Types[i], i) ? 1 : 0;
        }

        return n;
    }

    private static List<Candidate> Best(List<Candidate> candidates, Func<Candidate, int> score)
    {
        int best = -1;
        List<Candidate> result = [];
        foreach (Candidate candidate in candidates)
        {
            int n = score(candidate);
            if (n > best)
            {
                (best, result) = (n, [candidate]);
            }
            else if (n == best)
            {
                result.Add(candidate);
            }
        }

        return result;
    }

    // Unknown arguments: string if some candidate takes one, else the category that all candidates share; then preferred types within it.
    private List<Candidate>? ResolveUnknowns(Oid[] inputs, List<Candidate> candidates)
    {
        var slotCategory = new char[inputs.Length];
        var slotHasPreferred = new bool[inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            if (inputs[i].Value != PgTypes.Unknown)
            {
                continue;
            }

            char category = '\0';
            bool preferred = false, conflict = false;
            foreach (Candidate candidate in candidates)
            {
                PgType? type = Catalog.Type(candidate.Types[i]);
                char c = type?.TypCategory ?? 'X';
                bool p = type?.TypIsPreferred ?? false;
                if (category == '\0')
                {
                    (category, preferred) = (c, p);
                }
                else if (c == category)
                {
                    preferred |= p;
                }
                else if (c == 'S')
                {
                    (category, preferred) = (c, p);
                }
                else
                {
                    conflict = true;
                }
            }

            if (conflict && category != 'S')
            {
                return null;
            }

            (slotCategory[i], slotHasPreferred[i]) = (category, preferred);
        }

        return candidates.FindAll(candidate =>
        {
            for (int i = 0; i < inputs.Length; i++)
            {
                if (inputs[i].Value == PgTypes.Unknown
                    && (Category(candidate.Types[i]) != slotCategory[i] || (slotHasPreferred[i] && !IsPreferred(slotCategory[i], candidate.Types[i]))))
                {
                    return false;
                }
            }

            return true;
        });
    }

    // If all known arguments have one type, the unknown ones are assumed to have it too.
    private Candidate? LastGuess(Oid[] inputs, int unknowns, List<Candidate> candidates)
    {
        if (unknowns >= inputs.Length)
        {
            return null;
        }

        Oid known = Oid.Invalid;
        foreach (Oid input in inputs)
        {
            if (input.Value == PgTypes.Unknown)
            {
                continue;
            }

            if (known.IsValid && known != input)
            {
                return null;
            }

            known = input;
        }

        Oid[] guess = [.. inputs.Select(_ => known)];
        List<Candidate> fit = candidates.FindAll(c => CanCoerce(guess, c.Types, CoercionContext.Implicit));
        return fit.Count == 1 ? fit[0] : null;
    }

    private PgException NoFunction(string[] name, Oid[] types, Resolution resolution, int location)
    {
        string text = $"{string.Join('.', name)}({string.Join(", ", types.Select(t => FormatType(t)))})";
        return resolution == Resolution.Ambiguous
            ? _context.Error(SqlStates.AmbiguousFunction, $"function {text} is not unique", location,
                "Could not choose a best candidate function. You might need to add explicit type casts.")
            : _context.Error(SqlStates.UndefinedFunction, $"function {text} does not exist", location,
                "No function matches the given name and argument types. You might need to add explicit type casts.");
    }

    /// <summary>Coerces arguments to what the function declares, and gives the result's type.</summary>
    private (Expr[] Args, Oid Result) MatchArguments(Candidate candidate, Expr[] args, Oid declaredResult, int location)
    {
        Oid[] actual = [.. args.Select(a => a.Type)];
        Oid[] declared = [.. candidate.Types];
        Oid result = EnforceGenerics(actual, declared, declaredResult);
        var coerced = new Expr[args.Length];
        for (int i = 0; i < args.Length; i++)
        {
            coerced[i] = args[i].Type == declared[i] ? args[i] : Coerce(args[i], declared[i], -1, CoercionContext.Implicit, CallForm.ImplicitCast, -1);
        }

        _ = location;
        return (coerced, result);
    }

    private static bool ReturnsSet(Expr expr) => expr.Any(e => e is FuncExpr { Proc.ProRetSet: true } or OpExpr { Proc.ProRetSet: true });
}
