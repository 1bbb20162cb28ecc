using System.Globalization;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>Stock PostgreSQL on a copy of the directory from before the cluster started, recovered along the cluster's log to a position and no further: what a snapshot at that position must show.</summary>
internal static class StockAt
{
    /// <param name="log">A folder with the cluster's log, or a copy of it from before segments were recycled.</param>
    /// <param name="copy">A copy that was made while nothing ran (<see cref="ClusterFixture.CopyData"/>); it is changed.</param>
    /// <param name="position">Records that end at or before it count; the log must go on beyond it.</param>
    /// <param name="look">What is asked.</param>
    public static T Ask<T>(string log, string copy, Lsn position, Func<StockPostgres, T> look)
    {
        File.AppendAllText(Path.Combine(copy, "postgresql.conf"), string.Create(
            CultureInfo.InvariantCulture,
            $"\nrestore_command = 'cp {log}/%f %p'\nrecovery_target_lsn = '{position}'\nrecovery_target_inclusive = off\nrecovery_target_action = promote\nhot_standby = off\n"));
        StockPostgres.Run("touch", [Path.Combine(copy, "recovery.signal")]);
        using StockPostgres stock = StockPostgres.Adopt(copy);
        stock.Start();
        T answer = look(stock);
        stock.Stop();
        return answer;
    }
}
