using SharedStorage.Catalog;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Session;

/// <summary>What functions may ask the session.</summary>
internal sealed class SessionInfo(SqlSession session) : ISessionInfo
{
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public string CurrentUser => session.Startup.User;
    public string SessionUser => session.Startup.User;
    public string Database => session.Startup.Database;
    public Oid DatabaseId => session.DatabaseId;
    public int BackendPid => session.Startup.ProcessId;
    public bool IsReader => session.Node.IsReader;
    public int ServerPort => session.Node.Port;
    public long ClockTimestamp => (session.Node.Time.GetUtcNow() - Epoch).Ticks / TimeSpan.TicksPerMicrosecond;
    public long StartTimestamp => session.Node.StartTimestamp;
    public string? GetSetting(string name) => session.GetSetting(name);
    public string SetSetting(string name, string? value, bool local) => session.SetSetting(name, value, local);
    public void CheckCancel() => session.CancelFlag.Check();
    public Transactions.Statistics.TableCounters? CountersOf(Oid table) => session.CountersOf(table);
    public bool CancelBackend(int pid) => session.Node.CancelSession?.Invoke(pid) ?? false;
    public Lsn CurrentWalLsn => session.Node.CurrentLsn?.Invoke() ?? Lsn.Invalid;
    public Lsn FlushedWalLsn => session.Node.FlushedLsn?.Invoke() ?? CurrentWalLsn;
    public Lsn? LastReplayLsn => session.Node.IsReader ? session.Node.CurrentLsn?.Invoke() : null;
    public Xid NextXid => session.Node.Engine.Transactions.NextXid;
    public uint NextMultiXact => session.Node.Engine.Transactions.MultiXacts.Next.Value;
    public IReplayControl? Replay => session.Node.Replay;
    public FullXid CurrentTransactionId(bool assign) => session.TransactionId(assign);
    public long SequenceNext(Oid sequence) => session.Sequences.Next(sequence);
    public long SequenceCurrent(Oid sequence) => session.Sequences.Current(sequence);
    public long SequenceSet(Oid sequence, long value, bool called) => session.Sequences.Set(sequence, value, called);
    public long SequenceLast() => session.Sequences.LastUsed();
    public void SendNotice(string severity, string message) => session.SendNotice(severity, severity == "WARNING" ? SqlStates.Warning : SqlStates.SuccessfulCompletion, message);

    public IReadOnlyList<string> CurrentSchemas(bool includeImplicit)
    {
        if (session.CurrentCatalog is not { } catalog)
        {
            return [];
        }

        var names = new List<string>();
        IReadOnlyList<string> written = [.. session.SearchPathNames.Select(n => n == "$user" ? CurrentUser : n)];
        foreach (Oid schema in session.SearchPath(catalog.View))
        {
            string name = catalog.Schema(schema)!.NspName;
            if (includeImplicit || schema.Value != PgOids.CatalogNamespace || written.Contains(name))
            {
                names.Add(name);
            }
        }

        return names;
    }

    public void Sleep(TimeSpan time)
    {
        long end = session.Node.Time.GetTimestamp() + (long)(time.TotalSeconds * session.Node.Time.TimestampFrequency);
        while (true)
        {
            CheckCancel();
            double left = (end - session.Node.Time.GetTimestamp()) / (double)session.Node.Time.TimestampFrequency;
            if (left <= 0)
            {
                return;
            }

            Thread.Sleep(TimeSpan.FromSeconds(Math.Min(left, 0.05)));
        }
    }
}

public sealed partial class SqlSession
{
    public Oid DatabaseId => _databaseRow.Oid;

    internal string SetSetting(string name, string? value, bool local) => _settings.Set(name, value, local, _savepoints.Count);

    internal FullXid TransactionId(bool assign)
    {
        if (!assign && !Current.TopXidOrInvalid.IsValid)
        {
            return new FullXid(0);
        }

        if (assign)
        {
            RequireWriter("pg_current_xact_id()");
            _ = Current.Xid;
        }

        FullXid next = _node.Engine.Transactions.NextFullXid;
        uint xid = Current.TopXidOrInvalid.Value;
        return new FullXid(xid > next.Xid.Value ? next.Epoch - 1 : next.Epoch, new Xid(xid));
    }
}
