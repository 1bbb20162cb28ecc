using SharedStorage.Primitives;
using SharedStorage.Sql.Parse;
using Xunit;

namespace SharedStorage.Unit.Sql;

public sealed class SqlParserTests
{
    [Fact]
    public void A_string_of_two_statements_gives_two()
    {
        IReadOnlyList<RawStatement> statements = SqlParser.Parse("select 1; select 'ä', 2 ;");
        Assert.Equal(2, statements.Count);
        Assert.Equal("select 'ä', 2", statements[1].Text);
    }

    [Fact]
    public void A_syntax_error_tells_the_position_in_characters()
    {
        PgException e = Assert.Throws<PgException>(() => SqlParser.Parse("select 'äöü' frm t x"));
        Assert.Equal(SqlStates.SyntaxError, e.SqlState);
        Assert.Equal("syntax error at or near \"t\"", e.Message);
        Assert.Equal(18, e.Position);
    }

    [Theory]
    [InlineData("(", "1", ")")]
    [InlineData("", "1", "+1")]
    [InlineData("not ", "true", "")]
    [InlineData("- ", "1", "")]
    [InlineData("case when ", "true", " then true end")]
    [InlineData("array[", "1", "]")]
    public void Deep_nesting_is_refused_and_the_process_lives(string open, string middle, string close)
    {
        var sql = new System.Text.StringBuilder("select ");
        for (int i = 0; i < 100_000; i++)
        {
            sql.Append(open);
        }

        sql.Append(middle);
        for (int i = 0; i < 100_000; i++)
        {
            sql.Append(close);
        }

        PgException e = Assert.Throws<PgException>(() => SqlParser.Parse(sql.ToString()));
        Assert.Equal(SqlStates.StatementTooComplex, e.SqlState);
    }

    [Theory]
    [InlineData("", "1", "+1", 2900)]
    [InlineData("not ", "true", "", 2900)]
    [InlineData("", "true", " or true", 50_000)]
    [InlineData("", "1", ", 1", 50_000)]
    public void Long_statements_are_parsed(string open, string middle, string close, int times)
    {
        string sql = "select " + string.Concat(Enumerable.Repeat(open, times)) + middle + string.Concat(Enumerable.Repeat(close, times));
        Assert.Single(SqlParser.Parse(sql));
    }

    [Fact]
    public void Parentheses_within_a_literal_do_not_count() =>
        Assert.Single(SqlParser.Parse("select '" + new string('(', 30_000) + "'"));
}
