using SharedStorage.Primitives;

namespace SharedStorage.Simulation;

internal enum RecordKind : byte
{
    Update,
    Delete,
    Prune,
    Cut,
    Create,
    Drop,
    EndOfRecovery,
}

/// <summary>
/// A page: how many versions of its one row it ever got, how many of them were pruned, which are deletions. A change counts <c>Sequence</c> up by one, so a redo on the wrong base is seen.
/// <c>Lsn</c> is the number of records after which the page is like this.
/// </summary>
internal record struct PageImage(int Incarnation, int Sequence, int Versions, int Pruned, ulong Deletions, int Lsn)
{
    public readonly bool IsDeletion(int version) => version > 0 && (Deletions >> version & 1) != 0;
}

/// <summary>A record of the log. Positions are counts of records: L(n) has the records before number n.</summary>
internal struct LogRecord
{
    public RecordKind Kind;
    public sbyte File;
    public sbyte Page;

    /// <summary>It makes the page whatever it was.</summary>
    public bool Initializes;
    public PageImage After;

    public readonly bool Touches(int page) => Page == page || (Kind == RecordKind.Create && File == page / Model.Blocks);
}

internal sealed class Timeline
{
    public const int Capacity = 384;
    public readonly LogRecord[] Records = new LogRecord[Capacity];

    /// <summary>In the writer's memory, on storage, and promised to clients.</summary>
    public int Count;
    public int Durable;
    public int Acknowledged;
    public int Parent;
    public int ForkAt;

    public void Fork(Timeline from, int parent, int at)
    {
        Array.Copy(from.Records, Records, at);
        (Parent, ForkAt) = (parent, at);
        (Count, Durable, Acknowledged) = (at, at, at);
    }

    public int LastTouch(int page, int before)
    {
        for (int i = before - 1; i >= 0; i--)
        {
            if (Records[i].Touches(page))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>P@L.</summary>
    public PageImage PageAt(int page, int at) => LastTouch(page, at) is var i and >= 0 ? Records[i].After : default;

    /// <summary>The latest version that a snapshot sees; 0 for none.</summary>
    public int VersionAt(int page, int snapshot)
    {
        for (int i = snapshot - 1; i >= 0; i--)
        {
            if (Records[i].Touches(page) && Records[i].Kind is RecordKind.Update or RecordKind.Delete or RecordKind.Create)
            {
                return Records[i].After.Versions;
            }
        }

        return 0;
    }

    /// <summary>Which incarnation of the file the catalog names at a position; 0 when it is dropped.</summary>
    public int FileAt(int file, int at)
    {
        for (int i = at - 1; i >= 0; i--)
        {
            if (Records[i].File == file && Records[i].Kind is RecordKind.Create or RecordKind.Drop)
            {
                return Records[i].Kind == RecordKind.Create ? Records[i].After.Incarnation : 0;
            }
        }

        return 0;
    }
}

/// <summary>The shared directory: files, log, control file and <c>cluster/</c>.</summary>
internal sealed class Storage
{
    public readonly int[] Incarnation = new int[Model.Files];
    public readonly int[] Blocks = new int[Model.Files];
    public readonly PageImage[] Pages = new PageImage[Model.Pages];
    public readonly HashSet<string> Registry = [];
    public ulong HighestEpoch;
    public ulong LeaseEpoch;
    public ulong Renewal;
    public bool Released;
    public bool Opened;
    public int LeaseNode;
    public long LeaseLife;
    public int LeaseTimeline;
    public int ControlTimeline;
    public int ControlRedo;
    public int PreviousRedo;
    public int NewestTimeline;

    /// <summary>The log before this is recycled.</summary>
    public int Recycled;
    public long RecycledAt;

    public void Reset()
    {
        Array.Fill(Incarnation, 1);
        Array.Fill(Blocks, 0);
        Array.Clear(Pages);
        Registry.Clear();
        (HighestEpoch, LeaseEpoch, Renewal, LeaseLife) = (0, 0, 0, 0);
        (ControlTimeline, ControlRedo, PreviousRedo, NewestTimeline, LeaseNode, LeaseTimeline, Recycled) = (0, 0, 0, 0, -1, 0, 0);
        (Released, Opened, RecycledAt) = (false, false, 0);
    }

    /// <summary>What is read of a page by its path; false when there is no file, or it is shorter.</summary>
    public bool TryRead(int page, out PageImage image)
    {
        int file = page / Model.Blocks;
        bool there = Incarnation[file] != 0 && page % Model.Blocks < Blocks[file];
        image = there ? Pages[page] : default;
        return there;
    }
}

internal static class Model
{
    public const int Files = 2;
    public const int Blocks = 2;
    public const int Pages = Files * Blocks;
    public const int MaxVersions = 60;

    public static Lsn L(int position) => new(((ulong)position + 1) * 8);

    public static int Position(Lsn lsn) => lsn == Lsn.Max ? int.MaxValue : lsn.Value < 8 ? 0 : (int)(lsn.Value / 8) - 1;
}

/// <summary>An invariant or rule was broken. The message names it and what was seen.</summary>
internal sealed class ViolationException(string rule, string text) : Exception($"{rule}: {text}")
{
    public string Rule { get; } = rule;
}
