using System.Buffers.Binary;
using SharedStorage.Access.Brin.Redo;
using SharedStorage.Access.Btree.Redo;
using SharedStorage.Access.Gin.Redo;
using SharedStorage.Access.Gist.Redo;
using SharedStorage.Access.Hash.Redo;
using SharedStorage.Access.Spgist.Redo;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Wal;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>What a page is, as far as masking goes.</summary>
public enum PageKind
{
    Other,
    Heap,
    Btree,
    Hash,
    Gin,
    Gist,

    /// <summary>The left half of a split, in the record that completes it.</summary>
    GistLeftChild,
    Spgist,
    Brin,
    Sequence,
    VisibilityMap,
}

/// <summary>
/// Blanks what may rightly differ between a page that PostgreSQL changed and the one that redo makes: LSN and checksum, hints, command numbers, bytes that nothing owns
/// (PostgreSQL's rm_mask routines). Narrower than those where redo is exact: the all-visible flag, and of a row's infomask everything but the four hint bits and the
/// combo flag, are compared.
/// </summary>
public static class PageMask
{
    private const uint SequenceMagic = 0x1717;
    private const int SequenceSpecial = 8;
    private const int BtreeSpecial = 16;

    /// <summary>GiST, SP-GiST, hash and bloom pages end with a number from here on; btree's, whose special space is like GiST's and hash's, do not.</summary>
    private const ushort FirstPageId = 0xFF80;

    /// <summary>The item number of a speculative row's ctid, which holds a token that is not logged (SpecTokenOffsetNumber).</summary>
    private const ushort SpeculativeItem = 0xFFFE;

    private const HeapInfoMask XminHints = HeapInfoMask.XminCommitted | HeapInfoMask.XminInvalid;
    private const HeapInfoMask OtherHints = HeapInfoMask.XmaxCommitted | HeapInfoMask.XmaxInvalid | HeapInfoMask.ComboCid;

    /// <summary>The kind by the record that carries the page's image.</summary>
    public static PageKind KindOf(WalRecord record, int blockId)
    {
        if (record.Rmgr == Rmgr.Gist)
        {
            return GistRedo.IsLeftChild(record, blockId) ? PageKind.GistLeftChild : PageKind.Gist;
        }

        return KindOf(record.Rmgr, record.Block(blockId).Tag);
    }

    private static PageKind KindOf(Rmgr rmgr, in BufferTag tag) => tag.Fork == ForkNumber.VisibilityMap ? PageKind.VisibilityMap : rmgr switch
    {
        Rmgr.Heap or Rmgr.Heap2 => PageKind.Heap,
        Rmgr.Btree => PageKind.Btree,
        Rmgr.Hash => PageKind.Hash,
        Rmgr.Gin => PageKind.Gin,
        Rmgr.Spgist => PageKind.Spgist,
        Rmgr.Brin => PageKind.Brin,
        Rmgr.Sequence => PageKind.Sequence,
        _ => PageKind.Other,
    };

    /// <summary>The kind by the page itself: what its special space looks like.</summary>
    public static PageKind KindOf(in BufferTag tag, Page page)
    {
        if (tag.Fork == ForkNumber.VisibilityMap)
        {
            return PageKind.VisibilityMap;
        }

        if (page.IsNew || !page.HasSaneHeader)
        {
            return PageKind.Other;
        }

        return (Page.Size - page.Header.Special) switch
        {
            0 => PageKind.Heap,
            SequenceSpecial when tag.Block.Value == 0 && BinaryPrimitives.ReadUInt32LittleEndian(page.SpecialSpace) == SequenceMagic => PageKind.Sequence,
            BtreeSpecial when BinaryPrimitives.ReadUInt16LittleEndian(page.Bytes[^2..]) < FirstPageId => PageKind.Btree,
            BtreeSpecial when HashPage.IsHash(page) => PageKind.Hash,
            GinOpaque.Size when GinPage.IsGin(page) => PageKind.Gin,
            GistOpaque.Size when GistPage.IsGist(page) => PageKind.Gist,
            SpgistOpaque.Size when SpgistPage.IsSpgist(page) => PageKind.Spgist,
            BrinPage.SpecialSize when BrinPage.IsBrin(page) => PageKind.Brin,
            _ => PageKind.Other,
        };
    }

    public static void Apply(PageKind kind, BlockNumber block, Page page)
    {
        page.Lsn = default;
        page.Header.Checksum = 0;
        if (page.IsNew || !page.HasSaneHeader)
        {
            return;
        }

        switch (kind)
        {
            case PageKind.VisibilityMap:
                // All of it counts.
                return;
            case PageKind.Btree:
                BtreeMask.Apply(page);
                return;
            case PageKind.Hash when HashPage.IsHash(page):
                HashMask.Apply(page);
                return;
            case PageKind.Gin when GinPage.IsGin(page):
                GinMask.Apply(page);
                return;
            case PageKind.Gist or PageKind.GistLeftChild when GistPage.IsGist(page):
                GistMask.Apply(page, kind == PageKind.GistLeftChild);
                return;
            case PageKind.Spgist when SpgistPage.IsSpgist(page):
                SpgistMask.Apply(page);
                return;
            case PageKind.Brin when BrinPage.IsBrin(page):
                BrinMask.Apply(page);
                return;
            case PageKind.Heap:
                page.Header.Flags &= PageFlags.AllVisible;
                page.Header.PruneXid = 0;
                MaskRows(page, block);
                break;
            default:
                break;
        }

        page.Bytes[page.Header.Lower..page.Header.Upper].Clear();
    }

    /// <summary>
    /// Blanks a sequence's counters: each 32nd value is logged, ahead of its use, so the file has the value in use and redo the one that was logged.
    /// </summary>
    public static void MaskSequenceCounters(Page page)
    {
        for (int item = 1; item <= page.ItemCount; item++)
        {
            Span<byte> row = page.ItemBytes(item);
            row[HeapTupleCodec.Header(row).HeaderLength..].Clear();
        }
    }

    private static void MaskRows(Page page, BlockNumber block)
    {
        for (int item = 1; item <= page.ItemCount; item++)
        {
            ItemId id = page.Item(item);
            if (id.Offset + Page.AlignUp(id.Length) > Page.Size)
            {
                // Damaged: what is wrong with it shows in the comparison.
                continue;
            }

            if (id.IsNormal && id.Length >= HeapTupleHeader.Size)
            {
                ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.ItemBytes(item));
                row.InfoMask &= ~(row.XminFrozen ? OtherHints : OtherHints | XminHints);
                row.RawCommandId = 0;
                if (row.Ctid.Offset == SpeculativeItem)
                {
                    row.Ctid = new Tid(block, (ushort)item);
                }
            }

            if (id.HasStorage)
            {
                page.Bytes.Slice(id.Offset + id.Length, Page.AlignUp(id.Length) - id.Length).Clear();
            }
        }
    }
}
