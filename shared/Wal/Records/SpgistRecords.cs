using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>The op codes of the SP-GiST resource manager (PostgreSQL's spgxlog.h).</summary>
public static class SpgistOp
{
    public const byte AddLeaf = 0x10;
    public const byte MoveLeaves = 0x20;
    public const byte AddNode = 0x30;
    public const byte SplitTuple = 0x40;
    public const byte PickSplit = 0x50;
    public const byte VacuumLeaf = 0x60;
    public const byte VacuumRoot = 0x70;
    public const byte VacuumRedirect = 0x80;
}

/// <summary>What dead entries depend on: whose redirection it is, and that an index that is being built needs none (spgxlogState).</summary>
public readonly record struct SpgistState(Xid Xid, bool IsBuild)
{
    internal static SpgistState Read(scoped ref BodyReader b)
    {
        b.Align(4);
        var state = new SpgistState(b.Xid(), b.Bool());
        b.Align(4);
        return state;
    }
}

/// <summary>ADD_LEAF. Blocks: 0 the leaf page; 1 the page of the parent, when its downlink changes.</summary>
public readonly ref struct SpgistAddLeaf
{
    public bool NewPage { get; private init; }
    public bool StoresNulls { get; private init; }
    public ushort Leaf { get; private init; }

    /// <summary>The head of the chain that the entry joins; 0 without one, and equal to <see cref="Leaf"/> when a dead entry is replaced.</summary>
    public ushort Head { get; private init; }

    public ushort Parent { get; private init; }
    public ushort Node { get; private init; }

    /// <summary>Begins with the entry.</summary>
    public ReadOnlySpan<byte> Entry { get; private init; }

    public static SpgistAddLeaf Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new()
        {
            NewPage = b.Bool(),
            StoresNulls = b.Bool(),
            Leaf = b.UInt16(),
            Head = b.UInt16(),
            Parent = b.UInt16(),
            Node = b.UInt16(),
            Entry = b.Take(b.Remaining),
        };
    }
}

/// <summary>MOVE_LEAFS. Blocks: 0 the leaf page that a chain leaves; 1 the one that it comes to; 2 the page of the parent.</summary>
public readonly ref struct SpgistMoveLeaves
{
    public bool NewPage { get; private init; }
    public bool StoresNulls { get; private init; }
    public ushort Parent { get; private init; }
    public ushort Node { get; private init; }
    public SpgistState State { get; private init; }
    public ReadOnlySpan<ushort> Deleted { get; private init; }

    /// <summary>Where the entries come to; the last is the head of the chain. Never empty.</summary>
    public ReadOnlySpan<ushort> Inserted { get; private init; }

    /// <summary>The entries, one after another without padding.</summary>
    public ReadOnlySpan<byte> Entries { get; private init; }

    public static SpgistMoveLeaves Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        int moves = b.UInt16();
        bool newPage = b.Bool();
        bool replaceDead = b.Bool();
        bool nulls = b.Bool();
        b.Align(2);
        ushort parent = b.UInt16();
        ushort node = b.UInt16();
        SpgistState state = SpgistState.Read(ref b);
        return new()
        {
            NewPage = newPage,
            StoresNulls = nulls,
            Parent = parent,
            Node = node,
            State = state,
            Deleted = b.Array<ushort>(moves),

            // A dead entry that is replaced does not move: only the new one is inserted.
            Inserted = b.Array<ushort>(replaceDead ? 1 : moves + 1),
            Entries = b.Take(b.Remaining),
        };
    }
}

/// <summary>
/// ADD_NODE: an inner entry has one more node. Blocks: 0 its page; 1 the page that it moves to, if any; 2 the page of the parent, if that is a third one.
/// </summary>
public readonly ref struct SpgistAddNode
{
    public ushort Offset { get; private init; }
    public ushort NewOffset { get; private init; }
    public bool NewPage { get; private init; }

    /// <summary>The block whose page has the parent; -1 when the parent stays as it is.</summary>
    public sbyte ParentBlock { get; private init; }

    public ushort Parent { get; private init; }
    public ushort Node { get; private init; }
    public SpgistState State { get; private init; }

    /// <summary>Begins with the entry.</summary>
    public ReadOnlySpan<byte> Entry { get; private init; }

    public static SpgistAddNode Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new()
        {
            Offset = b.UInt16(),
            NewOffset = b.UInt16(),
            NewPage = b.Bool(),
            ParentBlock = (sbyte)b.Byte(),
            Parent = b.UInt16(),
            Node = b.UInt16(),
            State = SpgistState.Read(ref b),
            Entry = b.Take(b.Remaining),
        };
    }
}

/// <summary>SPLIT_TUPLE: an inner entry becomes a prefix and, below it, a postfix. Blocks: 0 the page of the prefix; 1 that of the postfix, if it is another.</summary>
public readonly ref struct SpgistSplitTuple
{
    public ushort PrefixOffset { get; private init; }
    public ushort PostfixOffset { get; private init; }
    public bool NewPage { get; private init; }
    public bool SamePage { get; private init; }

    /// <summary>The prefix entry and, right behind it, the postfix entry.</summary>
    public ReadOnlySpan<byte> Entries { get; private init; }

    public static SpgistSplitTuple Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new()
        {
            PrefixOffset = b.UInt16(),
            PostfixOffset = b.UInt16(),
            NewPage = b.Bool(),
            SamePage = b.Bool(),
            Entries = b.Take(b.Remaining),
        };
    }
}

