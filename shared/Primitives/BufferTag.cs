using System.Globalization;
using System.Runtime.InteropServices;

namespace SharedStorage.Primitives;

/// <summary>The files of a relation: what is in them.</summary>
public enum ForkNumber : byte
{
    Main = 0,
    FreeSpaceMap = 1,
    VisibilityMap = 2,
    Init = 3,
}

/// <summary>Where a relation's files lie. Database 0 is the shared catalogs; tablespace 1663 is pg_default, 1664 pg_global.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct RelFileNode(Oid Tablespace, Oid Database, Oid Relation)
{
    public const int Size = 12;

    public static readonly Oid DefaultTablespace = new(1663);
    public static readonly Oid GlobalTablespace = new(1664);

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Tablespace.Value}/{Database.Value}/{Relation.Value}");
}

/// <summary>The name of a page: relation, fork and block.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct BufferTag(RelFileNode Rel, ForkNumber Fork, BlockNumber Block)
{
    public override int GetHashCode()
    {
        // The relation and the block vary most; a multiply and a shift spread them over the table.
        ulong h = ((ulong)Rel.Relation.Value << 32) ^ Block.Value ^ ((ulong)Fork << 61) ^ ((ulong)Rel.Database.Value << 17);
        h *= 0x9E3779B97F4A7C15UL;
        return (int)(h >> 32) ^ (int)h;
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Rel} fork {Fork} block {Block.Value}");
}
