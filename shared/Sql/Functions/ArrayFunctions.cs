using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>Functions and operators of arrays (arrayfuncs.c, array_userfuncs.c); specialized by the element's type.</summary>
internal static class ArrayFunctions
{
    private const string SubscriptState = "2202E";

    public static void Add(FunctionTable t)
    {
        AddComparisons(t);
        AddShape(t);
        AddChanges(t);
        AddSearch(t);
        AddText(t);
        t.F2("oidvectoreq", static (a, b, _) => Datum.FromBool(a.Bytes.AsSpan().SequenceEqual(b.Bytes)));
        t.F2("oidvectorne", static (a, b, _) => Datum.FromBool(!a.Bytes.AsSpan().SequenceEqual(b.Bytes)));
    }

    private static PgType ArrayOf(FunctionBinding b, int argument = 0) => TypeRegistry.Get(b.ArgumentTypes[argument], b.Catalogs);
    private static PgType ElementOf(FunctionBinding b, int argument = 0) =>
        ArrayOf(b, argument).Element ?? throw new PgException(SqlStates.DatatypeMismatch, "could not determine element type");

    private static void AddComparisons(FunctionTable t)
    {
        void Compare(string name, Func<int, bool> test) => t.Bound(name, b =>
        {
            PgType array = ArrayOf(b);
            return SqlFunction.Of(name, (x, y, _) => Datum.FromBool(test(array.Compare(x, y, b.Collation))));
        });
        Compare("array_eq", static c => c == 0);
        Compare("array_ne", static c => c != 0);
        Compare("array_lt", static c => c < 0);
        Compare("array_le", static c => c <= 0);
        Compare("array_gt", static c => c > 0);
        Compare("array_ge", static c => c >= 0);
        t.Bound("btarraycmp", static b =>
        {
            PgType array = ArrayOf(b);
            return SqlFunction.Of("btarraycmp", (x, y, _) => Datum.FromInt32(Math.Sign(array.Compare(x, y, b.Collation))));
        });
        t.Bound("array_larger", static b =>
        {
            PgType array = ArrayOf(b);
            return SqlFunction.Of("array_larger", (x, y, _) => array.Compare(x, y, b.Collation) > 0 ? x : y);
        });
        t.Bound("array_smaller", static b =>
        {
            PgType array = ArrayOf(b);
            return SqlFunction.Of("array_smaller", (x, y, _) => array.Compare(x, y, b.Collation) < 0 ? x : y);
        });
    }

    private static void AddShape(FunctionTable t)
    {
        t.F1("array_ndims", static (a, _) => new ArrayView(a.Bytes).Dimensions is var n && n > 0 ? Datum.FromInt32(n) : Datum.Null);
        t.F1("array_cardinality", static (a, _) => Datum.FromInt32(new ArrayView(a.Bytes).Count));
        t.F2("array_length", static (a, b, _) => Dimension(a, b.Int32, static (v, d) => v.Length(d)));
        t.F2("array_lower", static (a, b, _) => Dimension(a, b.Int32, static (v, d) => v.LowerBound(d)));
        t.F2("array_upper", static (a, b, _) => Dimension(a, b.Int32, static (v, d) => v.LowerBound(d) + v.Length(d) - 1));
        t.F1("array_dims", static (a, _) => Dimensions(a));
    }

    private delegate int Measure(ArrayView array, int dimension);

    private static Datum Dimension(Datum a, int dimension, Measure measure)
    {
        var v = new ArrayView(a.Bytes);
        return dimension >= 1 && dimension <= v.Dimensions ? Datum.FromInt32(measure(v, dimension - 1)) : Datum.Null;
    }

    private static Datum Dimensions(Datum a)
    {
        var v = new ArrayView(a.Bytes);
        if (v.Dimensions == 0)
        {
            return Datum.Null;
        }

        var b = new StringBuilder();
        for (int i = 0; i < v.Dimensions; i++)
        {
            b.Append(System.Globalization.CultureInfo.InvariantCulture, $"[{v.LowerBound(i)}:{v.LowerBound(i) + v.Length(i) - 1}]");
        }

        return Datum.FromText(b.ToString());
    }

