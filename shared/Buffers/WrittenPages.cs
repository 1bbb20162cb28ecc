using System.Collections.Concurrent;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// What this writer has written while a former writer may still do so (R13): each block's LSN and checksum, so that a block that storage gives back as another one is told from
/// its own. A write that the former writer began may land late, over a newer one.
/// </summary>
/// <param name="since">Where this writer's log begins: only its own pages have later LSNs.</param>
internal sealed class WrittenPages(Lsn since)
{
    private readonly ConcurrentDictionary<BufferTag, Mark> _marks = new();

    private readonly record struct Mark(Lsn Lsn, ushort Checksum);

    public Lsn Since => since;

    public ICollection<BufferTag> Tags => _marks.Keys;

    /// <summary>Before the write, by whoever holds the block's write token.</summary>
    public void Note(in BufferTag tag, Page page) => _marks[tag] = Of(page);

    /// <summary>The block is cut off, or its relation dropped: what comes there next is another page.</summary>
    public void Forget(RelFileNode rel, ForkNumber? fork, uint firstBlock)
    {
        foreach (BufferTag tag in _marks.Keys)
        {
            if (tag.Rel == rel && (fork is null || tag.Fork == fork) && tag.Block.Value >= firstBlock)
            {
                _marks.TryRemove(tag, out _);
            }
        }
    }

    /// <summary>Whether the sound page that storage gives may be what was last written there.</summary>
    public bool IsOwn(in BufferTag tag, Page page) => _marks.TryGetValue(tag, out Mark written) ? written == Of(page) : page.Lsn <= since;

    private static Mark Of(Page page) => new(page.Lsn, page.IsNew ? (ushort)0 : PageChecksum.Stored(page.Bytes));
}
