using System.Globalization;

namespace SharedStorage.TestKit;

/// <summary>
/// A small ext4 filesystem in a file, mounted over a directory of a test, so that a disk can be full. Needs root and loop devices; <see cref="IsPossible"/> tells. It goes with
/// <see cref="Dispose"/>, and what was on it too.
/// </summary>
public sealed class LoopDisk : IDisposable
{
    private static readonly Lazy<bool> Possible = new(TryOne);
    private readonly string _image;
    private readonly string _directory;

    private LoopDisk(string image, string directory)
    {
        (_image, _directory) = (image, directory);
        BallastPath = Path.Combine(directory, "ballast");
    }

    public static bool IsPossible => Possible.Value;

    public string BallastPath { get; }

    /// <summary>Mounts a disk over a directory, whose content is on it then.</summary>
    /// <param name="directory">It is there, and nobody uses it.</param>
    /// <param name="megabytes">The size of the disk.</param>
    public static LoopDisk MountOver(string directory, int megabytes)
    {
        string image = directory.TrimEnd('/') + ".image";
        string size = string.Create(CultureInfo.InvariantCulture, $"{megabytes}M");
        Root("truncate", "-s", size, image);

        // No blocks set aside for root, no journal to speak of, and the inodes of many small files.
        Root("mkfs.ext4", "-q", "-m", "0", "-J", "size=4", "-i", "8192", image);
        string aside = directory.TrimEnd('/') + ".aside";
        Root("mv", directory, aside);
        Root("mkdir", directory);
        Root("mount", "-o", "loop", image, directory);
        var disk = new LoopDisk(image, directory);
        try
        {
            Root("rmdir", Path.Combine(directory, "lost+found"));
            Root("cp", "-a", aside + "/.", directory);
            Root("rm", "-rf", aside);
            return disk;
        }
        catch
        {
            disk.Dispose();
            throw;
        }
    }

    /// <summary>Fills the disk up to the last block, or to what is to be left of it.</summary>
    public void Fill(long leave = 0)
    {
        using var ballast = new FileStream(BallastPath, FileMode.Append, FileAccess.Write);
        byte[] zeros = new byte[1 << 16];
        int piece = zeros.Length;
        while (piece >= 4096)
        {
            if (new DriveInfo(_directory).TotalFreeSpace - leave < piece)
            {
                piece /= 2;
                continue;
            }

            try
            {
                ballast.Write(zeros, 0, piece);
                ballast.Flush(flushToDisk: true);
            }
            catch (IOException)
            {
                // Full, which is what was wanted.
                piece /= 2;
            }
        }
    }

    /// <summary>There is room again.</summary>
    public void Free() => File.Delete(BallastPath);

    public void Dispose()
    {
        // Lazily where a node of a failed test still runs there: the disk goes with its last user.
        if (StockPostgres.TryRun("umount", [_directory], asCaller: true).ExitCode != 0)
        {
            Root("umount", "-l", _directory);
        }

        File.Delete(_image);
    }

    private static bool TryOne()
    {
        if (!Environment.IsPrivilegedProcess || !StockPostgres.IsInstalled)
        {
            return false;
        }

        string root = StockPostgres.NewRoot();
        string directory = Path.Combine(root, "disk");
        string image = Path.Combine(root, "image");
        try
        {
            Directory.CreateDirectory(directory);
            bool mounted = StockPostgres.TryRun("truncate", ["-s", "8M", image], asCaller: true).ExitCode == 0
                && StockPostgres.TryRun("mkfs.ext4", ["-q", image], asCaller: true).ExitCode == 0
                && StockPostgres.TryRun("mount", ["-o", "loop", image, directory], asCaller: true).ExitCode == 0;
            return mounted && StockPostgres.TryRun("umount", [directory], asCaller: true).ExitCode == 0;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static void Root(string command, params string[] arguments) => StockPostgres.Run(command, arguments, asCaller: true);
}