    private static void AddChanges(FunctionTable t)
    {
        t.Bound("array_append", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_append", (x, y, _) => Push(element, x, y, atEnd: true));
        });
        t.Bound("array_prepend", static b =>
        {
            PgType element = ElementOf(b, 1);
            return SqlFunction.Of("array_prepend", (x, y, _) => Push(element, y, x, atEnd: false));
        });
        t.Bound("array_cat", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_cat", (x, y, _) => x.IsNull ? y : y.IsNull ? x : Concat(element, x, y));
        });
        t.Bound("array_remove", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_remove", (x, y, _) => x.IsNull ? x : Remove(element, x, y));
        });
        t.Bound("array_replace", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_replace", (x, y, z, _) => x.IsNull ? x : Replace(element, x, y, z));
        });
        t.Bound("array_fill", static b => Fill("array_fill", b));
        t.Bound("array_fill_with_lower_bounds", static b => Fill("array_fill_with_lower_bounds", b));
    }

    private static SqlFunction Fill(string name, FunctionBinding b)
    {
        PgType element = TypeRegistry.Get(b.ArgumentTypes[0], b.Catalogs);
        return SqlFunction.Of(name, (ReadOnlySpan<Datum> a, EvalContext _) =>
        {
            if (a[1].IsNull || (a.Length > 2 && a[2].IsNull))
            {
                throw new PgException("22004", "dimension array or low bound array cannot be null");
            }

            PgType int4 = TypeRegistry.Find(new Oid(23))!;
            int[] lengths = [.. new ArrayView(a[1].Bytes).ToDatums(int4).Select(d => d.Int32)];
            int[] low = a.Length > 2 ? [.. new ArrayView(a[2].Bytes).ToDatums(int4).Select(d => d.Int32)] : [.. lengths.Select(_ => 1)];
            if (low.Length != lengths.Length)
            {
                throw new PgException(SubscriptState, "wrong number of array subscripts") { Detail = "Low bound array has different size than dimensions array." };
            }

            long count = lengths.Length == 0 ? 0 : lengths.Aggregate(1L, (x, y) => x * y);
            if (count <= 0)
            {
                return ArrayBuilder.Empty(element);
            }

            var values = new Datum[count];
            values.AsSpan().Fill(a[0]);
            return ArrayBuilder.Build(element, values, lengths, low);
        });
    }

    private static Datum Push(PgType element, Datum array, Datum value, bool atEnd)
    {
        Datum[] old = [];
        int low = 1;
        if (!array.IsNull)
        {
            var v = new ArrayView(array.Bytes);
            if (v.Dimensions > 1)
            {
                throw new PgException(SqlStates.DataException, "argument must be empty or one-dimensional array");
            }

            old = v.ToDatums(element);
            low = v.Dimensions == 1 ? v.LowerBound(0) : 1;
        }

        Datum[] values = atEnd ? [.. old, value] : [value, .. old];
        return ArrayBuilder.Build(element, values, [values.Length], [low]);
    }

    private static Datum Concat(PgType element, Datum a, Datum b)
    {
        var x = new ArrayView(a.Bytes);
        var y = new ArrayView(b.Bytes);
        if (x.Dimensions == 0)
        {
            return b;
        }

        if (y.Dimensions == 0)
        {
            return a;
        }

        int n = Math.Max(x.Dimensions, y.Dimensions);
        if (Math.Abs(x.Dimensions - y.Dimensions) > 1)
        {
            throw Incompatible($"Arrays of {x.Dimensions} and {y.Dimensions} dimensions are not compatible for concatenation.");
        }

        var lengths = new int[n];
        var bounds = new int[n];
        ArrayView big = y.Dimensions > x.Dimensions ? y : x;
        for (int i = 0; i < n; i++)
        {
            (lengths[i], bounds[i]) = (big.Length(i), big.LowerBound(i));
        }

        // The one with a dimension less is an element of the other.
        bool same = x.Dimensions == y.Dimensions;
        ArrayView small = y.Dimensions > x.Dimensions ? x : y;
        for (int i = 1; i < n; i++)
        {
            if (small.Length(same ? i : i - 1) != lengths[i])
            {
                throw Incompatible(same
                    ? "Arrays with differing element dimensions are not compatible for concatenation."
                    : "Arrays with differing dimensions are not compatible for concatenation.");
            }
        }

        lengths[0] = same ? x.Length(0) + y.Length(0) : lengths[0] + 1;
        return ArrayBuilder.Build(element, (Datum[])[.. x.ToDatums(element), .. y.ToDatums(element)], lengths, bounds);
    }

    private static PgException Incompatible(string detail) => new(SubscriptState, "cannot concatenate incompatible arrays") { Detail = detail };

    private static bool Same(PgType element, Datum a, Datum b) => a.IsNull || b.IsNull ? a.IsNull && b.IsNull : element.AreEqual(a, b);

    private static Datum Remove(PgType element, Datum array, Datum value)
    {
        var v = new ArrayView(array.Bytes);
        if (v.Dimensions > 1)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "removing elements from multidimensional arrays is not supported");
        }

        Datum[] kept = [.. v.ToDatums(element).Where(d => !Same(element, d, value))];
        return kept.Length == v.Count ? array : kept.Length == 0 ? ArrayBuilder.Empty(element) : ArrayBuilder.Build(element, kept, [kept.Length], [v.LowerBound(0)]);
    }

    private static Datum Replace(PgType element, Datum array, Datum from, Datum to)
    {
        var v = new ArrayView(array.Bytes);
        Datum[] values = v.ToDatums(element);
        var lengths = new int[v.Dimensions];
        var bounds = new int[v.Dimensions];
        for (int i = 0; i < lengths.Length; i++)
        {
            (lengths[i], bounds[i]) = (v.Length(i), v.LowerBound(i));
        }

        for (int i = 0; i < values.Length; i++)
        {
            values[i] = Same(element, values[i], from) ? to : values[i];
        }

        return ArrayBuilder.Build(element, values, lengths, bounds);
    }

    private static void AddSearch(FunctionTable t)
    {
        t.Bound("array_position", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_position", (x, y, _) => Position(element, x, y, null));
        });
        t.Bound("array_position_start", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_position_start", (x, y, z, _) => Position(
                element, x, y, z.IsNull ? throw new PgException("22004", "initial position must not be null") : z.Int32));
        });
        t.Bound("array_positions", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_positions", (x, y, _) => x.IsNull ? x : Positions(element, x, y));
        });
        t.Bound("arraycontains", static b => Contains("arraycontains", ElementOf(b), static (x, y, e) => All(e, y, x)));
        t.Bound("arraycontained", static b => Contains("arraycontained", ElementOf(b), static (x, y, e) => All(e, x, y)));
        t.Bound("arrayoverlap", static b => Contains("arrayoverlap", ElementOf(b), static (x, y, e) => x.Any(v => Has(e, y, v))));
    }

    private static SqlFunction Contains(string name, PgType element, Func<Datum[], Datum[], PgType, bool> test) =>
        SqlFunction.Of(name, (a, b, _) => Datum.FromBool(test(new ArrayView(a.Bytes).ToDatums(element), new ArrayView(b.Bytes).ToDatums(element), element)));

    // A null is contained in nothing.
    private static bool All(PgType e, Datum[] small, Datum[] big) => small.All(v => Has(e, big, v));
    private static bool Has(PgType e, Datum[] values, Datum v) => !v.IsNull && values.Any(x => !x.IsNull && e.AreEqual(x, v));

    private static Datum Position(PgType element, Datum array, Datum value, int? start)
    {
        if (array.IsNull)
        {
            return Datum.Null;
        }

        var v = new ArrayView(array.Bytes);
        if (v.Dimensions > 1)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "searching for elements in multidimensional arrays is not supported");
        }

        Datum[] values = v.ToDatums(element);
        int low = v.Dimensions == 0 ? 1 : v.LowerBound(0);
        for (int i = start is { } s ? Math.Max(s - low, 0) : 0; i < values.Length; i++)
        {
            if (Same(element, values[i], value))
            {
                return Datum.FromInt32(low + i);
            }
        }

        return Datum.Null;
    }

    private static Datum Positions(PgType element, Datum array, Datum value)
    {
        var v = new ArrayView(array.Bytes);
        if (v.Dimensions > 1)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "searching for elements in multidimensional arrays is not supported");
        }

        Datum[] values = v.ToDatums(element);
        var found = new List<Datum>();
        for (int i = 0; i < values.Length; i++)
        {
            if (Same(element, values[i], value))
            {
                found.Add(Datum.FromInt32(v.LowerBound(0) + i));
            }
        }

        return ArrayBuilder.Build(TypeRegistry.Find(new Oid(23))!, found.ToArray());
    }

    private static void AddText(FunctionTable t)
    {
        t.Bound("array_to_text", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_to_text", (x, y, c) => ToText(element, x, y, Datum.Null, c));
        });
        t.Bound("array_to_text_null", static b =>
        {
            PgType element = ElementOf(b);
            return SqlFunction.Of("array_to_text_null", (x, y, z, c) => x.IsNull || y.IsNull ? Datum.Null : ToText(element, x, y, z, c));
        });
        t.F2("text_to_array", static (a, b, _) => a.IsNull ? Datum.Null : TextArray(SplitText(a, b, Datum.Null)));
        t.F3("text_to_array_null", static (a, b, c, _) => a.IsNull ? Datum.Null : TextArray(SplitText(a, b, c)));
    }

    internal static Datum TextArray(ReadOnlySpan<Datum> values) => ArrayBuilder.Build(TypeRegistry.Find(new Oid(25))!, values);

    private static Datum ToText(PgType element, Datum array, Datum separator, Datum nullText, EvalContext c)
    {
        var w = new System.Buffers.ArrayBufferWriter<byte>(64);
        bool any = false;
        foreach (Datum v in new ArrayView(array.Bytes).ToDatums(element))
        {
            if (v.IsNull && nullText.IsNull)
            {
                continue;
            }

            if (any)
            {
                TextScan.Write(separator.Bytes, w);
            }

            any = true;
            if (v.IsNull)
            {
                TextScan.Write(nullText.Bytes, w);
            }
            else
            {
                element.Output(v, w, c);
            }
        }

        return Datum.FromBytes(w.WrittenSpan.ToArray());
    }

    /// <summary>string_to_array: a null separator splits into characters, an empty one not at all.</summary>
    internal static Datum[] SplitText(Datum text, Datum separator, Datum nullText)
    {
        if (text.IsNull || text.Bytes.Length == 0)
        {
            return [];
        }

        string s = TextFunctions.Str(text);
        IEnumerable<string> parts;
        if (separator.IsNull)
        {
            parts = s.EnumerateRunes().Select(r => r.ToString());
        }
        else
        {
            string by = TextFunctions.Str(separator);
            parts = by.Length == 0 ? [s] : s.Split(by);
        }

        string? none = nullText.IsNull ? null : TextFunctions.Str(nullText);
        return [.. parts.Select(p => p == none ? Datum.Null : Datum.FromText(p))];
    }
}

