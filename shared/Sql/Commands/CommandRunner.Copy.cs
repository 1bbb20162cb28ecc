using System.Buffers;
using System.Globalization;
using System.Text;
using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Dml;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>COPY between a table or query and the client (copy.c, copyfrom.c, copyto.c).</summary>
internal sealed partial class CommandRunner
{
    /// <summary>Rows that are stored together: one log record a page, and index pages that are still at hand.</summary>
    private const int CopyBatch = 1000;

    private string Copy(Pg.CopyStmt s)
    {
        if (s.Filename.Length > 0 || s.IsProgram)
        {
            throw PgException.NotSupported("COPY with a file or program of the server");
        }

        if (s.WhereClause is not null)
        {
            throw PgException.NotSupported("COPY FROM with WHERE");
        }

        CopyOptions options = CopyOptions.Read(s.Options, s.IsFrom);
        if (s.Query is not null)
        {
            return CopyQuery(s, options);
        }

        if (s.IsFrom)
        {
            Session.CheckWritable("COPY FROM");
        }

        Relation table = Session.Resolve(catalog =>
        {
            PgClass row = Session.NewAnalyzer(catalog, Source).ResolveRelation(s.Relation);
            if (row.RelKind != 'r')
            {
                throw row.RelKind == 'p' ? PgException.NotSupported("COPY of a partitioned table")
                    : new PgException(SqlStates.WrongObjectType, $"cannot copy {(s.IsFrom ? "to" : "from")} {KindName(row.RelKind)} \"{row.RelName}\"")
                    {
                        Hint = s.IsFrom ? null : "Try the COPY (SELECT ...) TO variant.",
                    };
            }

            Session.LockRelation(catalog, row.Oid, s.IsFrom ? LockMode.RowExclusive : LockMode.AccessShare);
            return catalog.Relation(row.Oid)!;
        });
        int[] columns = CopyColumns(table, s);
        return s.IsFrom ? CopyFrom(table, columns, options) : CopyTo(table, columns, options);
    }

    private static string KindName(char kind) => kind switch { 'v' => "view", 'S' => "sequence", 'm' => "materialized view", 'f' => "foreign table", _ => "non-table relation" };

    private static int[] CopyColumns(Relation table, Pg.CopyStmt s)
    {
        if (s.Attlist.Count == 0)
        {
            return [.. Enumerable.Range(0, table.Desc.Count).Where(i => !table.Desc[i].IsDropped)];
        }

        var result = new List<int>();
        foreach (string name in s.Attlist.Select(Text))
        {
            int index = table.Desc.IndexOf(name);
            if (index < 0)
            {
                throw new PgException(SqlStates.UndefinedColumn, $"column \"{name}\" of relation \"{table.Name}\" does not exist");
            }

            result.Add(result.Contains(index) ? throw new PgException(SqlStates.DuplicateColumn, $"column \"{name}\" specified more than once") : index);
        }

        return [.. result];
    }

    private string CopyFrom(Relation table, int[] columns, CopyOptions options)
    {
        HeapInsertOptions insert = HeapInsertOptions.None;
        if (options.Freeze)
        {
            insert = Session.HasNewFiles(table.Id) ? HeapInsertOptions.Frozen | HeapInsertOptions.SkipFsm
                : throw new PgException(SqlStates.ObjectNotInPrerequisiteState,
                    "cannot perform COPY FREEZE because the table was not created or truncated in the current subtransaction");
        }

        (ExecContext context, ExprCompiler compiler, Snapshot snapshot) = Session.NewExecution();
        using (snapshot)
        {
            var writer = new TableWriter(context, compiler, table);
            (int Column, Evaluator Value)[] defaults = [.. CopyDefaults(compiler, table, columns)];
            Types.PgType[] types = [.. columns.Select(c => compiler.TypeOf(table.Desc[c].TypeId))];
            Sink.CopyInBegin(columns.Length, false);
            var reader = new CopyReader(Sink, options);
            var rows = new List<Datum[]>(CopyBatch);
            var free = new Stack<Datum[]>();
            var tids = new Tid[CopyBatch];
            long count = 0;
            if (options.Header && reader.Next() && options.HeaderMatch)
            {
                CheckHeader(reader, table, columns);
            }

            while (reader.Next())
            {
                context.Cancel.Check();
                Datum[] row = free.Count > 0 ? free.Pop() : NewRow(table.Desc.Count);
                ReadRow(reader, table, columns, types, options, row, context);
                foreach ((int column, Evaluator value) in defaults)
                {
                    row[column] = value.Eval();
                }

                rows.Add(row);
                count++;
                if (rows.Count == CopyBatch)
                {
                    StoreRows(writer, rows, tids, insert, free);
                }
            }

            StoreRows(writer, rows, tids, insert, free);
            writer.Finish();
            return string.Create(CultureInfo.InvariantCulture, $"COPY {count}");
        }
    }

