using System.Globalization;

namespace SharedStorage.Cluster.History;

/// <summary>
/// Finds violations of what the cluster promises in a history: snapshot isolation, one order of commits on all nodes (no long fork), session guarantees, real time where it is
/// promised, nothing acknowledged lost. Counters only grow, one step a transaction, so a snapshot is a vector, and a commit is in it when its values are reached.
/// </summary>
internal static class HistoryChecker
{
    /// <summary>The violations, at most some of each kind; none when the history keeps all promises.</summary>
    public static IReadOnlyList<string> Check(RunHistory history)
    {
        var found = new List<string>();
        CommitEvent[] commits = [.. history.Commits.OrderBy(c => c.Acknowledged)];
        ReadEvent[] reads = [.. history.Reads.OrderBy(r => r.Began)];
        CheckRows(history, commits, found);
        CheckUpdates(commits, found);
        int[][] chain = CheckOneOrder(reads, found);
        CheckAtomic(commits, chain, found);
        CheckSessions(reads, found);
        CheckRealTime(history.Counters, commits, reads, found);
        return found;
    }

    /// <summary>Each acknowledged transaction's rows are there once; a row that nobody wrote, or whose transaction failed, is not.</summary>
    private static void CheckRows(RunHistory history, CommitEvent[] commits, List<string> found)
    {
        var rows = new Dictionary<(int, int), long>();
        foreach ((int counter, int value, long id) in history.Rows)
        {
            if (!rows.TryAdd((counter, value), id))
            {
                Add(found, $"twice: counter {counter} has the value {value} of two transactions");
            }
        }

        var known = commits.Select(c => c.Id).Concat(history.InDoubt).ToHashSet();
        foreach (CommitEvent commit in commits)
        {
            foreach ((int counter, int value) in commit.Writes)
            {
                if (!rows.TryGetValue((counter, value), out long id) || id != commit.Id)
                {
                    Add(found, $"lost: transaction {commit.Id} was acknowledged, but counter {counter} at {value} has {(id == 0 ? "no row" : $"transaction {id}")}");
                }
            }
        }

        foreach (((int counter, int value), long id) in rows)
        {
            if (!known.Contains(id))
            {
                Add(found, $"from nowhere: counter {counter} at {value} has transaction {id}, which failed or never was");
            }
        }
    }

    /// <summary>First committer wins: what a repeatable-read transaction wrote follows directly on what it had read.</summary>
    private static void CheckUpdates(CommitEvent[] commits, List<string> found)
    {
        foreach (CommitEvent commit in commits.Where(c => c.Base is not null))
        {
            foreach ((int counter, int value) in commit.Writes)
            {
                if (value != commit.Base![counter] + 1)
                {
                    Add(found, $"lost update: transaction {commit.Id} read counter {counter} at {commit.Base[counter]} and left it at {value}");
                }
            }
        }
    }

    /// <summary>Any two snapshots of any nodes are comparable: otherwise two nodes disagree on the order of two commits.</summary>
    private static int[][] CheckOneOrder(ReadEvent[] reads, List<string> found)
    {
        ReadEvent[] bySize = [.. reads.OrderBy(r => r.Counters.Sum(c => (long)c))];
        var chain = new List<int[]>();
        ReadEvent? before = null;
        foreach (ReadEvent read in bySize)
        {
            if (before is not null && !AtLeast(read.Counters, before.Counters))
            {
                Add(found, $"long fork: {before.Node} saw {Text(before.Counters)}, {read.Node} saw {Text(read.Counters)}");
                continue;
            }

            if (before is null || !read.Counters.AsSpan().SequenceEqual(before.Counters))
            {
                chain.Add(read.Counters);
            }

            before = read;
        }

        return [.. chain];
    }

    /// <summary>All of a transaction is in a snapshot, or nothing of it.</summary>
    private static void CheckAtomic(CommitEvent[] commits, int[][] chain, List<string> found)
    {
        foreach (CommitEvent commit in commits.Where(c => c.Writes.Length > 1))
        {
            int first = FirstWith(chain, commit.Writes[0]);
            foreach ((int Counter, int Value) write in commit.Writes.Skip(1))
            {
                if (FirstWith(chain, write) != first)
                {
                    int at = Math.Min(first, FirstWith(chain, write));
                    Add(found, $"torn: {Text(chain[at])} has a part of transaction {commit.Id}, which wrote {string.Join(", ", commit.Writes)}");
                }
            }
        }
    }

