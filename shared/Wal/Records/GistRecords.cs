using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>The op codes of the GiST resource manager (PostgreSQL's gistxlog.h). 0x40 and 0x50 are of older versions.</summary>
public static class GistOp
{
    public const byte PageUpdate = 0x00;
    public const byte Delete = 0x10;
    public const byte PageReuse = 0x20;
    public const byte PageSplit = 0x30;
    public const byte PageDelete = 0x60;
    public const byte AssignLsn = 0x70;
}

/// <summary>
/// PAGE_UPDATE. Blocks: 0 the page (data: numbers of the entries that go, then the entries that come); 1 the left half of a split below, whose downlink is complete with this.
/// </summary>
public readonly ref struct GistPageUpdate
{
    public ReadOnlySpan<ushort> Deleted { get; private init; }

    /// <summary>The entries that come, one after another as they will lie.</summary>
    public ReadOnlySpan<byte> Entries { get; private init; }

    public int InsertCount { get; private init; }

    public static GistPageUpdate Read(ReadOnlySpan<byte> body, ReadOnlySpan<byte> blockData)
    {
        var b = new BodyReader(body);
        int deleted = b.UInt16();
        int inserted = b.UInt16();
        var data = new BodyReader(blockData);
        return new()
        {
            Deleted = data.Array<ushort>(deleted),
            Entries = data.Take(data.Remaining),
            InsertCount = inserted,
        };
    }
}

/// <summary>DELETE: a session removes dead entries. Block 0 is the page; the numbers, ascending, are in the body.</summary>
public readonly ref struct GistDelete
{
    /// <summary>The youngest xid whose removal this shows (a conflict point for standbys).</summary>
    public Xid LatestRemoved { get; private init; }

    public ReadOnlySpan<ushort> Deleted { get; private init; }

    public static GistDelete Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        Xid latest = b.Xid();
        int count = b.UInt16();
        return new() { LatestRemoved = latest, Deleted = b.Array<ushort>(count) };
    }
}

/// <summary>
/// PAGE_SPLIT. Blocks: 1 to <see cref="PageCount"/> the pages that come of it, the split one first (data: a 32-bit count of entries and the entries), all made anew;
/// 0 the left half of a split below, whose downlink is complete with this.
/// </summary>
public readonly record struct GistPageSplit(uint OldRightLink, Lsn OldNsn, bool WasLeaf, ushort PageCount, bool MarkFollowRight)
{
    public static GistPageSplit Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        uint right = b.UInt32();
        b.Align(8);
        Lsn nsn = b.Lsn();
        bool leaf = b.Bool();
        b.Align(2);
        return new(right, nsn, leaf, b.UInt16(), b.Bool());
    }
}

/// <summary>PAGE_DELETE. Blocks: 0 the empty leaf; 1 its parent, which loses the downlink.</summary>
public readonly record struct GistPageDelete(FullXid DeleteXid, ushort DownLinkOffset)
{
    public static GistPageDelete Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(new FullXid((ulong)b.Int64()), b.UInt16());
    }
}
