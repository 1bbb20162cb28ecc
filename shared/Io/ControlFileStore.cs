using SharedStorage.Format.Control;
using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>
/// <c>global/pg_control</c> on disk: read past the cache, written in place by one aligned write and synced (I11). Only the writer writes it.
/// </summary>
public sealed class ControlFileStore(string dataDirectory)
{
    private readonly string _path = Path.Combine(dataDirectory, ControlFile.FileName);

    /// <summary>Asked before each write: the writer's lease (I8).</summary>
    public Func<bool> MayWrite { get; init; } = static () => true;

    /// <exception cref="StorageException">Missing, short or damaged.</exception>
    /// <exception cref="PgException">55000: another version.</exception>
    public ControlFile Read()
    {
        using DirectFile file = DirectFile.Open(_path, BlockFileMode.Read);
        using var buffer = new AlignedBuffer(ControlFile.FileSize);

        // Beside a writer's update the sector may be met half way on some cluster filesystems: a second look tells.
        for (int attempt = 1; ; attempt++)
        {
            int length = file.Read(0, buffer.Span);
            try
            {
                return ControlFile.Read(buffer.Span[..length]);
            }
            catch (StorageException) when (attempt < 5)
            {
                Thread.Sleep(1 << attempt);
            }
        }
    }

    /// <summary>What is there, damaged or not, for tools that show it.</summary>
    public ControlFile ReadUnchecked(out bool checksumHolds)
    {
        using DirectFile file = DirectFile.Open(_path, BlockFileMode.Read);
        using var buffer = new AlignedBuffer(ControlFile.FileSize);
        int length = file.Read(0, buffer.Span);
        return ControlFile.ReadUnchecked(buffer.Span[..length], out checksumHolds);
    }

    /// <summary>Whether the file has this content, byte for byte.</summary>
    public bool Holds(ControlFile content)
    {
        using DirectFile file = DirectFile.Open(_path, BlockFileMode.Read);
        using var there = new AlignedBuffer(ControlFile.FileSize);
        using var wanted = new AlignedBuffer(ControlFile.FileSize);
        int length = file.Read(0, there.Span);
        content.Write(wanted.Span);
        return there.Span[..length].SequenceEqual(wanted.Span[..ControlFile.FileSize]);
    }

    /// <exception cref="StorageException">The write failed, or the lease is not held: the node must stop.</exception>
    public void Write(ref ControlFile content)
    {
        if (!MayWrite())
        {
            throw new StorageException($"\"{_path}\" may not be written: the writer's lease is not held");
        }

        using DirectFile file = DirectFile.Open(_path, BlockFileMode.Write);
        using var buffer = new AlignedBuffer(ControlFile.FileSize);
        content.Write(buffer.Span);
        file.Write(0, buffer.Span[..ControlFile.FileSize]);
        file.DataSync();
    }
}
