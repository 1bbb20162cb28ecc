using System.Collections.Concurrent;
using SharedStorage.Buffers.LogIndex;
using SharedStorage.Primitives;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Buffers;

/// <summary>
/// After recovery or promotion, a page with many changes to redo. Alone it would read the log at random, a record at a time; where to read the log through once is cheaper, the pages of its fork
/// that have many are brought forward with it, and the pin waits for that. The first query after a crash then takes one more pass over the log at most, not one read for each change of a hot page.
/// </summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>A page with fewer entries is loaded alone.</summary>
    private const int ManyToRedo = 64;

    /// <summary>One record that is read alone takes about as long as so many bytes in sequence.</summary>
    private const long BytesOfOneRead = 64 << 10;

    private readonly Lock _together = new();
    private readonly ConcurrentDictionary<(RelFileNode Rel, ForkNumber Fork), bool> _alone = new();

    /// <summary>True: the page has no entries any more, and is to be looked for again.</summary>
    private bool BroughtTogether(in BufferTag tag, int hash)
    {
        if (!_writing || _index.PageCount == 0 || _options.Records is not IWalStretches || _alone.ContainsKey((tag.Rel, tag.Fork)) || CountToRedo(tag, hash) < ManyToRedo)
        {
            return false;
        }

        // One pass at a time: whoever waits may find his page done.
        lock (_together)
        {
            if (!_index.Contains(tag, hash))
            {
                return true;
            }

            List<PendingPage> pages = PagesWithMany(tag);
            if (pages.Sum(static p => (long)p.Entries) * BytesOfOneRead < (long)(Log.Inserted - _index.CutPoint))
            {
                // Entries only become fewer.
                _alone.TryAdd((tag.Rel, tag.Fork), true);
                return false;
            }

            try
            {
                BringForward(pages, CancellationToken.None);
            }
            catch (StorageException)
            {
                // It may be another page's: each page's own load tells.
                _alone.TryAdd((tag.Rel, tag.Fork), true);
            }

            return !_index.Contains(tag, hash);
        }
    }

    private int CountToRedo(in BufferTag tag, int hash)
    {
        EntryList entries = Entries;
        return _index.TryCollect(tag, hash, _index.CutPoint, Lsn.Max, entries) ? entries.Count - Math.Max(0, entries.LastInitializing()) : 0;
    }

    /// <summary>From the page on, as scans go, and round again; no more than an eighth of the pool, so that a pass beside a checkpoint's leaves frames to sessions.</summary>
    private List<PendingPage> PagesWithMany(BufferTag first)
    {
        List<PendingPage> pages = EachOnce([.. _index.Pages().Where(p => p.Tag.Rel == first.Rel && p.Tag.Fork == first.Fork)]);
        return
        [
            .. pages.Where(p => p.Entries >= ManyToRedo && p.Tag.Block.Value < BlockCount(p.Tag.Rel, p.Tag.Fork))
                .OrderBy(p => p.Tag.Block.Value - first.Block.Value)
                .Take(Math.Max(1, _frames.Length / 8)),
        ];
    }
}
