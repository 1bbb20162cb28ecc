namespace SharedStorage.Access.Heap;

/// <summary>
/// Cost-based delay (vacuum_delay_point): each page costs what reading it does, one that was changed what writing it will; when the sum reaches the limit, the vacuum rests.
/// The costs are PostgreSQL's defaults; a page counts as read from storage, whether it was in the pool or not.
/// </summary>
public sealed class VacuumPace(TimeSpan delay, int limit, Action<TimeSpan> rest)
{
    private const int ReadCost = 2, WriteCost = 20;

    private int _balance;

    public void Visited(bool changed)
    {
        _balance += changed ? ReadCost + WriteCost : ReadCost;
        if (_balance < limit)
        {
            return;
        }

        // A large page cost rests longer, up to four times.
        rest(delay * Math.Min(4, (double)_balance / limit));
        _balance = 0;
    }
}
