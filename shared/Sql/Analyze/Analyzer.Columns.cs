using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>Which column a name means (parse_relation.c, parse_expr.c transformColumnRef).</summary>
public sealed partial class Analyzer
{
    private static readonly (string Name, short Number, uint Type)[] SystemColumns =
    [
        ("ctid", -1, PgTypes.Tid), ("xmin", -2, PgTypes.Xid), ("cmin", -3, PgTypes.Cid), ("xmax", -4, PgTypes.Xid), ("cmax", -5, PgTypes.Cid),
        ("tableoid", -6, PgTypes.Oid),
    ];

    private Expr TransformColumnRef(Scope scope, Pg.ColumnRef reference)
    {
        var names = new List<string>();
        foreach (Pg.Node field in reference.Fields)
        {
            if (field.NodeCase == Pg.Node.NodeOneofCase.AStar)
            {
                if (names.Count == 1 && FindItem(scope, null, names[0], out int up) is { } all)
                {
                    return WholeRow(all, up, reference.Location);
                }

                throw _context.Error(SqlStates.SyntaxError, "row expansion via \"*\" is not supported here", reference.Location);
            }

            names.Add(ExprString(field));
        }

        if (scope.Clause is ClauseKind.ColumnDefault)
        {
            throw _context.Error(SqlStates.FeatureNotSupported, "cannot use column reference in DEFAULT expression", reference.Location);
        }

        switch (names.Count)
        {
            case 1:
                if (FindColumn(scope, names[0], reference.Location) is { } found)
                {
                    return found;
                }

                return FindItem(scope, null, names[0], out int levels) is { } item
                    ? WholeRow(item, levels, reference.Location)
                    : throw MissingColumn(null, names[0], reference.Location, scope);
            case 2:
                return QualifiedColumn(scope, null, names[0], names[1], reference.Location);
            case 3:
                return QualifiedColumn(scope, names[0], names[1], names[2], reference.Location);
            case 4:
                return names[0] == _context.DatabaseName
                    ? QualifiedColumn(scope, names[1], names[2], names[3], reference.Location)
                    : throw _context.Error(SqlStates.FeatureNotSupported, $"cross-database references are not implemented: {string.Join('.', names)}", reference.Location);
            default:
                throw _context.Error(SqlStates.SyntaxError, $"improper qualified name (too many dotted names): {string.Join('.', names)}", reference.Location);
        }
    }

    private Expr? FindColumn(Scope start, string name, int location)
    {
        int up = 0;
        for (Scope? scope = start; scope is not null; scope = scope.Parent, up++)
        {
            Expr? found = null;
            foreach (NamespaceItem item in scope.Items)
            {
                if (!item.ColumnsVisible || (item.LateralOnly && !scope.LateralActive))
                {
                    continue;
                }

                foreach (NamespaceColumn column in item.Columns)
                {
                    if (!string.Equals(column.Name, name, StringComparison.Ordinal))
                    {
                        continue;
                    }

                    if (found is not null)
                    {
                        throw _context.Error(SqlStates.AmbiguousColumn, $"column reference \"{name}\" is ambiguous", location);
                    }

                    CheckLateral(item, location);
                    found = column.Expr;
                }
            }

            if (found is null && SystemColumn(scope, name) is { } system)
            {
                found = system;
            }

            if (found is not null)
            {
                return AtLevel(start, found, up, location);
            }
        }

        return null;
    }

    private Expr? SystemColumn(Scope scope, string name)
    {
        Expr? found = null;
        foreach ((string systemName, short number, uint type) in SystemColumns)
        {
            if (systemName != name)
            {
                continue;
            }

            foreach (NamespaceItem item in scope.Items)
            {
                if (item.Entry > 0 && item.ColumnsVisible && scope.Query.Entry(item.Entry) is { Kind: EntryKind.Relation, Relation.Kind: 'r' or 'm' or 't' } && found is null)
                {
                    found = new VarExpr(item.Entry, number, new Oid(type), -1, 0);
                }
            }
        }

        return found;
    }

    private void CheckLateral(NamespaceItem item, int location)
    {
        if (item.LateralOnly && !item.LateralOk)
        {
            throw _context.Error(SqlStates.InvalidColumnReference, $"invalid reference to FROM-clause entry for table \"{item.Alias}\"", location,
                detail: "The combining JOIN type must be INNER or LEFT for a LATERAL reference.");
        }
    }

    /// <summary>The expression as it is seen from so many levels below; the queries between are marked as correlated.</summary>
    private static Expr AtLevel(Scope start, Expr expr, int up, int location)
    {
        if (up > 0)
        {
            Scope? scope = start;
            for (int i = 0; i < up; i++)
            {
                scope!.Query.IsCorrelated = true;
                scope = scope.Parent;
            }
        }

        if (expr is VarExpr v)
        {
            return new VarExpr(v.Entry, v.Column, v.Type, v.Typmod, v.LevelsUp + up) { Location = location, Collation = v.Collation };
        }

        return up == 0 ? expr : ShiftLevels(expr, up);
    }

    private static Expr ShiftLevels(Expr expr, int up) =>
        expr.Rewrite(e => e is VarExpr v ? new VarExpr(v.Entry, v.Column, v.Type, v.Typmod, v.LevelsUp + up) { Location = v.Location, Collation = v.Collation } : null);

    private NamespaceItem? FindItem(Scope start, string? schema, string alias, out int up)
    {
        up = 0;
        for (Scope? scope = start; scope is not null; scope = scope.Parent, up++)
        {
            foreach (NamespaceItem item in scope.Items)
            {
                if (item.AliasVisible && item.Alias == alias && (schema is null || item.Schema == schema) && !(item.LateralOnly && !scope.LateralActive))
                {
                    return item;
                }
            }
        }

        return null;
    }

