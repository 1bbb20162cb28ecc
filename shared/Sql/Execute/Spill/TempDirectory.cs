using Microsoft.Win32.SafeHandles;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>
/// Where a node keeps what does not fit into work_mem: in its own local directory, never in the shared one (I4). The names are those of PostgreSQL's fd.c. Nothing in it
/// outlives the node: what a killed one left is removed at the next start.
/// </summary>
public class TempDirectory
{
    private long _last;

    protected TempDirectory(string path) => DirectoryPath = path;

    public string DirectoryPath { get; }

    /// <summary>How many files were made so far.</summary>
    public long Created => Interlocked.Read(ref _last);

    /// <summary>Makes the directory, or empties it.</summary>
    /// <exception cref="StorageException">The local directory cannot be written.</exception>
    public static TempDirectory Open(string path)
    {
        var directory = new TempDirectory(path);
        directory.Clear();
        return directory;
    }

    protected void Clear()
    {
        try
        {
            System.IO.Directory.CreateDirectory(DirectoryPath);
            foreach (string left in System.IO.Directory.EnumerateFiles(DirectoryPath, "pgsql_tmp*"))
            {
                File.Delete(left);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"could not prepare the directory for temporary files \"{DirectoryPath}\": {e.Message}") { SqlState = SqlStates.IoError };
        }
    }

    /// <summary>The path of a file that there was not before.</summary>
    internal string NewPath(int processId) =>
        Path.Combine(DirectoryPath, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"pgsql_tmp{processId}.{Interlocked.Increment(ref _last) - 1}"));

    /// <summary>Writes at a place in a file; tests make it fail.</summary>
    internal virtual void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, long at) => RandomAccess.Write(file, bytes, at);
}
