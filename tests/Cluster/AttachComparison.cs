using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>
/// The same queries at the same position of the log on a hot standby, whose replay is paused, and on the attached reader, in a repeatable read transaction whose snapshot is
/// that position. Each side may refuse what the primary has removed meanwhile, with SQLSTATE 40001 or 55000; it may never differ.
/// </summary>
internal sealed class AttachComparison(AttachFixture servers) : IDisposable
{
    private static readonly string[] Queries =
    [
        "select count(*), sum(id::bigint), sum(k), max(s) from churn",
        "select id, k, s from churn where k = 13 order by id",
        "select id from churn where id between 100 and 900 order by id desc",
        "select bid, bbalance from pgbench_branches order by bid",
        "select tid, bid, tbalance from pgbench_tellers order by tid",
        "select count(*), sum(abalance), sum(aid::bigint) from pgbench_accounts",
        "select aid, abalance from pgbench_accounts where aid between 5000 and 5400 order by aid",
        "select count(*), coalesce(sum(delta), 0) from pgbench_history",
        "select id, s from emptied order by id",
        "select count(*), min(v), max(v) from restored.a",
        "select id, v from restored.a where id < 200 order by id",
        "select oid, relname, relnamespace, relkind, relfilenode from pg_class where oid >= 16384 order by oid",
        "select attrelid, attnum, attname, atttypid from pg_attribute where attrelid >= 16384 and attnum > 0 order by attrelid, attnum",
        "select indexrelid, indrelid, indisvalid, indisready from pg_index where indexrelid >= 16384 order by indexrelid",
    ];

    /// <summary>undefined_table.</summary>
    private const string Missing = "42P01";

    /// <summary>lock_not_available: replay of the standby stands where a transaction holds the table's exclusive lock, and stays there until this round is over.</summary>
    private const string Locked = "55P03";

    /// <summary>One session a query, so that a conflict of one leaves the others their snapshots.</summary>
    private readonly NpgsqlConnection?[] _sessions = new NpgsqlConnection?[Queries.Length];

    /// <summary>The sessions that have a snapshot at the position of this round.</summary>
    private readonly bool[] _holds = new bool[Queries.Length];

    private int _rounds;
    private int _conflicts;
    private int _locked;

    public int Equal { get; private set; }

    public string LastConflict { get; private set; } = "";

    public override string ToString() => $"{_rounds} rounds: {Equal} equal answers, {_conflicts} refused for conflicts, {_locked} locked on the standby";

    /// <summary>One comparison beside load.</summary>
    public void Round()
    {
        _rounds++;
        using NpgsqlConnection control = AttachTests.Open(servers.Reader);
        using NpgsqlConnection standby = AttachTests.Open(servers.Standby!.Port);
        try
        {
            AttachTests.Execute(standby, "set lock_timeout = '1s'");
            Array.Clear(_holds);
            OpenSessions();

            // Pages that are in the pool already are brought forward by the log, however far storage is by now.
            ForEachSession((_, session, query) => Answer(session, query));
            string position = Meet(standby, control);
            ForEachSession((i, session, _) =>
            {
                AttachTests.Execute(session, "begin isolation level repeatable read");
                AttachTests.Scalar(session, "select 1");
                _holds[i] = true;
            });
            AttachTests.Execute(control, "set sharedstorage.replay_until = ''");
            ForEachSession((i, session, query) =>
            {
                if (!_holds[i])
                {
                    return;
                }

                string ours = Answer(session, query);
                string expected = Answer(standby, query);
                if (expected == Locked)
                {
                    _locked++;
                    return;
                }

                Assert.True(expected == ours, $"at {position}: {query}\nstandby: {Short(expected)}\nattached: {Short(ours)}");
                Equal++;
            });
            ForEachSession((i, session, _) => AttachTests.Execute(session, _holds[i] ? "rollback" : "select 1"));
        }
        finally
        {
            AttachTests.Execute(control, "set sharedstorage.replay_until = ''");
            AttachTests.Execute(standby, "select pg_wal_replay_resume()");
        }
    }

    public void Dispose()
    {
        foreach (NpgsqlConnection? session in _sessions)
        {
            session?.Dispose();
        }
    }

