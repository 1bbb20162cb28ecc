using System.Globalization;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Writer.Fencing;

/// <summary>
/// The epochs of the cluster (I9): one file <c>cluster/epoch.N</c> each, claimed by exclusive create, which every cluster filesystem gives to one host only. Files are
/// never removed but for those far below the highest.
/// </summary>
public sealed class Epochs(string dataDirectory)
{
    private const string Prefix = "epoch.";

    private string Folder => Path.Combine(dataDirectory, "cluster");

    /// <summary>The highest epoch claimed so far; 0 when none is.</summary>
    public ulong Highest()
    {
        if (!Directory.Exists(Folder))
        {
            return 0;
        }

        ulong highest = 0;
        foreach (string file in Directory.EnumerateFiles(Folder, Prefix + "*"))
        {
            if (ulong.TryParse(Path.GetFileName(file).AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out ulong epoch))
            {
                highest = Math.Max(highest, epoch);
            }
        }

        return highest;
    }

    /// <summary>
    /// Claims the epoch after one that was the highest when the former writer was found dead, silent or fenced. So a node that has claimed since makes this fail: what was found
    /// does not speak of it.
    /// </summary>
    /// <exception cref="PgException">Another node has claimed it: only one of them goes on.</exception>
    public ulong Claim(string node, ulong after)
    {
        Directory.CreateDirectory(Folder);
        ulong epoch = after + 1;
        byte[] content = System.Text.Encoding.UTF8.GetBytes(node + "\n");
        if (Highest() > after || !DurableFile.TryCreateNew(PathOf(epoch), content))
        {
            throw new PgException(SqlStates.ObjectInUse, $"epoch {epoch} was claimed by another node meanwhile");
        }

        foreach (string file in Directory.EnumerateFiles(Folder, Prefix + "*"))
        {
            if (ulong.TryParse(Path.GetFileName(file).AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out ulong old) && old + 8 < epoch)
            {
                DurableFile.Remove(file);
            }
        }

        return epoch;
    }

    private string PathOf(ulong epoch) => Path.Combine(Folder, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{epoch}"));
}
