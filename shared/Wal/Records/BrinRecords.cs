namespace SharedStorage.Wal.Records;

/// <summary>The op codes of the BRIN resource manager (PostgreSQL's brin_xlog.h); the highest bit says that block 0 is made anew.</summary>
public static class BrinOp
{
    public const byte CreateIndex = 0x00;
    public const byte Insert = 0x10;
    public const byte Update = 0x20;
    public const byte SamePageUpdate = 0x30;
    public const byte RevmapExtend = 0x40;
    public const byte Desummarize = 0x50;
    public const byte OpMask = 0x70;
    public const byte InitPage = 0x80;
}

/// <summary>CREATE_INDEX. Block 0 is the metapage, made anew.</summary>
public readonly record struct BrinCreateIndex(uint PagesPerRange, ushort Version)
{
    public static BrinCreateIndex Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.UInt32(), b.UInt16());
    }
}

/// <summary>INSERT, and the second half of UPDATE. Blocks: 0 the page (data: the summary); 1 the page of the range map that points to it.</summary>
public readonly record struct BrinInsert(uint HeapBlock, uint PagesPerRange, ushort Offset)
{
    public static BrinInsert Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.UInt32(), b.UInt32(), b.UInt16());
    }
}

/// <summary>UPDATE: a summary moves to another page. Blocks: 0 and 1 as in INSERT; 2 the page that it leaves.</summary>
public readonly record struct BrinUpdate(ushort OldOffset, BrinInsert Insert)
{
    private const int InsertAt = 4;

    public static BrinUpdate Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        ushort old = b.UInt16();
        b.Align(InsertAt);
        return new(old, BrinInsert.Read(b.Take(b.Remaining)));
    }
}

/// <summary>SAMEPAGE_UPDATE. Block 0 is the page (data: the summary).</summary>
public readonly record struct BrinSamePageUpdate(ushort Offset)
{
    public static BrinSamePageUpdate Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).UInt16());
}

/// <summary>REVMAP_EXTEND. Blocks: 0 the metapage; 1 the new page of the range map, made anew.</summary>
public readonly record struct BrinRevmapExtend(uint TargetBlock)
{
    public static BrinRevmapExtend Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).UInt32());
}

/// <summary>DESUMMARIZE. Blocks: 0 the page of the range map; 1 the page with the summary that goes.</summary>
public readonly record struct BrinDesummarize(uint PagesPerRange, uint HeapBlock, ushort Offset)
{
    public static BrinDesummarize Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.UInt32(), b.UInt32(), b.UInt16());
    }
}
