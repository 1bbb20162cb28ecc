using SharedStorage.Catalog;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Catalog;

public sealed class NodeTreeTests(StockCatalogFixture stock) : IClassFixture<StockCatalogFixture>
{
    [SkippableFact]
    public void Every_expression_that_PostgreSQL_stored_is_read_and_written_again_unchanged()
    {
        CatalogView view = stock.View();
        List<string> trees =
        [
            .. view.Scan(SystemCatalogs.Rewrite).SelectMany(r => new[] { r.EvAction, r.EvQual }),
            .. view.Scan(SystemCatalogs.AttrDef).Select(d => d.AdBin),
            .. view.Scan(SystemCatalogs.Constraint).Select(c => c.ConBin).OfType<string>(),
            .. view.Scan(SystemCatalogs.Index).SelectMany(i => new[] { i.IndExprs, i.IndPred }).OfType<string>(),
            .. view.Scan(SystemCatalogs.Proc).SelectMany(p => new[] { p.ProArgDefaults, p.ProSqlBody }).OfType<string>(),
        ];
        Assert.True(trees.Count > 200);
        Assert.All(trees, t => Assert.Equal(t, NodeReader.Read(t).ToString()));
    }

    [Fact]
    public void Words_with_special_characters_come_back()
    {
        foreach (string word in new[] { "a b", "(x)", "<>", "\"q\"", "1st", "-5", "back\\slash", "{n}", "", "plain" })
        {
            string text = NodeToken.FromText(word).ToString();
            var tree = (NodeTree)NodeReader.Read($"{{ALIAS :aliasname {text} :colnames (\"a\\ b\" \"c\")}}");
            Assert.Equal(word, tree.Text("aliasname"));
            Assert.Equal("a b", ((NodeToken)tree.List("colnames")[0]).Text);
        }
    }

    [Theory]
    [InlineData("{CONST :consttype 23")]
    [InlineData("{CONST consttype 23}")]
    [InlineData("")]
    [InlineData("{A :b 1} {C :d 2}")]
    public void Damaged_text_is_refused(string text) => Assert.Throws<StorageException>(() => NodeReader.Read(text));
}
