using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>The command tag of a statement that is no query (CreateCommandTag of utility.c), for completions and for refusals.</summary>
internal static class CommandTags
{
    public static string Of(Pg.Node tree) => tree.NodeCase switch
    {
        Pg.Node.NodeOneofCase.CreateStmt => "CREATE TABLE",
        Pg.Node.NodeOneofCase.CreateTableAsStmt => tree.CreateTableAsStmt.IsSelectInto ? "SELECT INTO"
            : tree.CreateTableAsStmt.Objtype == Pg.ObjectType.ObjectMatview ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS",
        Pg.Node.NodeOneofCase.DropStmt => "DROP " + ObjectName(tree.DropStmt.RemoveType),
        Pg.Node.NodeOneofCase.RenameStmt => "ALTER " + ObjectName(Renamed(tree.RenameStmt)),
        Pg.Node.NodeOneofCase.AlterObjectSchemaStmt => "ALTER " + ObjectName(tree.AlterObjectSchemaStmt.ObjectType),
        Pg.Node.NodeOneofCase.AlterOwnerStmt => "ALTER " + ObjectName(tree.AlterOwnerStmt.ObjectType),
        Pg.Node.NodeOneofCase.AlterObjectDependsStmt => "ALTER " + ObjectName(tree.AlterObjectDependsStmt.ObjectType),
        Pg.Node.NodeOneofCase.AlterTableStmt => "ALTER " + ObjectName(tree.AlterTableStmt.Objtype),
        Pg.Node.NodeOneofCase.AlterTableMoveAllStmt => "ALTER " + ObjectName(tree.AlterTableMoveAllStmt.Objtype),
        Pg.Node.NodeOneofCase.AlterFunctionStmt => "ALTER " + ObjectName(tree.AlterFunctionStmt.Objtype),
        Pg.Node.NodeOneofCase.DefineStmt => "CREATE " + ObjectName(tree.DefineStmt.Kind),
        Pg.Node.NodeOneofCase.CreateFunctionStmt => tree.CreateFunctionStmt.IsProcedure ? "CREATE PROCEDURE" : "CREATE FUNCTION",
        Pg.Node.NodeOneofCase.GrantStmt => tree.GrantStmt.IsGrant ? "GRANT" : "REVOKE",
        Pg.Node.NodeOneofCase.GrantRoleStmt => tree.GrantRoleStmt.IsGrant ? "GRANT ROLE" : "REVOKE ROLE",
        Pg.Node.NodeOneofCase.VacuumStmt => tree.VacuumStmt.IsVacuumcmd ? "VACUUM" : "ANALYZE",
        Pg.Node.NodeOneofCase.DiscardStmt => "DISCARD",
        _ => Plain.TryGetValue(tree.NodeCase, out string? tag) ? tag : Spelled(tree.NodeCase),
    };

