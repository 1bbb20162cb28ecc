namespace SharedStorage.Unit.Io;

/// <summary>A folder that goes with the test. Beside the test's binaries, since the system's folder for temporary files may be on tmpfs.</summary>
internal sealed class TempDirectory : IDisposable
{
    private static int _next;

    public TempDirectory()
    {
        Path = System.IO.Path.Combine(AppContext.BaseDirectory, $"tmp-{Environment.ProcessId}-{Interlocked.Increment(ref _next)}");
        Directory.CreateDirectory(Path);
    }

    public string Path { get; }

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
