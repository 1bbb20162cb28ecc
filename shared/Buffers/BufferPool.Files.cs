using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>After recovery or promotion: files are made to show what the log did to them as a whole.</summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>
    /// Cuts each file to where the log cut it, and makes those that a crash lost. After the switch, once no leased reader may still need the old contents (R1, R13). What is extended before
    /// that is cut by itself. Durable with the next <see cref="SyncWritten"/>.
    /// </summary>
    public void CutFiles()
    {
        Invariant.Check(_writing, "I4", "a node that applies was asked to cut files");
        foreach (ForkInfo info in _forks.Emptied())
        {
            lock (info.Extension)
            {
                CutFile(info);
            }
        }
    }

    /// <summary>Under the extension lock.</summary>
    private void CutFile(ForkInfo info)
    {
        if (!info.IsEmptied)
        {
            return;
        }

        bool exists = _files.Exists(info.Rel, info.Fork);
        bool dropped = _forks.Get(info.Rel, ForkNumber.Main).Dropped.IsValid;
        if (!exists && info.MadeByLog && !dropped)
        {
            _files.Create(info.Rel, info.Fork, mayExist: true);
        }

        if (exists)
        {
            uint disk = _files.BlockCount(info.Rel, info.Fork);
            if (disk > info.Blocks)
            {
                _files.Truncate(info.Rel, info.Fork, info.Blocks);
            }

            info.DiskBlocks = Math.Min(disk, info.Blocks);

            // Blocks that the fork lost and has again: whatever the file has there is written over. No latch: the caller may hold one, and only the mark is set.
            for (uint block = info.FirstVoid; block < info.DiskBlocks; block++)
            {
                using PinnedPage page = PinAlone(new BufferTag(info.Rel, info.Fork, new BlockNumber(block)));
                page.Frame.NoteDirty(_index.CutPoint);
            }
        }

        info.ForgetEmptyings();
    }
}