    private static int FirstWith(int[][] chain, (int Counter, int Value) write)
    {
        (int low, int high) = (0, chain.Length);
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (chain[middle][write.Counter] >= write.Value)
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        return low;
    }

    private static void CheckSessions(ReadEvent[] reads, List<string> found)
    {
        foreach (IGrouping<int, ReadEvent> session in reads.GroupBy(r => r.Session))
        {
            ReadEvent? before = null;
            foreach (ReadEvent read in session)
            {
                if (before is not null && !AtLeast(read.Counters, before.Counters))
                {
                    Add(found, $"not monotone: session {read.Session} on {read.Node} saw {Text(before.Counters)}, then {Text(read.Counters)}");
                }

                if (read.OwnCommits is { } own && !AtLeast(read.Counters, own))
                {
                    Add(found, $"own writes unseen: session {read.Session} on {read.Node} had committed {Text(own)} and saw {Text(read.Counters)}");
                }

                before = read;
            }
        }
    }

    /// <summary>
    /// Global reads see whatever was acknowledged before they began; all reads see what was acknowledged as applied everywhere; no read sees a transaction that began after the
    /// read had ended.
    /// </summary>
    private static void CheckRealTime(int counters, CommitEvent[] byAcknowledgement, ReadEvent[] byBeginning, List<string> found)
    {
        int[] acknowledged = new int[counters], everywhere = new int[counters];
        int next = 0;
        foreach (ReadEvent read in byBeginning)
        {
            for (; next < byAcknowledgement.Length && byAcknowledgement[next].Acknowledged <= read.Began; next++)
            {
                Raise(acknowledged, byAcknowledgement[next]);
                if (byAcknowledgement[next].EverywhereWhenAcknowledged)
                {
                    Raise(everywhere, byAcknowledgement[next]);
                }
            }

            if (read.Promise == ReadPromise.Global && !AtLeast(read.Counters, acknowledged))
            {
                Add(found, $"stale: a global read on {read.Node} saw {Text(read.Counters)}; {Text(acknowledged)} was acknowledged before it began");
            }

            if (!AtLeast(read.Counters, everywhere))
            {
                Add(found, $"not applied: {read.Node} saw {Text(read.Counters)}; {Text(everywhere)} was acknowledged with remote_apply before");
            }
        }

        // The lowest value of each counter that was written by a transaction begun at or after a moment.
        int[] later = new int[counters];
        Array.Fill(later, int.MaxValue);
        CommitEvent[] byBegan = [.. byAcknowledgement.OrderByDescending(c => c.Began)];
        int taken = 0;
        foreach (ReadEvent read in byBeginning.OrderByDescending(r => r.Ended))
        {
            for (; taken < byBegan.Length && byBegan[taken].Began > read.Ended; taken++)
            {
                foreach ((int counter, int value) in byBegan[taken].Writes)
                {
                    later[counter] = Math.Min(later[counter], value);
                }
            }

            for (int i = 0; i < counters; i++)
            {
                if (read.Counters[i] >= later[i])
                {
                    Add(found, $"from the future: {read.Node} saw counter {i} at {read.Counters[i]}; who wrote {later[i]} began later");
                }
            }
        }
    }

    private static void Raise(int[] counters, CommitEvent commit)
    {
        foreach ((int counter, int value) in commit.Writes)
        {
            counters[counter] = Math.Max(counters[counter], value);
        }
    }

    private static bool AtLeast(int[] a, int[] b)
    {
        for (int i = 0; i < a.Length; i++)
        {
            if (a[i] < b[i])
            {
                return false;
            }
        }

        return true;
    }

    private static void Add(List<string> found, string violation)
    {
        string kind = violation[..violation.IndexOf(':', StringComparison.Ordinal)];
        if (found.Count(f => f.StartsWith(kind, StringComparison.Ordinal)) < 3)
        {
            found.Add(violation);
        }
    }

    private static string Text(int[] counters) => "(" + string.Join(' ', counters.Select(c => c.ToString(CultureInfo.InvariantCulture))) + ")";
}
