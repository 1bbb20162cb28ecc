using SharedStorage.Primitives;

namespace SharedStorage.Format.Slru;

/// <summary>pg_multixact/offsets: for each multixact where its members begin, four bytes; 0 is "not set" (multixact.c).</summary>
public static class MultiXactOffsetLayout
{
    public const uint PerPage = SlruLayout.PageSize / sizeof(uint);

    public static uint PageOf(MultiXactId multi) => multi.Value / PerPage;
    public static int OffsetOf(MultiXactId multi) => (int)(multi.Value % PerPage) * sizeof(uint);
    public static bool StartsPage(MultiXactId multi) => multi.Value % PerPage == 0 || multi == MultiXactId.First;

    public static bool PagePrecedes(uint a, uint b)
    {
        var x = new MultiXactId((a * PerPage) + MultiXactId.First.Value + 1);
        var y = new MultiXactId((b * PerPage) + MultiXactId.First.Value + 1);
        return x.Precedes(y) && x.Precedes(new MultiXactId(y.Value + PerPage - 1));
    }
}

/// <summary>
/// pg_multixact/members: groups of four members, 20 bytes each: a flag byte for each member, then their four xids. 409 groups a page, its last
/// 12 bytes unused (multixact.c). Members are numbered with 32 bits that wrap; number 0 is never used for a member.
/// </summary>
public static class MultiXactMemberLayout
{
    public const int MembersPerGroup = 4;
    public const int GroupSize = MembersPerGroup + (MembersPerGroup * Xid.Size);
    public const int GroupsPerPage = SlruLayout.PageSize / GroupSize;
    public const uint PerPage = GroupsPerPage * MembersPerGroup;

    /// <summary>How many members the last page of the number space holds: the space is no multiple of a page.</summary>
    public const uint InLastPage = (uint.MaxValue % PerPage) + 1;

    public const uint LastSegment = uint.MaxValue / PerPage / SlruLayout.PagesPerSegment;

    public static uint PageOf(uint member) => member / PerPage;
    public static uint SegmentOf(uint member) => SlruLayout.SegmentOf(PageOf(member));

    /// <summary>Where in the page the member's flag byte is.</summary>
    public static int FlagOffset(uint member) => GroupOffset(member) + (int)(member % MembersPerGroup);

    /// <summary>Where in the page the member's xid is.</summary>
    public static int XidOffset(uint member) => GroupOffset(member) + MembersPerGroup + ((int)(member % MembersPerGroup) * Xid.Size);

    public static bool StartsPage(uint member) => member % PerPage == 0;

    /// <summary>How many members there are from this one to the end of its page, itself included.</summary>
    public static uint LeftInPage(uint member) =>
        PageOf(member) == PageOf(uint.MaxValue) ? uint.MaxValue - member + 1 : PerPage - (member % PerPage);

    private static int GroupOffset(uint member) => (int)(member / MembersPerGroup % GroupsPerPage) * GroupSize;
}
