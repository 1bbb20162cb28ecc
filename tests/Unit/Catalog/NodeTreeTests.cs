using SharedStorage.Catalog;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
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

    [SkippableFact]
    public void Expressions_built_here_are_those_that_PostgreSQL_stored()
    {
        CatalogView view = stock.View();
        Oid parent = view.ResolveRelation(null, "parent", [new Oid(PgOids.PublicNamespace)]).Oid;
        Oid numeric = new(PgTypes.Numeric), int4 = new(PgTypes.Int4), zero = Oid.Invalid;
        PgConstraint check = view.GetConstraints(parent).Single(c => c.ConType == 'c');
        NodeTree built = NodeBuilder.Operator(
            new Oid(1756),
            new Oid(1720),
            new Oid(PgTypes.Bool),
            zero,
            zero,
            NodeBuilder.Var(1, 3, numeric, (int)((NodeTree)((NodeTree)NodeReader.Read(check.ConBin!)).List("args")[0]).Int("vartypmod"), zero),
            NodeBuilder.Function(
                new Oid(1740), numeric, zero, zero, NodeBuilder.ImplicitCast, false, false,
                NodeBuilder.Const(int4, -1, zero, 4, true, NodeConstants.Encode(Datum.FromInt32(0), 4, true))));
        Assert.Equal(WithoutLocations(check.ConBin!), WithoutLocations(built.ToString()));
        Assert.Equal(0, NodeConstants.Decode((NodeTree)((NodeTree)built.List("args")[1]).List("args")[0]).Int32);
    }

    [Fact]
    public void Constants_come_back()
    {
        foreach ((Datum value, short length, bool byValue) in new (Datum, short, bool)[]
        {
            (Datum.FromInt32(-7), 4, true), (Datum.FromBool(true), 1, true), (Datum.FromInt64(long.MinValue), 8, true), (Datum.FromText("forty two"), -1, false),
        })
        {
            NodeTree node = NodeBuilder.Const(new Oid(PgTypes.Int4), -1, Oid.Invalid, length, byValue, NodeConstants.Encode(value, length, byValue));
            Datum back = NodeConstants.Decode((NodeTree)NodeReader.Read(node.ToString()));
            Assert.True(byValue ? back.Bits == value.Bits : back.AsText() == value.AsText());
        }
    }

    private static string WithoutLocations(string tree) =>
        System.Text.RegularExpressions.Regex.Replace(tree, ":location -?[0-9]+", ":location -1");

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
