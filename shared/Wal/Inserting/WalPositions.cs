using SharedStorage.Primitives;

namespace SharedStorage.Wal.Inserting;

/// <summary>
/// Positions counted without page headers: under the reserve lock, space is taken by one addition, and turned into log positions outside it
/// (PostgreSQL's XLogBytePosToRecPtr and its inverse).
/// </summary>
internal readonly struct WalPositions(int segmentSize)
{
    private const ulong UsablePage = WalLayout.PageSize - WalPageHeader.ShortSize;
    private const ulong UsableFirstPage = WalLayout.PageSize - WalPageHeader.LongSize;

    private readonly ulong _segmentSize = (ulong)segmentSize;
    private readonly ulong _usableSegment = (((ulong)segmentSize / WalLayout.PageSize) * UsablePage) - (WalPageHeader.LongSize - WalPageHeader.ShortSize);

    /// <summary>Where a record that begins at this count begins: after the header when that is a page's start.</summary>
    public Lsn ToStart(ulong count)
    {
        ulong segment = count / _usableSegment;
        ulong rest = count % _usableSegment;
        ulong offset;
        if (rest < UsableFirstPage)
        {
            offset = rest + WalPageHeader.LongSize;
        }
        else
        {
            rest -= UsableFirstPage;
            offset = WalLayout.PageSize + (rest / UsablePage * WalLayout.PageSize) + (rest % UsablePage) + WalPageHeader.ShortSize;
        }

        return new Lsn((segment * _segmentSize) + offset);
    }

    /// <summary>Where a record that ends at this count ends: before the header when that is a page's start.</summary>
    public Lsn ToEnd(ulong count)
    {
        Lsn start = ToStart(count);
        int offset = WalLayout.PageOffset(start);
        bool first = (start.Value & (_segmentSize - 1)) < WalLayout.PageSize;
        return offset == (first ? WalPageHeader.LongSize : WalPageHeader.ShortSize) ? WalLayout.PageStart(start) : start;
    }

    public ulong ToCount(Lsn lsn)
    {
        ulong segment = lsn.Value / _segmentSize;
        ulong page = (lsn.Value % _segmentSize) / WalLayout.PageSize;
        ulong offset = lsn.Value % WalLayout.PageSize;
        ulong result = segment * _usableSegment;
        if (page == 0)
        {
            return offset == 0 ? result : result + offset - WalPageHeader.LongSize;
        }

        result += UsableFirstPage + ((page - 1) * UsablePage);
        return offset == 0 ? result : result + offset - WalPageHeader.ShortSize;
    }
}
