using System.Runtime.InteropServices;
using Google.Protobuf;
using PgQuery;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Parse;

/// <summary>
/// PostgreSQL 15's own grammar, from libpg_query (15-4.0.0), through its protobuf tree. A shallow string is parsed on the caller's thread, one that
/// can nest deeper on a thread with a large stack; <see cref="NestingGuard"/> bounds both.
/// </summary>
public static partial class SqlParser
{
    /// <summary>Levels; reading one takes up to 10 KB of stack in code that is not yet optimized, and a session thread has 1.5 MB.</summary>
    private const int InlineDepth = 64;

    private const int RecursionLimit = 4 * NestingGuard.MaxDepth;

    /// <exception cref="PgException">42601 with message and position; 54001.</exception>
    public static IReadOnlyList<RawStatement> Parse(string sql)
    {
        if (sql.Contains('\0', StringComparison.Ordinal))
        {
            throw new PgException(SqlStates.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x00");
        }

        var source = new SourceText(sql);
        int depth = NestingGuard.Measure(source.ZeroTerminated.AsSpan(0, source.Utf8Length));
        return depth <= InlineDepth ? ParseHere(source) : ParserThread.Run(source);
    }

    internal static RawStatement[] ParseHere(SourceText source)
    {
        Native.ParseResult result = Native.Parse(ref source.ZeroTerminated[0]);
        try
        {
            if (result.Error != 0)
            {
                throw ToException(Marshal.PtrToStructure<Native.Error>(result.Error), source);
            }

            return Read(source, result);
        }
        finally
        {
            Native.Free(result);
        }
    }

    private static unsafe RawStatement[] Read(SourceText source, in Native.ParseResult result)
    {
        ParseResult tree;
        if (source.Utf8Length <= 48)
        {
            tree = ParseResult.Parser.ParseFrom(new ReadOnlySpan<byte>((void*)result.Data, (int)result.Length));
        }
        else
        {
            // The default limit of 100 levels is less than PostgreSQL's own queries need.
            using var stream = new UnmanagedMemoryStream((byte*)result.Data, (long)result.Length);
            using CodedInputStream input = CodedInputStream.CreateWithLimits(stream, int.MaxValue, RecursionLimit);
            try
            {
                tree = ParseResult.Parser.ParseFrom(input);
            }
            catch (InvalidProtocolBufferException)
            {
                throw NestingGuard.TooDeep();
            }
        }

        var statements = new RawStatement[tree.Stmts.Count];
        for (int i = 0; i < statements.Length; i++)
        {
            RawStmt raw = tree.Stmts[i];
            statements[i] = new RawStatement(source, raw.Stmt, raw.StmtLocation, raw.StmtLen);
        }

        return statements;
    }

    private static PgException ToException(in Native.Error error, SourceText source)
    {
        string message = Marshal.PtrToStringUTF8(error.Message) ?? "syntax error";
        string state = message.StartsWith("memory exhausted", StringComparison.Ordinal) ? SqlStates.StatementTooComplex : SqlStates.SyntaxError;
        return new PgException(state, message) { Position = Math.Min(error.CursorPosition, source.Text.Length + 1) };
    }

    private static partial class Native
    {
        private const string Library = "libpg_query.so.1504.0";

        [StructLayout(LayoutKind.Sequential)]
        public struct ParseResult
        {
            public nuint Length;
            public nint Data;
            public nint StandardError;
            public nint Error;
        }

        [StructLayout(LayoutKind.Sequential)]
        public struct Error
        {
            public nint Message;
            public nint Function;
            public nint File;
            public int Line;
            public int CursorPosition;
            public nint Context;
        }

        [LibraryImport(Library, EntryPoint = "pg_query_parse_protobuf")]
        public static partial ParseResult Parse(ref byte sql);

        [LibraryImport(Library, EntryPoint = "pg_query_free_protobuf_parse_result")]
        public static partial void Free(ParseResult result);
    }
}
