using System.Xml.Linq;
using SharedStorage.TestKit;

namespace SharedStorage.Architecture;

/// <summary>The layout of the sources: which project may use which, and that each folder says what it is for.</summary>
public sealed class LayoutTests
{
    private static readonly string[] Order =
    [
        "Primitives", "Format", "Io", "Wal", "Buffers", "Transactions", "Access", "Recovery",
    ];

    private static readonly Dictionary<string, string[]> MayUse = BuildRules();

    public static TheoryData<string> Folders
    {
        get
        {
            var data = new TheoryData<string>();
            foreach (string d in Directory.GetDirectories(Path.Combine(RepositoryRoot.Path, "shared")))
            {
                data.Add("shared/" + Path.GetFileName(d));
            }

            foreach (string d in new[] { "writer", "reader", "shared", "protos", "tests", "scripts" })
            {
                data.Add(d);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Each_folder_has_a_README(string folder) =>
        Assert.True(File.Exists(Path.Combine(RepositoryRoot.Path, folder, "README.md")), $"{folder}/README.md is missing");

    [Fact]
    public void Projects_depend_downward_only()
    {
        foreach ((string project, string file) in Projects())
        {
            IEnumerable<string> uses = XDocument.Load(file).Descendants("ProjectReference")
                .Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value.Replace('\\', '/')));
            foreach (string used in uses)
            {
                Assert.True(MayUse[project].Contains(used), $"{project} uses {used}");
            }
        }
    }

    private static IEnumerable<(string, string)> Projects()
    {
        foreach (string dir in new[] { "shared", "writer", "reader" })
        {
            foreach (string file in Directory.GetFiles(Path.Combine(RepositoryRoot.Path, dir), "*.csproj", SearchOption.AllDirectories))
            {
                yield return (Path.GetFileNameWithoutExtension(file), file);
            }
        }
    }

    private static Dictionary<string, string[]> BuildRules()
    {
        var rules = new Dictionary<string, string[]>(StringComparer.Ordinal);
        for (int i = 0; i < Order.Length; i++)
        {
            rules[Order[i]] = Order[..i];
        }

        string[] access = Order[..7];
        rules["Catalog"] = access;
        rules["Sql"] = [.. access, "Catalog"];
        rules["PgWire"] = [.. access, "Catalog", "Sql"];
        rules["Control"] = ["Primitives"];
        rules["Hosting"] = [.. Order, "Catalog", "Sql", "PgWire", "Control"];
        rules["Tools"] = [.. rules["Hosting"], "Hosting"];
        rules["Writer"] = rules["Tools"];
        rules["Reader"] = [.. rules["Tools"], "Writer"];
        return rules;
    }
}
