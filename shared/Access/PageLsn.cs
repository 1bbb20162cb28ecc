using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Access;

/// <summary>Sets the LSN of a page that a property returns as a value, which C# refuses to assign to.</summary>
internal static class PageLsn
{
    public static void SetLsn(this Page page, Lsn lsn) => page.Lsn = lsn;
    public static void SetAllVisible(this Page page, bool visible) => page.IsAllVisible = visible;
}
