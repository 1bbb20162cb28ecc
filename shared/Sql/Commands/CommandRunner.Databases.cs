using System.Globalization;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>CREATE DATABASE and DROP DATABASE (dbcommands.c).</summary>
internal sealed partial class CommandRunner
{
    /// <summary>How long other sessions in the database may take to leave it by themselves, as PostgreSQL waits.</summary>
    private static readonly TimeSpan Leaving = TimeSpan.FromSeconds(5);

    private string CreateDatabase(Pg.CreatedbStmt s)
    {
        Session.CheckNoBlock("CREATE DATABASE");
        var options = DatabaseOptions.Read(s.Options.Select(o => o.DefElem), Source);
        Transaction tx = Session.Tx;
        PgDatabase template = LockDatabase(options.Template, LockMode.Share)
            ?? throw new PgException(SqlStates.InvalidCatalogName, $"template database \"{options.Template}\" does not exist");
        CheckTemplate(template);
        PgDatabase wanted = Session.Resolve(catalog => options.Apply(template, s.Dbname, catalog.View, Session.User));
        if (LockedDatabase(s.Dbname) is not null)
        {
            throw new PgException(SqlStates.DuplicateDatabase, $"database \"{s.Dbname}\" already exists");
        }

        AwaitNobodyIn(template, $"source database \"{template.DatName}\" is being accessed by other users");
        Session.ChangeCatalogs(writer =>
        {
            Oid id = options.Oid.IsValid ? FreeNumber(writer, options.Oid) : NewDatabaseNumber(writer, template.DatTablespace);
            PgDatabase row = wanted with { Oid = id };

            // Its unique index settles a race for the name before anything is copied.
            writer.AddDatabase(row, template.Oid);
            bool copied = false;
            try
            {
                using Snapshot snapshot = tx.TakeSnapshot();
                new DatabaseCopy(Session.Node.Engine, Session.Node.Catalogs, tx, Session.CancelFlag.Check).Run(template, id, snapshot);
                FaultPoint.Hit("database.copied");
                copied = true;
            }
            finally
            {
                if (!copied)
                {
                    RemoveFolder(row, tx);
                }
            }

            return true;
        });
        CommitDurably();
        return "CREATE DATABASE";
    }

    private string DropDatabase(Pg.DropdbStmt s)
    {
        Session.CheckNoBlock("DROP DATABASE");
        bool force = s.Options.Any(o => o.DefElem.Defname == "force");
        if (s.Options.FirstOrDefault(o => o.DefElem.Defname != "force") is { } other)
        {
            throw Error(SqlStates.SyntaxError, $"unrecognized DROP DATABASE option \"{other.DefElem.Defname}\"", other.DefElem.Location);
        }

        if (LockDatabase(s.Dbname, LockMode.AccessExclusive) is not { } database)
        {
            if (!s.MissingOk)
            {
                throw new PgException(SqlStates.InvalidCatalogName, $"database \"{s.Dbname}\" does not exist");
            }

            Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, $"database \"{s.Dbname}\" does not exist, skipping");
            return "DROP DATABASE";
        }

        if (!Session.User.RolSuper && database.DatDba != Session.User.Oid)
        {
            throw new PgException(SqlStates.InsufficientPrivilege, $"must be owner of database {s.Dbname}");
        }

        if (database.DatIsTemplate)
        {
            throw new PgException(SqlStates.WrongObjectType, "cannot drop a template database");
        }

        if (database.Oid == Session.DatabaseRow.Oid)
        {
            throw new PgException(SqlStates.ObjectInUse, "cannot drop the currently open database");
        }

        if (force)
        {
            EndSessionsIn(database);
        }

        AwaitNobodyIn(database, $"database \"{s.Dbname}\" is being accessed by other users");
        Transaction tx = Session.Tx;
        StorageEngine engine = Session.Node.Engine;
        Lsn dropped = Session.ChangeCatalogs(writer =>
        {
            writer.InvalidateDatabase(database.Oid);
            engine.WritableWal.Flush(engine.WritableWal.Inserted);
            writer.NextCommand();
            writer.RemoveDatabase(database.Oid);
            Lsn end = DatabaseCopy.LogDrop(engine, tx, database.DatTablespace, database.Oid);
            FaultPoint.Hit("database.dropped");
            return end;
        });
        try
        {
            CommitDurably();
        }
        finally
        {
            // I5: its readers go on with the snapshots that they have; the record says that the folder goes, whatever became of the commit.
            Session.Node.RemoveDatabaseFolder!(database.DatTablespace, database.Oid, Lsn.MaxOf(dropped, engine.Transactions.Visible));
        }

