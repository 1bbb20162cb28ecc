using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

[Flags]
public enum GistPageFlags : ushort
{
    None = 0,
    Leaf = 1,
    Deleted = 2,

    /// <summary>Means nothing: minor versions of PostgreSQL 15 up to some point set it where entries went, later ones do not, and none reads it.</summary>
    TuplesDeleted = 4,

    /// <summary>The page to the right has no downlink yet: scans go there from here.</summary>
    FollowRight = 8,

    /// <summary>A hint: some line pointers are marked dead.</summary>
    HasGarbage = 16,
}

/// <summary>The special space of a GiST page (PostgreSQL's GISTPageOpaqueData, gist.h).</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct GistOpaque
{
    public const int Size = 16;

    [FieldOffset(0)] private uint _nsnHigh;
    [FieldOffset(4)] private uint _nsnLow;
    [FieldOffset(8)] public uint RightLink;
    [FieldOffset(12)] public GistPageFlags Flags;
    [FieldOffset(14)] public ushort PageId;

    /// <summary>The position in the log of the last split of the page whose downlink is complete (its node sequence number).</summary>
    public Lsn Nsn
    {
        readonly get => new(((ulong)_nsnHigh << 32) | _nsnLow);
        set
        {
            _nsnHigh = (uint)(value.Value >> 32);
            _nsnLow = (uint)value.Value;
        }
    }

    public readonly bool IsLeaf => (Flags & GistPageFlags.Leaf) != 0;
    public readonly bool IsDeleted => (Flags & GistPageFlags.Deleted) != 0;
}

/// <summary>Views and constants of GiST pages (PostgreSQL's gist.h and gist_private.h).</summary>
public static class GistPage
{
    public const uint RootBlock = 0;

    /// <summary>The last two bytes of each page.</summary>
    public const ushort PageId = 0xFF81;

    public static bool IsGist(Page page) => page.Header.Special == Page.Size - GistOpaque.Size && Special(page).PageId == PageId;

    /// <exception cref="StorageException">The special space is not a GiST page's.</exception>
    public static ref GistOpaque Opaque(Page page)
    {
        ref GistOpaque opaque = ref Special(page);
        if (!IsGist(page))
        {
            throw new StorageException($"not a GiST page: its special space begins at {page.Header.Special}, its page id is {opaque.PageId:X4}")
            {
                SqlState = SqlStates.IndexCorrupted,
            };
        }

        return ref opaque;
    }

    public static void Initialize(Page page, GistPageFlags flags)
    {
        page.Initialize(GistOpaque.Size);
        ref GistOpaque opaque = ref Special(page);
        opaque.RightLink = BlockNumber.Invalid.Value;
        opaque.Flags = flags;
        opaque.PageId = PageId;
    }

    /// <summary>Makes an empty page a deleted one, which may be used anew once no scan is older than <paramref name="deleteXid"/> (GistPageSetDeleted).</summary>
    /// <exception cref="StorageException">The page has entries.</exception>
    public static void SetDeleted(Page page, FullXid deleteXid)
    {
        ref GistOpaque opaque = ref Opaque(page);
        if (!page.IsEmpty)
        {
            throw new StorageException($"a GiST page with {page.ItemCount} entries is to be deleted") { SqlState = SqlStates.IndexCorrupted };
        }

        opaque.Flags |= GistPageFlags.Deleted;
        page.Header.Lower = PageHeader.Size + sizeof(ulong);
        MemoryMarshal.Write(page.Bytes[PageHeader.Size..], deleteXid.Value);
    }

    private static ref GistOpaque Special(Page page) => ref Unsafe.As<byte, GistOpaque>(ref page.Bytes[Page.Size - GistOpaque.Size]);
}
