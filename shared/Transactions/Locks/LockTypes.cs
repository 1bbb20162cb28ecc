using System.Globalization;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Locks;

/// <summary>PostgreSQL's table lock modes by their numbers (lockdefs.h).</summary>
public enum LockMode
{
    None = 0, AccessShare = 1, RowShare = 2, RowExclusive = 3, ShareUpdateExclusive = 4, Share = 5, ShareRowExclusive = 6, Exclusive = 7, AccessExclusive = 8,
}

public enum LockKind : byte
{
    Relation, RelationExtend, Transaction, Tuple, Object, Advisory, Database, Page,
}

/// <summary>What is locked: kind, database, object (relation or class), and two further parts (block and offset; object id; xid in <see cref="A"/>).</summary>
public readonly record struct LockTag(LockKind Kind, Oid Database, uint Object, uint A, ushort B)
{
    public static LockTag Relation(Oid database, Oid relation) => new(LockKind.Relation, database, relation.Value, 0, 0);
    public static LockTag RelationExtend(Oid database, Oid relation) => new(LockKind.RelationExtend, database, relation.Value, 0, 0);
    public static LockTag Transaction(Xid xid) => new(LockKind.Transaction, Oid.Invalid, 0, xid.Value, 0);
    public static LockTag Tuple(Oid database, Oid relation, Tid tid) => new(LockKind.Tuple, database, relation.Value, tid.Block.Value, tid.Offset);
    public static LockTag OfObject(Oid database, Oid catalog, Oid id, ushort part = 0) => new(LockKind.Object, database, catalog.Value, id.Value, part);

    /// <summary>An advisory lock: a 64-bit key (class 1), or two of 32 bits (class 2).</summary>
    public static LockTag Advisory(Oid database, uint high, uint low, ushort keyClass) => new(LockKind.Advisory, database, high, low, keyClass);

    public bool Equals(LockTag other) =>
        Kind == other.Kind && Object == other.Object && A == other.A && Database.Value == other.Database.Value && B == other.B;

    public override int GetHashCode()
    {
        ulong h = (((ulong)Object << 32) | A) ^ ((ulong)Database.Value * 0x9E3779B1) ^ ((ulong)B << 40) ^ ((ulong)Kind << 60);
        h *= 0x9E3779B97F4A7C15UL;
        return (int)(h >> 32);
    }

    /// <summary>As PostgreSQL names it in messages (DescribeLockTag).</summary>
    public override string ToString() => Kind switch
    {
        LockKind.Relation => Text($"relation {Object} of database {Database}"),
        LockKind.RelationExtend => Text($"extension of relation {Object} of database {Database}"),
        LockKind.Page => Text($"page {A} of relation {Object} of database {Database}"),
        LockKind.Tuple => Text($"tuple ({A},{B}) of relation {Object} of database {Database}"),
        LockKind.Transaction => Text($"transaction {A}"),
        LockKind.Object => Text($"object {A} of class {Object} of database {Database}"),
        LockKind.Advisory => Text($"advisory lock [{Database},{Object},{A},{B}]"),
        _ => Text($"database {Database}"),
    };

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A row of pg_locks, and which session it is of.</summary>
public readonly record struct LockInfo(LockTag Tag, LockMode Mode, bool Granted, bool FastPath, int ProcessId);

/// <summary>Which modes exclude each other, as bit masks by mode number (lock.c).</summary>
internal static class LockConflicts
{
    private static readonly int[] Table =
    [
        0,
        Bits(8),
        Bits(7, 8),
        Bits(5, 6, 7, 8),
        Bits(4, 5, 6, 7, 8),
        Bits(3, 4, 6, 7, 8),
        Bits(3, 4, 5, 6, 7, 8),
        Bits(2, 3, 4, 5, 6, 7, 8),
        Bits(1, 2, 3, 4, 5, 6, 7, 8),
    ];

    internal const int ModeCount = 9;

    internal static int Of(LockMode mode) => Table[(int)mode];
    internal static int Bit(LockMode mode) => 1 << (int)mode;

    /// <summary>The name in messages and in pg_locks.</summary>
    internal static string Name(LockMode mode) => mode + "Lock";

    private static int Bits(params ReadOnlySpan<int> modes)
    {
        int mask = 0;
        foreach (int mode in modes)
        {
            mask |= 1 << mode;
        }

        return mask;
    }
}