/// <summary>
/// PICKSPLIT: a chain of leaf entries becomes an inner entry with chains of its own. Blocks: 0 the leaf page that they leave (not when the root is split); 1 another leaf page
/// that some come to, if any; 2 the page of the inner entry; 3 the page of the parent, if that is another.
/// </summary>
public readonly ref struct SpgistPickSplit
{
    public bool IsRootSplit { get; private init; }
    public bool InitSource { get; private init; }
    public bool InitTarget { get; private init; }
    public ushort InnerOffset { get; private init; }
    public bool InitInner { get; private init; }
    public bool StoresNulls { get; private init; }
    public bool InnerIsParent { get; private init; }
    public ushort Parent { get; private init; }
    public ushort Node { get; private init; }
    public SpgistState State { get; private init; }
    public ReadOnlySpan<ushort> Deleted { get; private init; }
    public ReadOnlySpan<ushort> Inserted { get; private init; }

    /// <summary>For each entry that is inserted: 0 on the page of block 0, else on that of block 1.</summary>
    public ReadOnlySpan<byte> OnTarget { get; private init; }

    /// <summary>The inner entry and, right behind it, the leaf entries, without padding.</summary>
    public ReadOnlySpan<byte> Entries { get; private init; }

    public static SpgistPickSplit Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        bool root = b.Bool();
        b.Align(2);
        int deleted = b.UInt16();
        int inserted = b.UInt16();
        bool initSource = b.Bool();
        bool initTarget = b.Bool();
        ushort inner = b.UInt16();
        bool initInner = b.Bool();
        bool nulls = b.Bool();
        bool innerIsParent = b.Bool();
        b.Align(2);
        ushort parent = b.UInt16();
        ushort node = b.UInt16();
        SpgistState state = SpgistState.Read(ref b);
        return new()
        {
            IsRootSplit = root,
            InitSource = initSource,
            InitTarget = initTarget,
            InnerOffset = inner,
            InitInner = initInner,
            StoresNulls = nulls,
            InnerIsParent = innerIsParent,
            Parent = parent,
            Node = node,
            State = state,
            Deleted = b.Array<ushort>(deleted),
            Inserted = b.Array<ushort>(inserted),
            OnTarget = b.Take(inserted),
            Entries = b.Take(b.Remaining),
        };
    }
}

/// <summary>VACUUM_LEAF. Block 0 is the leaf page; all arrays are item numbers on it.</summary>
public readonly ref struct SpgistVacuumLeaf
{
    public SpgistState State { get; private init; }
    public ReadOnlySpan<ushort> ToDead { get; private init; }
    public ReadOnlySpan<ushort> ToPlaceholder { get; private init; }

    /// <summary>These entries move to the numbers of <see cref="MoveTo"/> and leave placeholders.</summary>
    public ReadOnlySpan<ushort> MoveFrom { get; private init; }

    public ReadOnlySpan<ushort> MoveTo { get; private init; }

    /// <summary>The entries whose next one becomes that of <see cref="ChainTo"/>.</summary>
    public ReadOnlySpan<ushort> ChainFrom { get; private init; }

    public ReadOnlySpan<ushort> ChainTo { get; private init; }

    public static SpgistVacuumLeaf Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        int dead = b.UInt16();
        int placeholders = b.UInt16();
        int moves = b.UInt16();
        int chains = b.UInt16();
        return new()
        {
            State = SpgistState.Read(ref b),
            ToDead = b.Array<ushort>(dead),
            ToPlaceholder = b.Array<ushort>(placeholders),
            MoveFrom = b.Array<ushort>(moves),
            MoveTo = b.Array<ushort>(moves),
            ChainFrom = b.Array<ushort>(chains),
            ChainTo = b.Array<ushort>(chains),
        };
    }
}

/// <summary>VACUUM_ROOT: entries go from a root that is a leaf. Block 0 is that page; the numbers ascend.</summary>
public readonly ref struct SpgistVacuumRoot
{
    public ReadOnlySpan<ushort> Deleted { get; private init; }

    public static SpgistVacuumRoot Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        int count = b.UInt16();
        _ = SpgistState.Read(ref b);
        return new() { Deleted = b.Array<ushort>(count) };
    }
}

/// <summary>VACUUM_REDIRECT: redirections that no scan can need become placeholders, and placeholders at the end of the page go. Block 0 is the page.</summary>
public readonly ref struct SpgistVacuumRedirect
{
    /// <summary>The first of the placeholders at the end that go; 0 when none do.</summary>
    public ushort FirstPlaceholder { get; private init; }

    /// <summary>The youngest xid of the redirections (a conflict point for standbys).</summary>
    public Xid NewestRedirect { get; private init; }

    public ReadOnlySpan<ushort> ToPlaceholder { get; private init; }

    public static SpgistVacuumRedirect Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        int count = b.UInt16();
        return new() { FirstPlaceholder = b.UInt16(), NewestRedirect = b.Xid(), ToPlaceholder = b.Array<ushort>(count) };
    }
}
