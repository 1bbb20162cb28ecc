using SharedStorage.Primitives;

namespace SharedStorage.PgWire.Session;

/// <summary>A session as the node's other threads see it: who has to make room for replay asks it, and ends it.</summary>
public interface IServedSession
{
    /// <summary>The number that the client was told (pg_backend_pid).</summary>
    int ProcessId { get; }

    /// <summary>Of the thread that runs the session.</summary>
    int ThreadId { get; }

    /// <summary>Not valid while the client is being let in.</summary>
    Oid Database { get; }

    /// <summary>The oldest snapshot that it reads from; <see cref="Lsn.Max"/> for none.</summary>
    Lsn OldestSnapshot { get; }

    /// <summary>
    /// The client has been told nothing yet; its catalogs are being read. When that fails with 40001 it is done anew with a later snapshot, so such a session is never
    /// cancelled or ended for replay's sake: at most its wait for replay is.
    /// </summary>
    bool IsBeingLetIn { get; }

    /// <summary>A statement runs; without one a session cannot be cancelled, only ended.</summary>
    bool IsRunning { get; }

    /// <summary>The running statement ends with the error.</summary>
    void Cancel(PgException reason);

    /// <summary>The session ends with the FATAL error, whether a statement runs or not.</summary>
    void Terminate(PgException reason);

    /// <summary>The same for a session that cannot tell its client, who does not read: the connection is shut down.</summary>
    void Disconnect(PgException reason);
}
