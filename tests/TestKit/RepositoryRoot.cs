namespace SharedStorage.TestKit;

/// <summary>Where the checkout lies: the nearest folder above the test assembly that holds the solution.</summary>
public static class RepositoryRoot
{
    public static string Path { get; } = Find();

    private static string Find()
    {
        for (DirectoryInfo? d = new(AppContext.BaseDirectory); d is not null; d = d.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(d.FullName, "SharedStorage.sln")))
            {
                return d.FullName;
            }
        }

        throw new InvalidOperationException("the tests do not run from within a checkout");
    }
}
