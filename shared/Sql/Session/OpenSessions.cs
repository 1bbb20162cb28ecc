using System.Collections.Concurrent;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Session;

/// <summary>The sessions of a node by database: who creates a database as a copy, or drops one, asks whether anybody else is in it (procarray.c).</summary>
public sealed class OpenSessions
{
    private readonly ConcurrentDictionary<SqlSession, Oid> _sessions = new();

    internal void Add(SqlSession session, Oid database) => _sessions[session] = database;

    internal void Remove(SqlSession session) => _sessions.TryRemove(session, out _);

    internal IReadOnlyList<SqlSession> In(Oid database, SqlSession except) =>
        [.. _sessions.Where(p => p.Value == database && !ReferenceEquals(p.Key, except)).Select(p => p.Key)];
}