    private Expr QualifiedColumn(Scope scope, string? schema, string alias, string name, int location)
    {
        NamespaceItem? item = FindItem(scope, schema, alias, out int up);
        if (item is null)
        {
            throw MissingItem(scope, schema is null ? alias : $"{schema}.{alias}", alias, location);
        }

        CheckLateral(item, location);
        Expr? found = null;
        foreach (NamespaceColumn column in item.Columns)
        {
            if (string.Equals(column.Name, name, StringComparison.Ordinal))
            {
                found = found is null ? column.Expr : throw _context.Error(SqlStates.AmbiguousColumn, $"column reference \"{name}\" is ambiguous", location);
            }
        }

        if (found is null && item.Entry > 0)
        {
            Scope owner = scope;
            for (int i = 0; i < up; i++)
            {
                owner = owner.Parent!;
            }

            if (owner.Query.Entry(item.Entry) is { Kind: EntryKind.Relation, Relation.Kind: 'r' or 'm' or 't' })
            {
                foreach ((string systemName, short number, uint type) in SystemColumns)
                {
                    if (systemName == name)
                    {
                        found = new VarExpr(item.Entry, number, new Oid(type), -1, 0);
                    }
                }
            }
        }

        return found is null ? throw MissingColumn(alias, name, location, scope) : AtLevel(scope, found, up, location);
    }

    private PgException MissingColumn(string? alias, string name, int location, Scope scope)
    {
        string? hint = null;
        if (alias is null)
        {
            hint = scope.Items.Where(i => i.AliasVisible && i.Alias is not null).SelectMany(i => i.Columns.Select(c => (i.Alias, c.Name)))
                .Where(c => Distance(c.Name, name) <= Math.Max(1, Math.Min(3, name.Length / 2)) && c.Name != name)
                .OrderBy(c => Distance(c.Name, name)).Select(c => $"Perhaps you meant to reference the column \"{c.Alias}.{c.Name}\".").FirstOrDefault();
        }

        return _context.Error(SqlStates.UndefinedColumn,
            alias is null ? $"column \"{name}\" does not exist" : $"column {alias}.{name} does not exist", location, hint);
    }

    private PgException MissingItem(Scope scope, string name, string alias, int location)
    {
        bool exists = false;
        for (Scope? s = scope; s is not null; s = s.Parent)
        {
            exists |= s.Query.Entries.Exists(e => e.Alias == alias);
        }

        return exists
            ? _context.Error(SqlStates.UndefinedTable, $"invalid reference to FROM-clause entry for table \"{name}\"", location,
                detail: null, hint: $"There is an entry for table \"{name}\", but it cannot be referenced from this part of the query.")
            : _context.Error(SqlStates.UndefinedTable, $"missing FROM-clause entry for table \"{name}\"", location);
    }

    private static int Distance(string a, string b)
    {
        var row = new int[b.Length + 1];
        for (int j = 0; j <= b.Length; j++)
        {
            row[j] = j;
        }

        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int next = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                (diagonal, row[j]) = (row[j], next);
            }
        }

        return row[^1];
    }

    private Expr WholeRow(NamespaceItem item, int up, int location)
    {
        Expr[] args = [.. item.Columns.Select(c => up == 0 ? c.Expr : ShiftLevels(c.Expr, up))];
        Oid type = new(PgTypes.Record);
        return new RowExpr(args, type, [.. item.Columns.Select(c => c.Name)]) { Location = location };
    }

    private NamespaceItem AddRelation(Scope scope, Relation relation, PgClass? row, string alias, bool visible, IReadOnlyList<Pg.Node>? columnNames = null)
    {
        var entry = new RangeEntry { Kind = EntryKind.Relation, Alias = alias, Relation = relation, Class = row };
        foreach (TupleAttribute a in relation.Desc.Attributes)
        {
            entry.Columns.Add(new EntryColumn(a.Name, a.TypeId, a.TypeModifier, a.Collation, a.IsDropped));
        }

        return AddEntry(scope, entry, visible, columnNames, row is null ? null : Catalog.Schema(row.RelNamespace)?.NspName);
    }

    private NamespaceItem AddEntry(Scope scope, RangeEntry entry, bool visible, IReadOnlyList<Pg.Node>? columnNames = null, string? schema = null)
    {
        scope.Query.Entries.Add(entry);
        int number = scope.Query.Entries.Count;
        if (columnNames is { Count: > 0 })
        {
            RenameColumns(entry, columnNames);
        }

        var columns = new List<NamespaceColumn>(entry.Columns.Count);
        for (int i = 0; i < entry.Columns.Count; i++)
        {
            EntryColumn c = entry.Columns[i];
            if (!c.Dropped)
            {
                columns.Add(new NamespaceColumn(c.Name, new VarExpr(number, (short)(i + 1), c.Type, c.Typmod, 0) { Collation = c.Collation }));
            }
        }

        var item = new NamespaceItem { Alias = entry.Alias, Columns = columns, Entry = number, Schema = schema };
        if (visible)
        {
            scope.Items.Add(item);
        }

        return item;
    }

    private void RenameColumns(RangeEntry entry, IReadOnlyList<Pg.Node> names)
    {
        int live = entry.Columns.Count(c => !c.Dropped);
        if (names.Count > live)
        {
            throw new PgException(SqlStates.InvalidColumnReference, $"table \"{entry.Alias}\" has {live} columns available but {names.Count} columns specified");
        }

        int next = 0;
        for (int i = 0; i < entry.Columns.Count && next < names.Count; i++)
        {
            if (!entry.Columns[i].Dropped)
            {
                entry.Columns[i] = entry.Columns[i] with { Name = ExprString(names[next++]) };
            }
        }
    }
}
