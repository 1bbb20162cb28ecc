using System.Globalization;
using System.Text;

namespace SharedStorage.Transactions.Locks;

/// <summary>
/// Looks for circles of waiting sessions (PostgreSQL's deadlock.c). A waits for B hard when B holds what excludes A's wish, soft when B only stands before
/// A in the queue with such a wish. A circle with a soft edge is broken by letting A pass B, if that makes no other circle; else there is a deadlock.
/// The caller holds all partitions' locks.
/// </summary>
internal sealed class DeadlockDetector
{
    /// <summary>More reversed edges than this are not tried: each may try all others again.</summary>
    private const int MaxReversed = 16;

    private readonly List<SoftEdge> _reversed = [];
    private readonly Dictionary<LockObject, List<LockWaiter>> _orders = [];
    private List<LockWaiter> _circle = [];

    private readonly record struct SoftEdge(LockWaiter Waiter, LockWaiter Blocker);

    /// <summary>True: the session is in no circle any more, queues were put in another order where that helped. False: deadlock.</summary>
    internal bool Resolve(LockSession start)
    {
        if (!Try(start))
        {
            return false;
        }

        foreach ((LockObject target, List<LockWaiter> order) in _orders)
        {
            target.Reorder(order);
            target.Serve();
        }

        return true;
    }

    /// <summary>The circle that was found, as PostgreSQL tells it: who waits for what, and who blocks him.</summary>
    internal string Describe()
    {
        var text = new StringBuilder();
        for (int i = 0; i < _circle.Count; i++)
        {
            LockWaiter w = _circle[i];
            LockWaiter next = _circle[(i + 1) % _circle.Count];
            text.Append(i == 0 ? "" : "\n").Append(
                CultureInfo.InvariantCulture,
                $"Process {w.Session.ProcessId} waits for {LockConflicts.Name(w.Mode)} on {w.Object.Tag}; blocked by process {next.Session.ProcessId}.");
        }

        return text.ToString();
    }

    private bool Try(LockSession start)
    {
        if (!FindCircle(start, out List<SoftEdge> soft))
        {
            return true;
        }

        if (soft.Count == 0 || _reversed.Count >= MaxReversed)
        {
            return false;
        }

        List<LockWaiter> circle = _circle;
        foreach (SoftEdge edge in soft)
        {
            _reversed.Add(edge);
            if (Arrange() && Try(start))
            {
                return true;
            }

            _reversed.RemoveAt(_reversed.Count - 1);
        }

        Arrange();
        _circle = circle;
        return false;
    }

    /// <summary>
    /// Looks for a circle through the session, or through one whose place in a queue was changed, in the queues as they would be. Gives its soft edges.
    /// </summary>
    private bool FindCircle(LockSession start, out List<SoftEdge> soft)
    {
        foreach (SoftEdge edge in _reversed)
        {
            if (FindCircleFrom(edge.Waiter.Session, out soft) || FindCircleFrom(edge.Blocker.Session, out soft))
            {
                return true;
            }
        }

        return FindCircleFrom(start, out soft);
    }

    private bool FindCircleFrom(LockSession start, out List<SoftEdge> soft)
    {
        var path = new List<LockWaiter>();
        soft = [];
        if (!Follow(start, start, path, soft, []))
        {
            return false;
        }

        _circle = path;
        return true;
    }

    private bool Follow(LockSession at, LockSession start, List<LockWaiter> path, List<SoftEdge> soft, HashSet<LockSession> visited)
    {
        if (path.Count != 0 && ReferenceEquals(at, start))
        {
            return true;
        }

        if (at.Waiting is not { IsDone: false } waiter || !visited.Add(at))
        {
            return false;
        }

        path.Add(waiter);
        int conflicts = LockConflicts.Of(waiter.Mode);
        foreach (LockHolder holder in waiter.Object.Holders)
        {
            if (!ReferenceEquals(holder.Session, at) && (holder.Modes & conflicts) != 0 && Follow(holder.Session, start, path, soft, visited))
            {
                return true;
            }
        }

        foreach (LockWaiter ahead in OrderOf(waiter.Object))
        {
            if (ReferenceEquals(ahead, waiter))
            {
                break;
            }

            if ((LockConflicts.Bit(ahead.Mode) & conflicts) != 0 && Follow(ahead.Session, start, path, soft, visited))
            {
                soft.Add(new SoftEdge(waiter, ahead));
                return true;
            }
        }

        path.RemoveAt(path.Count - 1);
        return false;
    }

    private List<LockWaiter> OrderOf(LockObject target) => _orders.TryGetValue(target, out List<LockWaiter>? order) ? order : target.Queue;

    /// <summary>Sorts the queues that have reversed edges so that each waiter comes before his blocker; else as they were. False: they contradict.</summary>
    private bool Arrange()
    {
        _orders.Clear();
        foreach (LockObject target in _reversed.Select(e => e.Waiter.Object).Distinct())
        {
            List<LockWaiter> rest = [.. target.Queue];
            var sorted = new List<LockWaiter>(rest.Count);
            while (rest.Count != 0)
            {
                int next = rest.FindIndex(w => !_reversed.Exists(e => ReferenceEquals(e.Blocker, w) && rest.Contains(e.Waiter)));
                if (next < 0)
                {
                    return false;
                }

                sorted.Add(rest[next]);
                rest.RemoveAt(next);
            }

            _orders[target] = sorted;
        }

        return true;
    }
}
