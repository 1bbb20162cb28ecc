using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

[Flags]
public enum SpgistPageFlags : ushort
{
    None = 0,
    Meta = 1,
    Deleted = 2,
    Leaf = 4,
    Nulls = 8,
}

/// <summary>The special space of an SP-GiST page (PostgreSQL's SpGistPageOpaqueData, spgist_private.h).</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct SpgistOpaque
{
    public const int Size = 8;

    [FieldOffset(0)] public SpgistPageFlags Flags;
    [FieldOffset(2)] public ushort Redirections;
    [FieldOffset(4)] public ushort Placeholders;
    [FieldOffset(6)] public ushort PageId;

    public readonly bool IsMeta => (Flags & SpgistPageFlags.Meta) != 0;
}

/// <summary>Views and constants of SP-GiST pages (PostgreSQL's spgist_private.h).</summary>
public static class SpgistPage
{
    /// <summary>The last two bytes of each page.</summary>
    public const ushort PageId = 0xFF82;

    /// <summary>After the metapage's magic number: the pages used last, a cache.</summary>
    public const int LastUsedPagesAt = PageHeader.Size + sizeof(uint);

    /// <summary>Eight pairs of block number and free space.</summary>
    public const int LastUsedPagesSize = 64;

    public static bool IsSpgist(Page page) => page.Header.Special == Page.Size - SpgistOpaque.Size && Special(page).PageId == PageId;

    /// <exception cref="StorageException">The special space is not an SP-GiST page's.</exception>
    public static ref SpgistOpaque Opaque(Page page)
    {
        ref SpgistOpaque opaque = ref Special(page);
        if (!IsSpgist(page))
        {
            throw new StorageException($"not an SP-GiST page: its special space begins at {page.Header.Special}, its page id is {opaque.PageId:X4}")
            {
                SqlState = SqlStates.IndexCorrupted,
            };
        }

        return ref opaque;
    }

    public static void Initialize(Page page, SpgistPageFlags flags)
    {
        page.Initialize(SpgistOpaque.Size);
        ref SpgistOpaque opaque = ref Special(page);
        opaque.Flags = flags;
        opaque.PageId = PageId;
    }

    private static ref SpgistOpaque Special(Page page) => ref Unsafe.As<byte, SpgistOpaque>(ref page.Bytes[Page.Size - SpgistOpaque.Size]);
}
