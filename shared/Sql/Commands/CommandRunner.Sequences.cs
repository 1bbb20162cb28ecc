using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>CREATE SEQUENCE and serial columns (sequence.c's init_params, generateSerialExtraStmts of parse_utilcmd.c).</summary>
internal sealed partial class CommandRunner
{
    private string CreateSequence(Pg.CreateSeqStmt s)
    {
        if (s.Sequence.Relpersistence == "t")
        {
            throw PgException.NotSupported("a temporary sequence");
        }

        Session.ChangeCatalogs(writer =>
        {
            var catalog = new SessionCatalog(writer.View);
            PgNamespace schema = CreationSchema(catalog, s.Sequence.Schemaname);
            if (s.IfNotExists && catalog.ClassByName(s.Sequence.Relname, schema.Oid) is not null)
            {
                Session.SendNotice("NOTICE", SqlStates.DuplicateTable, $"relation \"{s.Sequence.Relname}\" already exists, skipping");
                return true;
            }

            Pg.DefElem[] options = [.. s.Options.Select(o => o.DefElem)];
            Oid id = writer.CreateSequence(s.Sequence.Relname, schema.Oid, SequenceParameters(catalog, options), Persistence(s.Sequence));
            if (options.FirstOrDefault(o => o.Defname == "owned_by") is { } owner)
            {
                OwnSequence(writer, id, schema, [.. owner.Arg.List.Items.Select(Text)]);
            }

            return true;
        });
        return "CREATE SEQUENCE";
    }

    /// <summary>pg_class.relpersistence of what a statement makes.</summary>
    private static char Persistence(Pg.RangeVar relation) => relation.Relpersistence == "u" ? 'u' : 'p';

    private void OwnSequence(CatalogWriter writer, Oid sequence, PgNamespace schema, string[] owner)
    {
        if (owner.Length == 1)
        {
            if (owner[0] != "none")
            {
                throw new PgException(SqlStates.SyntaxError, "invalid OWNED BY option") { Hint = "Specify OWNED BY table.column or OWNED BY NONE." };
            }

            return;
        }

        SessionCatalog catalog = Session.Refresh(writer);
        PgClass table = FindRelation(catalog, owner[..^1]);
        if (table.RelKind != 'r')
        {
            throw new PgException(SqlStates.WrongObjectType, $"sequence cannot be owned by relation \"{table.RelName}\"");
        }

        if (table.RelNamespace != schema.Oid)
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "sequence must be in same schema as table it is linked to");
        }

        writer.SetSequenceOwner(sequence, table.Oid, ColumnNumber(catalog.Relation(table.Oid)!, owner[^1]));
    }

    /// <summary>The row of pg_sequence that the options ask for.</summary>
    private PgSequence SequenceParameters(SessionCatalog catalog, IReadOnlyList<Pg.DefElem> options)
    {
        var given = new Dictionary<string, Pg.DefElem>(StringComparer.Ordinal);
        foreach (Pg.DefElem option in options)
        {
            if (!given.TryAdd(option.Defname, option))
            {
                throw Error(SqlStates.SyntaxError, "conflicting or redundant options", option.Location);
            }
        }

        if (given.Keys.FirstOrDefault(k => k is not ("as" or "increment" or "start" or "maxvalue" or "minvalue" or "cache" or "cycle" or "owned_by")) is { } unknown)
        {
            throw PgException.NotSupported($"CREATE SEQUENCE with {unknown}");
        }

        var type = new Oid(PgTypes.Int8);
        if (given.TryGetValue("as", out Pg.DefElem? written))
        {
            type = Session.NewAnalyzer(catalog, Source).ResolveType(written.Arg.TypeName).Type;
        }

        (long lowest, long highest) = type.Value switch
        {
            PgTypes.Int2 => (short.MinValue, short.MaxValue),
            PgTypes.Int4 => (int.MinValue, int.MaxValue),
            PgTypes.Int8 => (long.MinValue, long.MaxValue),
            _ => throw new PgException(SqlStates.InvalidParameterValue, "sequence type must be smallint, integer, or bigint"),
        };
        long? Number(string name) => given.TryGetValue(name, out Pg.DefElem? o) && o.Arg is not null ? ParseNumber(SqlSession.SettingText(o.Arg)) : null;
        long increment = Number("increment") ?? 1;
        long max = Number("maxvalue") ?? (increment > 0 ? highest : -1), min = Number("minvalue") ?? (increment > 0 ? 1 : lowest);
        long start = Number("start") ?? (increment > 0 ? min : max), cache = Number("cache") ?? 1;
        string? wrong = increment == 0 ? "INCREMENT must not be zero"
            : max > highest || max < lowest ? $"MAXVALUE ({max}) is out of range for sequence data type {catalog.Type(type)!.TypName switch { "int2" => "smallint", "int4" => "integer", _ => "bigint" }}"
            : min > highest || min < lowest ? $"MINVALUE ({min}) is out of range for sequence data type {catalog.Type(type)!.TypName switch { "int2" => "smallint", "int4" => "integer", _ => "bigint" }}"
            : min >= max ? $"MINVALUE ({min}) must be less than MAXVALUE ({max})"
            : start < min ? $"START value ({start}) cannot be less than MINVALUE ({min})"
            : start > max ? $"START value ({start}) cannot be greater than MAXVALUE ({max})"
            : cache <= 0 ? $"CACHE ({cache}) must be greater than zero" : null;
        if (wrong is not null)
        {
            throw new PgException(SqlStates.InvalidParameterValue, wrong);
        }

        return new PgSequence
        {
            SeqTypId = type,
            SeqStart = start,
            SeqIncrement = increment,
            SeqMax = max,
            SeqMin = min,
            SeqCache = cache,
            SeqCycle = given.TryGetValue("cycle", out Pg.DefElem? cycle) && cycle.Arg?.Boolean?.Boolval == true,
        };
    }

    private static long ParseNumber(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) ? value
            : throw new PgException(SqlStates.NumericValueOutOfRange, $"value \"{text}\" is out of range for type bigint");

    /// <summary>The integer type that a serial type stands for; null for any other type.</summary>
    private static uint? SerialType(Pg.TypeName name) => name.Names.Count != 1 || name.ArrayBounds.Count > 0 ? null : Text(name.Names[0]) switch
    {
        "smallserial" or "serial2" => PgTypes.Int2,
        "serial" or "serial4" => PgTypes.Int4,
        "bigserial" or "serial8" => PgTypes.Int8,
        _ => null,
    };

    /// <summary>
    /// Makes the sequences of a table's serial columns, before the table itself, and writes the columns as PostgreSQL reads them: an integer, not null, with nextval as its default.
    /// </summary>
    /// <returns>Each sequence with its column's name, to be owned by it.</returns>
    private List<(Oid Sequence, string Column)> MakeSerials(CatalogWriter writer, PgNamespace schema, Pg.RangeVar relation, IEnumerable<Pg.ColumnDef> columns)
    {
        string table = relation.Relname;
        var made = new List<(Oid, string)>();
        foreach (Pg.ColumnDef column in columns)
        {
            if (SerialType(column.TypeName) is not { } type)
            {
                continue;
            }

            if (column.Constraints.Any(c => c.Constraint.Contype == Pg.ConstrType.ConstrDefault))
            {
                throw Error(SqlStates.SyntaxError, $"multiple default values specified for column \"{column.Colname}\" of table \"{table}\"", column.Location);
            }

            string name = writer.ChooseRelationName(table, column.Colname, "seq", schema.Oid);
            var asType = new Pg.DefElem { Defname = "as", Arg = new Pg.Node { TypeName = IntegerName(type) } };
            Oid sequence = writer.CreateSequence(name, schema.Oid, SequenceParameters(Session.Refresh(writer), [asType]), Persistence(relation));
            made.Add((sequence, column.Colname));
            column.TypeName = IntegerName(type);
            column.IsNotNull = true;
            string qualified = $"{Analyze.TypeNames.Quote(schema.NspName)}.{Analyze.TypeNames.Quote(name)}";
            column.Constraints.Add(Parse.SqlParser.Parse($"CREATE TABLE x (y int DEFAULT nextval('{qualified.Replace("'", "''", StringComparison.Ordinal)}'::regclass))")[0]
                .Tree.CreateStmt.TableElts[0].ColumnDef.Constraints[0]);
        }

        return made;
    }

    private static Pg.TypeName IntegerName(uint type) => new()
    {
        Names =
        {
            new Pg.Node { String = new Pg.String { Sval = "pg_catalog" } },
            new Pg.Node { String = new Pg.String { Sval = type switch { PgTypes.Int2 => "int2", PgTypes.Int4 => "int4", _ => "int8" } } },
        },
        Typemod = -1,
        Location = -1,
    };
}