    /// <summary>Before any of them holds a snapshot: a client may be let in only once replay has passed what the catalogs on storage have.</summary>
    private void OpenSessions()
    {
        for (int i = 0; i < Queries.Length; i++)
        {
            if (_sessions[i] is not { State: System.Data.ConnectionState.Open })
            {
                _sessions[i]?.Dispose();
                _sessions[i] = AttachTests.Open(servers.Reader);
            }
        }
    }

    /// <summary>A session that conflicts is out for the rest of the round; the next round gives its query a new one.</summary>
    private void ForEachSession(Action<int, NpgsqlConnection, string> action)
    {
        for (int i = 0; i < Queries.Length; i++)
        {
            try
            {
                if (_sessions[i] is { } session)
                {
                    action(i, session, Queries[i]);
                }
            }
            catch (PostgresException e) when (e.SqlState is "40001" or "55000")
            {
                Refused(i, $"{e.SqlState} {e.MessageText} {e.Detail}");
            }
            catch (NpgsqlException e) when (e is not PostgresException)
            {
                Refused(i, e.Message);
            }
        }
    }

    private void Refused(int query, string why)
    {
        _conflicts++;
        LastConflict = $"{Queries[query]}: {why}";
        _holds[query] = false;
        _sessions[query]?.Dispose();
        _sessions[query] = null;
    }

    /// <summary>At the end of the load: every query, and no excuse.</summary>
    public void Final()
    {
        servers.CatchUp();
        ulong end = AttachFixture.Lsn(servers.Primary.Psql("select pg_current_wal_flush_lsn()"));
        ClusterNode.Await("the standby to catch up", () => AttachFixture.Lsn(servers.Standby!.Psql("select pg_last_wal_replay_lsn()")) >= end);
        using NpgsqlConnection session = AttachTests.Open(servers.Reader);
        using NpgsqlConnection standby = AttachTests.Open(servers.Standby!.Port);
        foreach (string query in Queries.Append("select * from pgbench_accounts order by aid").Append("select * from pgbench_history order by mtime, tid, bid, aid, delta"))
        {
            Assert.Equal(Answer(standby, query), Answer(session, query));
        }
    }

    /// <summary>Brings both to one position and holds the reader there: the standby stops where it happens to be, ahead of where ours has been held.</summary>
    private string Meet(NpgsqlConnection standby, NpgsqlConnection control)
    {
        AttachTests.Execute(control, "set sharedstorage.replay_until = '0/1'");
        ulong held = 0;
        ClusterNode.Await("the reader to hold", () => held == (held = servers.Reader.Status().Applied));
        ClusterNode.Await("the standby to pass the reader", () => AttachFixture.Lsn(AttachTests.Scalar(standby, "select pg_last_wal_replay_lsn()")) > held);
        AttachTests.Execute(standby, "select pg_wal_replay_pause()");
        ClusterNode.Await("the standby's pause", () => AttachTests.Scalar(standby, "select pg_get_wal_replay_pause_state()") == "paused");
        string position = AttachTests.Scalar(standby, "select pg_last_wal_replay_lsn()");
        AttachTests.Execute(control, $"set sharedstorage.replay_until = '{position}'");
        ClusterNode.Await($"the reader to reach {position}", () => servers.Reader.Status().Applied == AttachFixture.Lsn(position));
        return position;
    }

    private static string Answer(NpgsqlConnection connection, string query)
    {
        try
        {
            using var command = new NpgsqlCommand(query, connection) { AllResultTypesAreUnknown = true };
            using NpgsqlDataReader reader = command.ExecuteReader();
            var rows = new System.Text.StringBuilder();
            while (reader.Read())
            {
                for (int i = 0; i < reader.FieldCount; i++)
                {
                    rows.Append(reader.IsDBNull(i) ? "null" : reader.GetString(i)).Append('|');
                }

                rows.Append('\n');
            }

            return rows.ToString();
        }
        catch (PostgresException e) when (e.SqlState is Missing or Locked)
        {
            // Between pg_restore's DROP and its CREATE: on both, or the answers differ.
            return e.SqlState;
        }
    }

    private static string Short(string answer) => answer.Length > 1500 ? answer[..1500] + "..." : answer;
}