    private static readonly Dictionary<Pg.Node.NodeOneofCase, string> Plain = new()
    {
        [Pg.Node.NodeOneofCase.IndexStmt] = "CREATE INDEX",
        [Pg.Node.NodeOneofCase.CreateSchemaStmt] = "CREATE SCHEMA",
        [Pg.Node.NodeOneofCase.TruncateStmt] = "TRUNCATE TABLE",
        [Pg.Node.NodeOneofCase.CommentStmt] = "COMMENT",
        [Pg.Node.NodeOneofCase.CopyStmt] = "COPY",
        [Pg.Node.NodeOneofCase.ReindexStmt] = "REINDEX",
        [Pg.Node.NodeOneofCase.ClusterStmt] = "CLUSTER",
        [Pg.Node.NodeOneofCase.CreatedbStmt] = "CREATE DATABASE",
        [Pg.Node.NodeOneofCase.DropdbStmt] = "DROP DATABASE",
        [Pg.Node.NodeOneofCase.AlterDatabaseStmt] = "ALTER DATABASE",
        [Pg.Node.NodeOneofCase.AlterDatabaseSetStmt] = "ALTER DATABASE",
        [Pg.Node.NodeOneofCase.AlterDatabaseRefreshCollStmt] = "ALTER DATABASE",
        [Pg.Node.NodeOneofCase.AlterSystemStmt] = "ALTER SYSTEM",
        [Pg.Node.NodeOneofCase.ViewStmt] = "CREATE VIEW",
        [Pg.Node.NodeOneofCase.CreateSeqStmt] = "CREATE SEQUENCE",
        [Pg.Node.NodeOneofCase.AlterSeqStmt] = "ALTER SEQUENCE",
        [Pg.Node.NodeOneofCase.CreateEnumStmt] = "CREATE TYPE",
        [Pg.Node.NodeOneofCase.CreateRangeStmt] = "CREATE TYPE",
        [Pg.Node.NodeOneofCase.CompositeTypeStmt] = "CREATE TYPE",
        [Pg.Node.NodeOneofCase.AlterEnumStmt] = "ALTER TYPE",
        [Pg.Node.NodeOneofCase.AlterTypeStmt] = "ALTER TYPE",
        [Pg.Node.NodeOneofCase.AlterRoleSetStmt] = "ALTER ROLE",
        [Pg.Node.NodeOneofCase.RefreshMatViewStmt] = "REFRESH MATERIALIZED VIEW",
        [Pg.Node.NodeOneofCase.SecLabelStmt] = "SECURITY LABEL",
        [Pg.Node.NodeOneofCase.CreateTableSpaceStmt] = "CREATE TABLESPACE",
        [Pg.Node.NodeOneofCase.DropTableSpaceStmt] = "DROP TABLESPACE",
        [Pg.Node.NodeOneofCase.AlterTableSpaceOptionsStmt] = "ALTER TABLESPACE",
        [Pg.Node.NodeOneofCase.CreateTrigStmt] = "CREATE TRIGGER",
        [Pg.Node.NodeOneofCase.CreateEventTrigStmt] = "CREATE EVENT TRIGGER",
        [Pg.Node.NodeOneofCase.AlterEventTrigStmt] = "ALTER EVENT TRIGGER",
        [Pg.Node.NodeOneofCase.RuleStmt] = "CREATE RULE",
        [Pg.Node.NodeOneofCase.CreateStatsStmt] = "CREATE STATISTICS",
        [Pg.Node.NodeOneofCase.AlterStatsStmt] = "ALTER STATISTICS",
        [Pg.Node.NodeOneofCase.CreatePlangStmt] = "CREATE LANGUAGE",
        [Pg.Node.NodeOneofCase.CreateFdwStmt] = "CREATE FOREIGN DATA WRAPPER",
        [Pg.Node.NodeOneofCase.AlterFdwStmt] = "ALTER FOREIGN DATA WRAPPER",
        [Pg.Node.NodeOneofCase.CreateForeignServerStmt] = "CREATE SERVER",
        [Pg.Node.NodeOneofCase.AlterForeignServerStmt] = "ALTER SERVER",
        [Pg.Node.NodeOneofCase.CreateOpClassStmt] = "CREATE OPERATOR CLASS",
        [Pg.Node.NodeOneofCase.CreateOpFamilyStmt] = "CREATE OPERATOR FAMILY",
        [Pg.Node.NodeOneofCase.AlterOpFamilyStmt] = "ALTER OPERATOR FAMILY",
        [Pg.Node.NodeOneofCase.CreateAmStmt] = "CREATE ACCESS METHOD",
        [Pg.Node.NodeOneofCase.AlterDefaultPrivilegesStmt] = "ALTER DEFAULT PRIVILEGES",
        [Pg.Node.NodeOneofCase.AlterExtensionContentsStmt] = "ALTER EXTENSION",
        [Pg.Node.NodeOneofCase.AlterTsdictionaryStmt] = "ALTER TEXT SEARCH DICTIONARY",
        [Pg.Node.NodeOneofCase.AlterTsconfigurationStmt] = "ALTER TEXT SEARCH CONFIGURATION",
        [Pg.Node.NodeOneofCase.LoadStmt] = "LOAD",
        [Pg.Node.NodeOneofCase.DoStmt] = "DO",
        [Pg.Node.NodeOneofCase.CallStmt] = "CALL",
        [Pg.Node.NodeOneofCase.ListenStmt] = "LISTEN",
        [Pg.Node.NodeOneofCase.NotifyStmt] = "NOTIFY",
    };

    /// <summary>What PostgreSQL refuses as recovery's, whatever the transaction is: it works outside of transactions, or allows read-only ones.</summary>
    public static bool IsRefusedByRecovery(Pg.Node tree) => tree.NodeCase
        is Pg.Node.NodeOneofCase.VacuumStmt or Pg.Node.NodeOneofCase.ReindexStmt or Pg.Node.NodeOneofCase.ClusterStmt or Pg.Node.NodeOneofCase.CopyStmt;

    private static Pg.ObjectType Renamed(Pg.RenameStmt s) =>
        s.RenameType is Pg.ObjectType.ObjectColumn or Pg.ObjectType.ObjectAttribute ? s.RelationType
        : s.RenameType is Pg.ObjectType.ObjectTabconstraint ? Pg.ObjectType.ObjectTable
        : s.RenameType is Pg.ObjectType.ObjectDomconstraint ? Pg.ObjectType.ObjectDomain : s.RenameType;

    private static string ObjectName(Pg.ObjectType type) => type switch
    {
        Pg.ObjectType.ObjectMatview => "MATERIALIZED VIEW",
        Pg.ObjectType.ObjectForeignTable => "FOREIGN TABLE",
        Pg.ObjectType.ObjectForeignServer => "SERVER",
        Pg.ObjectType.ObjectFdw => "FOREIGN DATA WRAPPER",
        Pg.ObjectType.ObjectEventTrigger => "EVENT TRIGGER",
        Pg.ObjectType.ObjectAccessMethod => "ACCESS METHOD",
        Pg.ObjectType.ObjectOpclass => "OPERATOR CLASS",
        Pg.ObjectType.ObjectOpfamily => "OPERATOR FAMILY",
        Pg.ObjectType.ObjectStatisticExt => "STATISTICS",
        Pg.ObjectType.ObjectTsconfiguration => "TEXT SEARCH CONFIGURATION",
        Pg.ObjectType.ObjectTsdictionary => "TEXT SEARCH DICTIONARY",
        Pg.ObjectType.ObjectTsparser => "TEXT SEARCH PARSER",
        Pg.ObjectType.ObjectTstemplate => "TEXT SEARCH TEMPLATE",
        _ => type.ToString()["Object".Length..].ToUpperInvariant(),
    };

    /// <summary>"CreateRoleStmt" reads as "CREATE ROLE".</summary>
    private static string Spelled(Pg.Node.NodeOneofCase node)
    {
        string name = node.ToString();
        name = name.EndsWith("Stmt", StringComparison.Ordinal) ? name[..^4] : name;
        return string.Concat(name.Select((c, i) => i > 0 && char.IsUpper(c) ? " " + c : c.ToString())).ToUpperInvariant();
    }
}
