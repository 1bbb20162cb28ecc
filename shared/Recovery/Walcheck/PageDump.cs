using System.Globalization;
using SharedStorage.Primitives;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>Writes pages that differ to files, unmasked, for looking at them with other tools.</summary>
internal sealed class PageDump(string? folder)
{
    private string? _folder = folder;

    /// <exception cref="StorageException">The folder cannot be written.</exception>
    public string Write(string name, string suffix, ReadOnlySpan<byte> page)
    {
        try
        {
            _folder ??= Directory.CreateTempSubdirectory("walcheck-").FullName;
            Directory.CreateDirectory(_folder);
            string path = Path.Combine(_folder, name + suffix);
            File.WriteAllBytes(path, page);
            return path;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"a differing page cannot be written out: {e.Message}") { SqlState = SqlStates.IoError };
        }
    }

    public static string NameOf(Lsn lsn, in BufferTag tag) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(lsn.IsValid ? lsn.Value.ToString("X16", CultureInfo.InvariantCulture) : "end")}_{tag.Rel.Tablespace.Value}_{tag.Rel.Database.Value}_{tag.Rel.Relation.Value}_{tag.Fork}_{tag.Block.Value}");
}
