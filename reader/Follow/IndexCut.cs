using SharedStorage.Primitives;

namespace SharedStorage.Reader.Follow;

/// <summary>How far entries of the LogIndex may go (I3).</summary>
public static class IndexCut
{
    /// <summary>
    /// What the writer has announced as durable in data files, and no further than what is applied here: a reader that comes back lies behind the floor that the writer counts it at,
    /// and a page as of its own applied LSN needs every entry from there on.
    /// </summary>
    public static Lsn Limit(Lsn announced, Lsn applied) => Lsn.Min(announced, applied);
}