/// <summary>Subscripts of arrays, for the executor.</summary>
public static class ArrayAccess
{
    /// <summary>One element; null when a subscript lies outside or there are too few or too many.</summary>
    public static Datum Get(Datum array, PgType element, ReadOnlySpan<int> subscripts)
    {
        var v = new ArrayView(array.Bytes);
        if (subscripts.Length != v.Dimensions || v.Dimensions == 0)
        {
            return Datum.Null;
        }

        int index = 0;
        for (int i = 0; i < subscripts.Length; i++)
        {
            int at = subscripts[i] - v.LowerBound(i);
            if (at < 0 || at >= v.Length(i))
            {
                return Datum.Null;
            }

            index = (index * v.Length(i)) + at;
        }

        var reader = new ArrayReader(v, element);
        for (int i = 0; i < index; i++)
        {
            reader.Next();
        }

        return reader.Next();
    }

    /// <summary>A slice; bounds that are missing reach to the array's own. The result counts from 1.</summary>
    public static Datum Slice(Datum array, PgType element, ReadOnlySpan<int?> low, ReadOnlySpan<int?> high)
    {
        var v = new ArrayView(array.Bytes);
        int n = v.Dimensions;
        if (n == 0 || low.Length > n)
        {
            return ArrayBuilder.Empty(element);
        }

        var from = new int[n];
        var lengths = new int[n];
        var bounds = new int[n];
        for (int i = 0; i < n; i++)
        {
            int lower = v.LowerBound(i);
            int upper = lower + v.Length(i) - 1;
            int a = i < low.Length ? Math.Max(low[i] ?? lower, lower) : lower;
            int b = i < high.Length ? Math.Min(high[i] ?? upper, upper) : upper;
            if (a > b)
            {
                return ArrayBuilder.Empty(element);
            }

            (from[i], lengths[i], bounds[i]) = (a - lower, b - a + 1, 1);
        }

        Datum[] all = v.ToDatums(element);
        var result = new List<Datum>();
        var at = new int[n];
        while (true)
        {
            int index = 0;
            for (int i = 0; i < n; i++)
            {
                index = (index * v.Length(i)) + from[i] + at[i];
            }

            result.Add(all[index]);
            int d = n - 1;
            while (d >= 0 && ++at[d] == lengths[d])
            {
                at[d--] = 0;
            }

            if (d < 0)
            {
                return ArrayBuilder.Build(element, result.ToArray(), lengths, bounds);
            }
        }
    }
}
