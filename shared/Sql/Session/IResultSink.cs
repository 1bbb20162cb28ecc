using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Session;

/// <summary>A column of a result, as RowDescription tells it.</summary>
/// <param name="TypeLength">pg_type.typlen: bytes, -1 varlena, -2 C string.</param>
public readonly record struct ResultColumn(string Name, Oid TableId, short AttributeNumber, Oid TypeId, short TypeLength, int TypeModifier);

/// <summary>The columns of a result; immutable, shared by all executions of a plan.</summary>
public sealed class RowDescription(ResultColumn[] columns)
{
    public IReadOnlyList<ResultColumn> Columns { get; } = columns;
    public int Count => Columns.Count;
}

/// <summary>
/// Where a statement's results go; implemented by the wire protocol. All calls come on the session's thread.
/// </summary>
public interface IResultSink
{
    /// <summary>
    /// Before the rows of a statement. In the simple protocol this sends RowDescription; in the extended one the client has asked by Describe, so nothing is sent.
    /// <paramref name="formats"/> gives the wire format of each column (0 text, 1 binary); none is all text, one counts for all.
    /// </summary>
    void BeginRows(RowDescription description, ReadOnlySpan<short> formats);

    /// <summary>One row; the span is valid during the call.</summary>
    void Row(ReadOnlySpan<Datum> values);

    /// <summary>CommandComplete with its tag ("SELECT 1", "INSERT 0 5", "BEGIN"). Called only by <see cref="SqlSession.ExecuteSimple"/>; Execute gives the tag back.</summary>
    void Complete(string tag);

    /// <summary>The query string had no statement. Called only by <see cref="SqlSession.ExecuteSimple"/>.</summary>
    void EmptyQuery();

    /// <summary>COPY TO STDOUT begins: CopyOutResponse with so many columns.</summary>
    void CopyOutBegin(int columns, bool binary);

    /// <summary>One CopyData message (a line with its end in text and csv).</summary>
    void CopyOutData(ReadOnlySpan<byte> data);
    void CopyOutEnd();

    /// <summary>COPY FROM STDIN begins: CopyInResponse is sent and flushed.</summary>
    void CopyInBegin(int columns, bool binary);

    /// <summary>The next CopyData payload; false at CopyDone. The memory is valid until the next call.</summary>
    /// <exception cref="PgException">57014: the client sent CopyFail.</exception>
    bool CopyInRead(out ReadOnlyMemory<byte> chunk);
}

/// <summary>NOTICE, WARNING, INFO ... beside the result.</summary>
public sealed record SqlNotice(string Severity, string SqlState, string Message)
{
    public string? Detail { get; init; }
    public string? Hint { get; init; }
    public int Position { get; init; }
}
