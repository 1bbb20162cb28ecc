using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions.Locks;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>ALTER TABLE (tablecmds.c): its parts in PostgreSQL's order, then one rewrite of the rows if any part needs it.</summary>
internal sealed partial class CommandRunner
{
    /// <summary>What an ALTER TABLE has found to do with the rows.</summary>
    private sealed class Alteration(PgClass table, Relation before)
    {
        public PgClass Table { get; } = table;

        /// <summary>The table as its rows are now.</summary>
        public Relation Before { get; } = before;

        /// <summary>Values of columns in each row, over the row as it was.</summary>
        public List<(short Column, Expr Value)> NewValues { get; } = [];

        /// <summary>Rows are to be made anew, not only looked at.</summary>
        public bool Rewrites { get; set; }

        /// <summary>New columns whose values may be null and must not.</summary>
        public List<short> CheckNotNull { get; } = [];

        public List<(Pg.Constraint, string?)> Constraints { get; } = [];

        public List<Rebuilt> Rebuilt { get; } = [];
    }

    private string AlterTable(Pg.AlterTableStmt s)
    {
        if (s.Objtype == Pg.ObjectType.ObjectIndex)
        {
            return AlterIndex(s);
        }

        if (s.Objtype != Pg.ObjectType.ObjectTable)
        {
            throw PgException.NotSupported(CommandTags.Of(new Pg.Node { AlterTableStmt = s }));
        }

        if (FindToAlter(s.Relation, s.MissingOk, OnlyForeignKeys(s) ? LockMode.ShareRowExclusive : LockMode.AccessExclusive) is { } table)
        {
            Session.ChangeCatalogs(writer =>
            {
                RunAlterations(writer, table, [.. s.Cmds.Select(c => c.AlterTableCmd)]);
                return true;
            });
        }

        return "ALTER TABLE";
    }

    private static bool OnlyForeignKeys(Pg.AlterTableStmt s) =>
        s.Cmds.All(c => c.AlterTableCmd is { Subtype: Pg.AlterTableType.AtAddConstraint, Def.Constraint.Contype: Pg.ConstrType.ConstrForeign });

