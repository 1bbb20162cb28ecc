using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>VACUUM and ANALYZE (vacuum.c, analyze.c).</summary>
internal sealed partial class CommandRunner
{
    private string Vacuum(Pg.VacuumStmt s)
    {
        Session.CheckWritable(s.IsVacuumcmd ? "VACUUM" : "ANALYZE");
        throw PgException.NotSupported(s.IsVacuumcmd ? "VACUUM" : "ANALYZE");
    }
}
