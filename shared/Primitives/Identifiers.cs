using System.Globalization;

namespace SharedStorage.Primitives;

/// <summary>
/// A 32-bit transaction number that wraps: two normal ones are compared by <see cref="Precedes"/>, modulo 2^31 (PostgreSQL's TransactionId).
/// </summary>
public readonly record struct Xid(uint Value)
{
    public const int Size = sizeof(uint);

    public static readonly Xid Invalid = new(0);
    public static readonly Xid Bootstrap = new(1);
    public static readonly Xid Frozen = new(2);
    public static readonly Xid FirstNormal = new(3);

    public bool IsValid => Value != 0;
    public bool IsNormal => Value >= 3;

    public bool Precedes(Xid other) =>
        IsNormal && other.IsNormal ? (int)(Value - other.Value) < 0 : Value < other.Value;

    public bool PrecedesOrEquals(Xid other) => Value == other.Value || Precedes(other);
    public bool Follows(Xid other) => other.Precedes(this);
    public bool FollowsOrEquals(Xid other) => Value == other.Value || Follows(other);

    /// <summary>The next transaction number; the three reserved ones are stepped over.</summary>
    public Xid Next() => Value == uint.MaxValue ? FirstNormal : new Xid(Math.Max(Value + 1, 3));

    /// <summary>The transaction number before this one; the three reserved ones are stepped over.</summary>
    public Xid Previous() => Value <= 3 ? new Xid(uint.MaxValue) : new Xid(Value - 1);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A transaction number with its epoch: 64 bits, never wraps (PostgreSQL's FullTransactionId).</summary>
public readonly record struct FullXid(ulong Value)
{
    public FullXid(uint epoch, Xid xid) : this(((ulong)epoch << 32) | xid.Value) { }

    public uint Epoch => (uint)(Value >> 32);
    public Xid Xid => new((uint)Value);
    public FullXid Next() => new FullXid(Value + 1) is var next && next.Xid.IsNormal ? next : new FullXid(next.Epoch, Xid.FirstNormal);
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Epoch}:{Xid.Value}");
}

/// <summary>The number of a set of transactions that share a row lock; it wraps like <see cref="Xid"/>.</summary>
public readonly record struct MultiXactId(uint Value)
{
    public static readonly MultiXactId Invalid = new(0);
    public static readonly MultiXactId First = new(1);

    public bool IsValid => Value != 0;
    public bool Precedes(MultiXactId other) => (int)(Value - other.Value) < 0;
    public bool PrecedesOrEquals(MultiXactId other) => (int)(Value - other.Value) <= 0;
    public MultiXactId Next() => Value == uint.MaxValue ? First : new MultiXactId(Value + 1);
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The number of a command within its transaction.</summary>
public readonly record struct CommandId(uint Value)
{
    public static readonly CommandId First = new(0);
    public static readonly CommandId Invalid = new(uint.MaxValue);
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The number of an object in a catalog.</summary>
public readonly record struct Oid(uint Value) : IComparable<Oid>
{
    public const int Size = sizeof(uint);

    public static readonly Oid Invalid = new(0);

    /// <summary>The first number that <c>initdb</c> does not use (FirstNormalObjectId).</summary>
    public static readonly Oid FirstNormal = new(16384);

    public bool IsValid => Value != 0;
    public int CompareTo(Oid other) => Value.CompareTo(other.Value);
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The number of a history of the log; each promotion starts a new one.</summary>
public readonly record struct TimelineId(uint Value)
{
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The number of an 8 KiB block in a fork of a relation, from 0.</summary>
public readonly record struct BlockNumber(uint Value) : IComparable<BlockNumber>
{
    public const int Size = sizeof(uint);

    public static readonly BlockNumber Invalid = new(uint.MaxValue);

    public bool IsValid => Value != uint.MaxValue;
    public static bool operator <(BlockNumber a, BlockNumber b) => a.Value < b.Value;
    public static bool operator >(BlockNumber a, BlockNumber b) => a.Value > b.Value;
    public static bool operator <=(BlockNumber a, BlockNumber b) => a.Value <= b.Value;
    public static bool operator >=(BlockNumber a, BlockNumber b) => a.Value >= b.Value;
    public static BlockNumber operator +(BlockNumber a, uint n) => new(a.Value + n);
    public int CompareTo(BlockNumber other) => Value.CompareTo(other.Value);
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The place of a row version: block and line pointer (from 1). PostgreSQL's ItemPointer.</summary>
public readonly record struct Tid(BlockNumber Block, ushort Offset) : IComparable<Tid>
{
    /// <summary>Bytes on disk: the block's high half, its low half, the offset, each 16 bits.</summary>
    public const int Size = 6;

    public static readonly Tid Invalid = new(BlockNumber.Invalid, 0);

    public bool IsValid => Offset != 0;

    public int CompareTo(Tid other)
    {
        int c = Block.CompareTo(other.Block);
        return c != 0 ? c : Offset.CompareTo(other.Offset);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"({Block.Value},{Offset})");
}
