using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Gin.Redo;

/// <summary>
/// Redo of a change to a leaf of a posting tree: the record says what becomes of which compressed segments, the page has them. The page's data is built anew beside it, so that no
/// segment is overwritten before it is read.
/// </summary>
internal static class GinRecompressRedo
{
    private const GinPageFlags LeafFlags = GinPageFlags.Data | GinPageFlags.Leaf;

    /// <exception cref="StorageException">The page is not such a leaf, or the actions do not fit its segments.</exception>
    public static void Apply(Page page, ReadOnlySpan<byte> data)
    {
        if ((GinPage.Opaque(page).Flags & LeafFlags) != LeafFlags)
        {
            throw GinPage.Damaged("segments of a page that is not a leaf of a posting tree");
        }

        Compress(page);
        Span<byte> built = stackalloc byte[GinPage.MaxDataSize];
        int size = Rebuild(GinPage.Data(page), new GinSegmentActions(data), built);
        GinPage.SetData(page, built[..size]);
    }

    private static int Rebuild(ReadOnlySpan<byte> old, GinSegmentActions actions, Span<byte> into)
    {
        int written = 0;
        int segment = 0;
        while (actions.MoveNext())
        {
            if (actions.Segment < segment)
            {
                throw GinPage.Damaged($"an action on segment {actions.Segment} after segment {segment}");
            }

            for (; segment < actions.Segment; segment++)
            {
                int kept = GinPostingList.SizeOf(old);
                Put(old[..kept], into, ref written);
                old = old[kept..];
            }

            switch (actions.Action)
            {
                case GinSegmentAction.Insert:
                    Put(actions.Data, into, ref written);
                    continue;
                case GinSegmentAction.Replace:
                    Put(actions.Data, into, ref written);
                    break;
                case GinSegmentAction.AddItems:
                    written += Merge(old, actions.Data, into[written..]);
                    break;
                default:
                    // Deleted.
                    break;
            }

            old = old[GinPostingList.SizeOf(old)..];
            segment++;
        }

        Put(old, into, ref written);
        return written;
    }

    private static void Put(ReadOnlySpan<byte> segments, Span<byte> into, ref int written)
    {
        if (segments.Length > into.Length - written)
        {
            throw GinPage.Damaged($"{segments.Length} bytes of segments do not fit behind {written}");
        }

        segments.CopyTo(into[written..]);
        written += segments.Length;
    }

    /// <summary>The segment with further places in it, none of which it has.</summary>
    private static int Merge(ReadOnlySpan<byte> segment, ReadOnlySpan<byte> places, Span<byte> into)
    {
        var old = new GinPostingDecoder(segment);
        var made = new GinPostingEncoder(into);
        bool more = old.MoveNext();
        while (more || !places.IsEmpty)
        {
            ulong next = places.IsEmpty ? ulong.MaxValue : GinPostingList.ToNumber(IndexTuple.ReadTid(places));
            if (more && old.Current < next)
            {
                made.Add(old.Current);
                more = old.MoveNext();
                continue;
            }

            made.Add(next);
            places = places[Tid.Size..];
        }

        return made.Finish();
    }

    /// <summary>Makes one segment of the places on a page that PostgreSQL 9.3 or older left.</summary>
    private static void Compress(Page page)
    {
        ref GinOpaque opaque = ref GinPage.Opaque(page);
        if ((opaque.Flags & GinPageFlags.Compressed) != 0)
        {
            return;
        }

        if (opaque.Count * Tid.Size > GinPage.MaxDataSize)
        {
            throw GinPage.Damaged($"{opaque.Count} places on an uncompressed leaf");
        }

        Span<byte> made = stackalloc byte[GinPage.MaxDataSize];
        int size = 0;
        if (opaque.Count > 0)
        {
            var encoder = new GinPostingEncoder(made);
            ReadOnlySpan<byte> places = page.Bytes.Slice(GinPage.DataOffset, opaque.Count * Tid.Size);
            for (; !places.IsEmpty; places = places[Tid.Size..])
            {
                encoder.Add(IndexTuple.ReadTid(places));
            }

            size = encoder.Finish();
        }

        GinPage.SetData(page, made[..size]);
        opaque.Flags |= GinPageFlags.Compressed;
        opaque.Count = 0;
    }
}