        Session.Node.Catalogs.Forget(database.Oid);
        return "DROP DATABASE";
    }

    /// <summary>The row of a database once it is locked; null when there is none of that name (get_db_info). The lock keeps new sessions out, and others from dropping or copying it.</summary>
    private PgDatabase? LockDatabase(string name, LockMode mode)
    {
        while (true)
        {
            if (LockedDatabase(name) is not { } before)
            {
                return null;
            }

            Session.Node.Engine.Locks.Acquire(Session.Tx, LockTag.OfObject(Oid.Invalid, SystemCatalogs.Database.Id, before.Oid), mode);

            // It may have been dropped or renamed while the lock was waited for.
            if (LockedDatabase(name) is { } row && row.Oid == before.Oid)
            {
                return row;
            }
        }
    }

    private PgDatabase? LockedDatabase(string name)
    {
        using Snapshot snapshot = Session.Tx.TakeSnapshot();
        return Session.Node.Catalogs.Shared.View(snapshot).DatabaseByName(name);
    }

    private void CheckTemplate(PgDatabase template)
    {
        if (template.DatConnLimit == CatalogWriter.InvalidDatabase)
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, $"cannot use invalid database \"{template.DatName}\" as template")
            {
                Hint = "Use DROP DATABASE to drop invalid databases.",
            };
        }

        if (!Session.User.RolSuper && !Session.User.RolCreateDb)
        {
            throw new PgException(SqlStates.InsufficientPrivilege, "permission denied to create database");
        }

        if (!template.DatIsTemplate && !Session.User.RolSuper && template.DatDba != Session.User.Oid)
        {
            throw new PgException(SqlStates.InsufficientPrivilege, $"permission denied to copy database \"{template.DatName}\"");
        }
    }

    private Oid NewDatabaseNumber(CatalogWriter writer, Oid tablespace)
    {
        while (true)
        {
            Oid id = writer.NewOid(SystemCatalogs.Database);
            if (!DatabaseCopy.FolderExists(Session.Node.Engine, tablespace, id))
            {
                return id;
            }
        }
    }

    private static Oid FreeNumber(CatalogWriter writer, Oid id) => writer.View.DatabaseById(id) is { } other
        ? throw new PgException(SqlStates.InvalidParameterValue, $"database OID {id} is already in use by database \"{other.DatName}\"")
        : id;

    private void RemoveFolder(PgDatabase database, Transaction tx) => Session.Node.RemoveDatabaseFolder!(
        database.DatTablespace, database.Oid, DatabaseCopy.LogDrop(Session.Node.Engine, tx, database.DatTablespace, database.Oid));

    /// <summary>Sessions of autovacuum are told to leave; others have a moment to do so (CountOtherDBBackends). The lock on the database keeps new ones out.</summary>
    private void AwaitNobodyIn(PgDatabase database, string message)
    {
        long began = Session.Node.Time.GetTimestamp();
        while (true)
        {
            IReadOnlyList<SqlSession> others = Session.Node.Sessions.In(database.Oid, Session);
            int prepared = Session.Node.Engine.Transactions.Prepared.List().Count(p => p.Database == database.Oid);
            if (others.Count == 0 && prepared == 0)
            {
                return;
            }

            foreach (SqlSession session in others.Where(o => o.Startup.IsAutovacuum))
            {
                session.Terminate(new PgException(SqlStates.AdminShutdown, "terminating autovacuum process due to administrator command") { Fatal = true });
            }

            if (Session.Node.Time.GetElapsedTime(began) > Leaving)
            {
                throw new PgException(SqlStates.ObjectInUse, message) { Detail = WhoIsThere(others.Count, prepared) };
            }

            Session.CancelFlag.Check();
            Thread.Sleep(20);
        }
    }

    private static string WhoIsThere(int sessions, int prepared)
    {
        string s = sessions == 1 ? "session" : "sessions", p = prepared == 1 ? "prepared transaction" : "prepared transactions";
        return string.Create(CultureInfo.InvariantCulture, $"{(sessions > 0 && prepared > 0 ? $"There are {sessions} other {s} and {prepared} {p} using the database."
            : sessions > 0 ? $"There {(sessions == 1 ? "is" : "are")} {sessions} other {s} using the database."
            : $"There {(prepared == 1 ? "is" : "are")} {prepared} {p} using the database.")}");
    }

    private void EndSessionsIn(PgDatabase database)
    {
        foreach (SqlSession session in Session.Node.Sessions.In(database.Oid, Session))
        {
            var reason = new PgException(SqlStates.AdminShutdown, "terminating connection due to administrator command") { Fatal = true };
            if (!(Session.Node.TerminateSession?.Invoke(session.Startup.ProcessId, reason) ?? false))
            {
                session.Terminate(reason);
            }
        }
    }

    /// <summary>Files and row are to become durable together, whatever synchronous_commit says (ForceSyncCommit).</summary>
    private void CommitDurably()
    {
        if (Session.Tx.SynchronousCommit == SynchronousCommit.Off)
        {
            Session.Tx.SynchronousCommit = SynchronousCommit.Local;
        }

        Session.NextTransaction();
    }
}