    private static Datum[] NewRow(int columns)
    {
        var row = new Datum[columns];
        Array.Fill(row, Datum.Null);
        return row;
    }

    private static void StoreRows(TableWriter writer, List<Datum[]> rows, Tid[] tids, HeapInsertOptions options, Stack<Datum[]> free)
    {
        if (rows.Count == 0)
        {
            return;
        }

        writer.InsertMany(rows, tids, options);
        if (!writer.KeepsRows)
        {
            rows.ForEach(free.Push);
        }

        rows.Clear();
    }

    private IEnumerable<(int, Evaluator)> CopyDefaults(ExprCompiler compiler, Relation table, int[] columns)
    {
        SessionCatalog catalog = Session.CurrentCatalog!;
        Analyzer analyzer = Session.NewAnalyzer(catalog, Source);
        for (int i = 0; i < table.Desc.Count; i++)
        {
            TupleAttribute a = table.Desc[i];
            if (a.Generated != '\0' && !a.IsDropped)
            {
                throw PgException.NotSupported($"generated column \"{a.Name}\"");
            }

            if (!columns.Contains(i) && !a.IsDropped && (a.HasDefault || a.Identity != '\0'))
            {
                yield return (i, compiler.Compile(analyzer.ColumnDefault(table, (short)(i + 1)), new Env(null, null)));
            }
        }
    }

    private static void CheckHeader(CopyReader reader, Relation table, int[] columns)
    {
        if (reader.Count != columns.Length)
        {
            throw new PgException(SqlStates.BadCopyFileFormat, $"wrong number of fields in header line: got {reader.Count}, expected {columns.Length}");
        }

        for (int i = 0; i < columns.Length; i++)
        {
            string got = reader.IsNull(i) ? "" : Encoding.UTF8.GetString(reader[i]);
            if (got != table.Desc[columns[i]].Name)
            {
                throw new PgException(SqlStates.BadCopyFileFormat, $"column name mismatch in header line field {i + 1}: got \"{got}\", expected \"{table.Desc[columns[i]].Name}\"");
            }
        }
    }

    private static void ReadRow(CopyReader reader, Relation table, int[] columns, Types.PgType[] types, CopyOptions options, Datum[] row, ExecContext context)
    {
        if (columns.Length == 0 && reader.Count == 1 && !reader.IsNull(0) && reader[0].Length == 0)
        {
            return;
        }

        if (reader.Count > columns.Length)
        {
            throw new PgException(SqlStates.BadCopyFileFormat, "extra data after last expected column");
        }

        for (int i = 0; i < columns.Length; i++)
        {
            TupleAttribute a = table.Desc[columns[i]];
            if (i >= reader.Count)
            {
                throw new PgException(SqlStates.BadCopyFileFormat, $"missing data for column \"{a.Name}\"");
            }

            bool isNull = reader.IsNull(i);
            if (isNull && options.ForceNotNull.Contains(a.Name))
            {
                row[columns[i]] = types[i].Input([], a.TypeModifier, context.Eval);
                continue;
            }

            if (!isNull && options.ForceNull.Contains(a.Name) && reader.WasQuoted(i) && reader[i].SequenceEqual(options.Null))
            {
                isNull = true;
            }

            row[columns[i]] = isNull ? Datum.Null : types[i].Input(reader[i], a.TypeModifier, context.Eval);
        }
    }