    /// <summary>The table, locked; null when there is none and that is allowed.</summary>
    private PgClass? FindToAlter(Pg.RangeVar name, bool missingOk, LockMode mode) => Session.Resolve(catalog =>
    {
        Analyzer analyzer = Session.NewAnalyzer(catalog, Source);
        PgClass? row = missingOk ? analyzer.FindRelation(name) : analyzer.ResolveRelation(name);
        if (row is null)
        {
            Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, $"relation \"{name.Relname}\" does not exist, skipping");
            return null;
        }

        if (row.RelKind != 'r')
        {
            throw row.RelKind == 'p' ? PgException.NotSupported("a partitioned table") : new PgException(SqlStates.WrongObjectType, $"\"{row.RelName}\" is not a table");
        }

        CheckNoSystemCatalog(row);
        Session.LockRelation(catalog, row.Oid, mode);
        return row;
    });

    private static void CheckNoSystemCatalog(PgClass row)
    {
        if (row.Oid.Value < Oid.FirstNormal.Value)
        {
            throw new PgException(SqlStates.InsufficientPrivilege, $"permission denied: \"{row.RelName}\" is a system catalog");
        }
    }

    private void RunAlterations(CatalogWriter writer, PgClass table, IReadOnlyList<Pg.AlterTableCmd> commands)
    {
        var work = new Alteration(table, Session.Refresh(writer).Relation(table.Oid)!);
        if (commands.Any(c => PassOf(c) <= 2))
        {
            CheckNoFamily(writer.View, table);
        }

        foreach (Pg.AlterTableCmd command in commands.OrderBy(PassOf))
        {
            // Columns come before what is said about them, and rows are made anew before indexes and constraints look at them.
            if (PassOf(command) > 2)
            {
                FinishRows(writer, work);
            }

            // Keys of new columns come before checks and foreign keys.
            if (PassOf(command) > 4)
            {
                AddNewColumnConstraints(writer, work);
            }

            RunAlter(writer, work, command);
        }

        FinishRows(writer, work);
        AddNewColumnConstraints(writer, work);
        writer.AddToastIfNeeded(table.Oid);
    }

    private void AddNewColumnConstraints(CatalogWriter writer, Alteration work)
    {
        if (work.Constraints.Count > 0)
        {
            AddConstraints(writer, work.Table.Oid, work.Constraints);
            work.Constraints.Clear();
        }
    }

    /// <summary>The order of parts: what drops, what changes types, what adds columns, the columns' properties and constraints, the rest.</summary>
    private static int PassOf(Pg.AlterTableCmd c) => c.Subtype switch
    {
        Pg.AlterTableType.AtDropColumn or Pg.AlterTableType.AtDropConstraint or Pg.AlterTableType.AtDropNotNull => 0,
        Pg.AlterTableType.AtColumnDefault when c.Def is null => 0,
        Pg.AlterTableType.AtAlterColumnType => 1,
        Pg.AlterTableType.AtAddColumn => 2,
        Pg.AlterTableType.AtSetNotNull => 3,
        Pg.AlterTableType.AtAddConstraint => c.Def.Constraint.Contype is Pg.ConstrType.ConstrPrimary or Pg.ConstrType.ConstrUnique ? 4 : 5,
        Pg.AlterTableType.AtColumnDefault => 5,
        _ => 6,
    };

    // Changes of columns go on to children and partitions; that is not there.
    private static void CheckNoFamily(CatalogView view, PgClass table)
    {
        if (view.GetChildren(table.Oid).Count > 0 || view.GetAttributes(table.Oid).Any(a => a.AttInhCount > 0))
        {
            throw PgException.NotSupported("ALTER TABLE of columns of a table with children or parents");
        }
    }

    private void RunAlter(CatalogWriter writer, Alteration work, Pg.AlterTableCmd command)
    {
        PgClass table = work.Table;
        SessionCatalog catalog = Session.Refresh(writer);
        Relation relation = catalog.Relation(table.Oid)!;
        switch (command.Subtype)
        {
            case Pg.AlterTableType.AtAddConstraint:
                AddConstraints(writer, table.Oid, [(command.Def.Constraint, null)]);
                break;
            case Pg.AlterTableType.AtDropConstraint:
                DropConstraint(writer, catalog, table, command);
                break;
            case Pg.AlterTableType.AtAddColumn:
                AddColumn(writer, work, catalog, command);
                break;
            case Pg.AlterTableType.AtDropColumn:
                DropColumn(writer, table, relation, command);
                break;
            case Pg.AlterTableType.AtAlterColumnType:
                AlterColumnType(writer, work, catalog, relation, command);
                break;
            case Pg.AlterTableType.AtSetNotNull:
                short column = ColumnNumber(relation, command.Name);
                if (!relation.Desc[column - 1].NotNull)
                {
                    CheckNoNulls(relation, [column]);
                    writer.SetNotNull(table.Oid, column);
                }

                break;
            case Pg.AlterTableType.AtDropNotNull:
                DropNotNull(writer, catalog, relation, ColumnNumber(relation, command.Name));
                break;
            case Pg.AlterTableType.AtColumnDefault:
                SetDefault(writer, catalog, relation, command);
                break;
            default:
                RunOtherAlter(writer, catalog, relation, command);
                break;
        }
    }

    /// <summary>What changes the table's properties only.</summary>
    private void RunOtherAlter(CatalogWriter writer, SessionCatalog catalog, Relation relation, Pg.AlterTableCmd command)
    {
        switch (command.Subtype)
        {
            case Pg.AlterTableType.AtSetRelOptions or Pg.AlterTableType.AtResetRelOptions:
                ChangeOptions(writer, relation.Id, command, index: false);
                break;
            case Pg.AlterTableType.AtClusterOn:
                writer.MarkClustered(relation.Id, ClusterIndex(catalog, relation, command.Name).Relation.Id);
                break;
            case Pg.AlterTableType.AtDropCluster:
                writer.MarkClustered(relation.Id, Oid.Invalid);
                break;
            case Pg.AlterTableType.AtSetStatistics when command.Name.Length > 0:
                int target = int.Parse(SqlSession.SettingText(command.Def), System.Globalization.CultureInfo.InvariantCulture);
                writer.ChangeColumn(relation.Id, ColumnNumber(relation, command.Name), c => c with { AttStatTarget = Math.Clamp(target, -1, 10000) });
                break;
            case Pg.AlterTableType.AtSetStorage:
                SetStorage(writer, catalog, relation, command);
                break;
            case Pg.AlterTableType.AtChangeOwner when RoleNamed(catalog, command.Newowner) == relation.Owner:
                break;
            default:
                string name = command.Subtype.ToString();
                throw PgException.NotSupported($"ALTER TABLE {string.Concat(name[2..].Select((c, i) => i > 0 && char.IsUpper(c) ? " " + c : c.ToString())).ToUpperInvariant()}");
        }
    }

    private Oid RoleNamed(SessionCatalog catalog, Pg.RoleSpec role) => role.Roletype == Pg.RoleSpecType.RolespecCstring
        ? (catalog.RoleByName(role.Rolename) ?? throw new PgException(SqlStates.UndefinedObject, $"role \"{role.Rolename}\" does not exist")).Oid
        : Session.User.Oid;

    private void AddColumn(CatalogWriter writer, Alteration work, SessionCatalog catalog, Pg.AlterTableCmd command)
    {
        Oid table = work.Table.Oid;
        Pg.ColumnDef definition = command.Def.ColumnDef;
        if (command.MissingOk && catalog.Relation(table)!.Desc.IndexOf(definition.Colname) >= 0)
        {
            Session.SendNotice("NOTICE", SqlStates.DuplicateColumn, $"column \"{definition.Colname}\" of relation \"{work.Table.RelName}\" already exists, skipping");
            return;
        }

        if (SerialType(definition.TypeName) is not null)
        {
            throw PgException.NotSupported("ADD COLUMN of a serial type");
        }

        NewColumn column = Column(catalog, Session.NewAnalyzer(catalog, Source), definition, work.Constraints);
        if (catalog.Type(column.TypeId) is { TypType: 'd' } domain && (domain.TypNotNull || domain.TypDefaultBin is not null || catalog.DomainChecks(domain.Oid).Count > 0))
        {
            throw PgException.NotSupported("ADD COLUMN of a domain with constraints or a default");
        }

        short number = writer.AddColumn(table, column);
        bool hasMissing = false;
        if (column.Default is { } tree)
        {
            writer.StoreDefault(table, number, tree);
            writer.NextCommand();
            Expr value = NodeTreeReader.ReadExpr(Session.Refresh(writer), tree.ToString());
            if (IsVolatile(value))
            {
                work.NewValues.Add((number, value));
                work.Rewrites = true;
            }
            else if (MissingValue(catalog, column.TypeId, value) is { } missing)
            {
                writer.StoreMissing(table, number, missing);
                hasMissing = true;
            }
        }

        if (column.NotNull && !hasMissing)
        {
            work.CheckNotNull.Add(number);
        }

        writer.AddColumnDependencies(table, number);
        writer.NextCommand();
    }

    private static bool IsVolatile(Expr value) =>
        value.Any(x => x is FuncExpr { Proc.ProVolatile: 'v' } or OpExpr { Proc.ProVolatile: 'v' } or ArrayOpExpr { Proc.ProVolatile: 'v' });

    /// <summary>The default's value now as attmissingval has it; null when it is null.</summary>
    private byte[]? MissingValue(SessionCatalog catalog, Oid type, Expr value)
    {
        (Execute.ExecContext _, Execute.Expressions.ExprCompiler compiler, Transactions.Snapshot snapshot) = Session.NewExecution();
        using (snapshot)
        {
            Datum d = compiler.Compile(value, new Execute.Env(null, null)).Eval();
            _ = catalog;
            return d.IsNull ? null : Types.ArrayBuilder.Build(compiler.TypeOf(type), [d]).Bytes;
        }
    }

    private void DropColumn(CatalogWriter writer, PgClass table, Relation relation, Pg.AlterTableCmd command)
    {
        if (command.MissingOk && relation.Desc.IndexOf(command.Name) < 0)
        {
            Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, $"column \"{command.Name}\" of relation \"{table.RelName}\" does not exist, skipping");
            return;
        }

        if (AttributeIsSystem(command.Name))
        {
            throw new PgException(SqlStates.FeatureNotSupported, $"cannot drop system column \"{command.Name}\"");
        }

        Tell(writer.Drop([ObjectAddress.Relation(table.Oid, ColumnNumber(relation, command.Name))], command.Behavior == Pg.DropBehavior.DropCascade));
    }

    private static bool AttributeIsSystem(string name) => name is "ctid" or "xmin" or "cmin" or "xmax" or "cmax" or "tableoid";

    private static void DropNotNull(CatalogWriter writer, SessionCatalog catalog, Relation relation, short column)
    {
        string name = relation.Desc[column - 1].Name;
        if (relation.Desc[column - 1].Identity is not '\0')
        {
            throw new PgException(SqlStates.SyntaxError, $"column \"{name}\" of relation \"{relation.Name}\" is an identity column");
        }

        if (catalog.Indexes(relation.Id).Any(i => i.IsPrimary && i.Columns.Take(i.KeyCount).Any(c => c.HeapAttribute == column)))
        {
            throw new PgException(SqlStates.InvalidTableDefinition, $"column \"{name}\" is in a primary key");
        }

        writer.DropNotNull(relation.Id, column);
    }

    private void SetDefault(CatalogWriter writer, SessionCatalog catalog, Relation relation, Pg.AlterTableCmd command)
    {
        short number = ColumnNumber(relation, command.Name);
        TupleAttribute a = relation.Desc[number - 1];
        if (a.Identity is not '\0' || a.Generated is not '\0')
        {
            throw a.Identity is not '\0'
                ? new PgException(SqlStates.SyntaxError, $"column \"{a.Name}\" of relation \"{relation.Name}\" is an identity column")
                : new PgException(SqlStates.SyntaxError, $"column \"{a.Name}\" of relation \"{relation.Name}\" is a generated column");
        }

        NodeValue? value = command.Def is null ? null : Default(catalog, Session.NewAnalyzer(catalog, Source), command.Def, a.TypeId, a.TypeModifier, a.Name);
        writer.SetDefault(relation.Id, number, value);
    }

    private static void SetStorage(CatalogWriter writer, SessionCatalog catalog, Relation relation, Pg.AlterTableCmd command)
    {
        string written = SqlSession.SettingText(command.Def).ToLowerInvariant();
        char storage = written switch
        {
            "plain" => 'p',
            "external" => 'e',
            "extended" => 'x',
            "main" => 'm',
            _ => throw new PgException(SqlStates.InvalidParameterValue, $"invalid storage type \"{written}\""),
        };
        short column = ColumnNumber(relation, command.Name);
        if (storage != 'p' && catalog.Type(relation.Desc[column - 1].TypeId) is not { TypStorage: not 'p' })
        {
            throw new PgException(SqlStates.FeatureNotSupported, $"column data type {catalog.Type(relation.Desc[column - 1].TypeId)!.TypName} can only have storage PLAIN");
        }

        writer.ChangeColumn(relation.Id, column, c => c with { AttStorage = storage });
    }

    private void Tell(DropNotice? notice)
    {
        if (notice is not null)
        {
            Session.SendNotice("NOTICE", SqlStates.SuccessfulCompletion, notice.Message, notice.Detail);
        }
    }
}
