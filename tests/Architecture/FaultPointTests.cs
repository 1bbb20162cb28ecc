using System.Text.RegularExpressions;
using SharedStorage.TestKit;

namespace SharedStorage.Architecture;

/// <summary>The table of fault points says what the code has: no more, no less.</summary>
public sealed partial class FaultPointTests
{
    [Fact]
    public void Each_declared_point_is_in_the_code_and_each_one_in_the_code_is_declared()
    {
        string table = File.ReadAllText(Path.Combine(RepositoryRoot.Path, "shared/Primitives/FaultPoints.cs"));
        string[] declared = [.. Declaration().Matches(table).Select(m => m.Groups[1].Value).Order(StringComparer.Ordinal)];
        var hit = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string folder in new[] { "shared", "writer", "reader" })
        {
            foreach (string file in Directory.GetFiles(Path.Combine(RepositoryRoot.Path, folder), "*.cs", SearchOption.AllDirectories))
            {
                if (!file.Contains("/obj/", StringComparison.Ordinal))
                {
                    hit.UnionWith(Hit().Matches(File.ReadAllText(file)).Select(m => m.Groups[1].Value));
                }
            }
        }

        Assert.NotEmpty(declared);
        Assert.Equal(declared, hit);
    }

    [GeneratedRegex("""\["([a-z0-9.-]+)"\] = """)]
    private static partial Regex Declaration();

    [GeneratedRegex("""FaultPoint\.Hit\("([^"]+)"\)""")]
    private static partial Regex Hit();
}