    private string CopyTo(Relation table, int[] columns, CopyOptions options)
    {
        (ExecContext context, ExprCompiler compiler, Snapshot snapshot) = Session.NewExecution();
        using (snapshot)
        {
            var writer = new CopyLines(Sink, options, [.. columns.Select(c => compiler.TypeOf(table.Desc[c].TypeId))], [.. columns.Select(c => table.Desc[c].Name)], context.Eval);
            Sink.CopyOutBegin(columns.Length, false);
            writer.WriteHeader();
            var row = new Datum[table.Desc.Count];
            var values = new Datum[columns.Length];
            long count = 0;
            using HeapScan scan = new HeapTable(context.Engine, table).Scan(snapshot);
            while (scan.Next(row))
            {
                context.Cancel.Check();
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = row[columns[i]];
                }

                writer.Write(values);
                count++;
            }

            Sink.CopyOutEnd();
            return string.Create(CultureInfo.InvariantCulture, $"COPY {count}");
        }
    }

    private string CopyQuery(Pg.CopyStmt s, CopyOptions options)
    {
        (RowNode root, RowDescription description, Snapshot snapshot) = Session.OpenQuery(s.Query, Source);
        using (snapshot)
        {
            var writer = new CopyLines(Sink, options, [.. description.Columns.Select(c => Types.TypeRegistry.Get(c.TypeId, Session.EvalContext.Catalogs))],
                [.. description.Columns.Select(c => c.Name)], Session.EvalContext);
            Sink.CopyOutBegin(description.Count, false);
            writer.WriteHeader();
            long count = 0;
            while (root.Next())
            {
                writer.Write(root.Output.Values.AsSpan(0, description.Count));
                count++;
            }

            root.Close();
            Sink.CopyOutEnd();
            return string.Create(CultureInfo.InvariantCulture, $"COPY {count}");
        }
    }

    /// <summary>Writes rows as lines of COPY TO.</summary>
    private sealed class CopyLines(IResultSink sink, CopyOptions options, Types.PgType[] types, string[] names, Functions.EvalContext context)
    {
        private readonly ArrayBufferWriter<byte> _line = new(256);
        private readonly ArrayBufferWriter<byte> _value = new(64);

        public void WriteHeader()
        {
            if (!options.Header)
            {
                return;
            }

            for (int i = 0; i < names.Length; i++)
            {
                Separate(i);
                Put(Encoding.UTF8.GetBytes(names[i]), false);
            }

            EndLine();
        }

        public void Write(ReadOnlySpan<Datum> values)
        {
            for (int i = 0; i < values.Length; i++)
            {
                Separate(i);
                if (values[i].IsNull)
                {
                    _line.Write(options.Null);
                    continue;
                }

                _value.ResetWrittenCount();
                types[i].Output(values[i], _value, context);
                Put(_value.WrittenSpan, options.ForceQuoteAll || options.ForceQuote.Contains(names[i]));
            }

            EndLine();
        }

        private void Separate(int column)
        {
            if (column > 0)
            {
                _line.Write([options.Delimiter]);
            }
        }

        private void EndLine()
        {
            _line.Write("\n"u8);
            sink.CopyOutData(_line.WrittenSpan);
            _line.ResetWrittenCount();
        }

        private void Put(ReadOnlySpan<byte> value, bool forceQuote)
        {
            if (options.Csv)
            {
                PutCsv(value, forceQuote);
                return;
            }

            foreach (byte c in value)
            {
                byte escape = c switch { 8 => (byte)'b', 12 => (byte)'f', 10 => (byte)'n', 13 => (byte)'r', 9 => (byte)'t', 11 => (byte)'v', (byte)'\\' => (byte)'\\', _ => 0 };
                if (escape != 0)
                {
                    _line.Write([(byte)'\\', escape]);
                }
                else if (c == options.Delimiter)
                {
                    _line.Write([(byte)'\\', c]);
                }
                else
                {
                    _line.Write([c]);
                }
            }
        }

        private void PutCsv(ReadOnlySpan<byte> value, bool forceQuote)
        {
            bool quote = forceQuote || value.SequenceEqual(options.Null) || value.IndexOfAny(options.Delimiter, options.Quote, (byte)'\n') >= 0 || value.Contains((byte)'\r')
                || (names.Length == 1 && value.SequenceEqual("\\."u8));
            if (!quote)
            {
                _line.Write(value);
                return;
            }

            _line.Write([options.Quote]);
            foreach (byte c in value)
            {
                if (c == options.Quote || c == options.Escape)
                {
                    _line.Write([options.Escape]);
                }

                _line.Write([c]);
            }

            _line.Write([options.Quote]);
        }
    }
}
