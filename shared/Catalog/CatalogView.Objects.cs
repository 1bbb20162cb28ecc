using System.Globalization;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using Pg = SharedStorage.Catalog.SystemCatalogs;

namespace SharedStorage.Catalog;

/// <summary>Types, functions, operators, classes, schemas, roles, databases.</summary>
public sealed partial class CatalogView
{
    private static class Keys
    {
        public static readonly CatalogIndex TypeOid = Pg.Type.IndexOn("oid"), TypeName = Pg.Type.IndexOn("typname", "typnamespace"),
            ProcOid = Pg.Proc.IndexOn("oid"), ProcName = Pg.Proc.IndexOn("proname", "proargtypes", "pronamespace"),
            OperatorOid = Pg.Operator.IndexOn("oid"), OperatorName = Pg.Operator.IndexOn("oprname", "oprleft", "oprright", "oprnamespace"),
            Cast = Pg.Cast.IndexOn("castsource", "casttarget"), Aggregate = Pg.Aggregate.IndexOn("aggfnoid"),
            OpClassOid = Pg.OpClass.IndexOn("oid"), OpClassName = Pg.OpClass.IndexOn("opcmethod", "opcname", "opcnamespace"),
            OpFamilyOid = Pg.OpFamily.IndexOn("oid"), AmOpFamily = Pg.AmOp.IndexOn("amopfamily", "amoplefttype", "amoprighttype", "amopstrategy"),
            AmOpOperator = Pg.AmOp.IndexOn("amopopr", "amoppurpose", "amopfamily"),
            AmProc = Pg.AmProc.IndexOn("amprocfamily", "amproclefttype", "amprocrighttype", "amprocnum"),
            AmOid = Pg.Am.IndexOn("oid"), AmName = Pg.Am.IndexOn("amname"), NamespaceOid = Pg.Namespace.IndexOn("oid"),
            NamespaceName = Pg.Namespace.IndexOn("nspname"), RoleOid = Pg.AuthId.IndexOn("oid"), RoleName = Pg.AuthId.IndexOn("rolname"),
            Members = Pg.AuthMembers.IndexOn("member", "roleid"), DatabaseOid = Pg.Database.IndexOn("oid"), DatabaseName = Pg.Database.IndexOn("datname"),
            TablespaceOid = Pg.Tablespace.IndexOn("oid"), TablespaceName = Pg.Tablespace.IndexOn("spcname"),
            CollationOid = Pg.Collation.IndexOn("oid"), CollationName = Pg.Collation.IndexOn("collname", "collencoding", "collnamespace"),
            LanguageOid = Pg.Language.IndexOn("oid"), LanguageName = Pg.Language.IndexOn("lanname"), Range = Pg.Range.IndexOn("rngtypid"),
            EnumOid = Pg.Enum.IndexOn("oid"), EnumType = Pg.Enum.IndexOn("enumtypid", "enumsortorder"),
            Setting = Pg.DbRoleSetting.IndexOn("setdatabase", "setrole"), Description = Pg.Description.IndexOn("objoid", "classoid", "objsubid");
    }

    public PgType? TypeById(Oid id) => Row(Pg.Type, CatalogKey.Of(Keys.TypeOid, id));
    public PgType? TypeByName(string name, Oid schema) => Row(Pg.Type, CatalogKey.Of(Keys.TypeName, name, schema));

    /// <exception cref="PgException">42704.</exception>
    public PgType GetTypeRow(Oid id) => TypeById(id)
        ?? throw new PgException(SqlStates.UndefinedObject, string.Create(CultureInfo.InvariantCulture, $"type with OID {id.Value} does not exist"));

    public PgProc? FunctionById(Oid id) => Row(Pg.Proc, CatalogKey.Of(Keys.ProcOid, id));

    /// <summary>All functions of the name, in all schemas.</summary>
    public IReadOnlyList<PgProc> FunctionsByName(string name) => Rows(Pg.Proc, CatalogKey.Of(Keys.ProcName, name));

    public PgAggregate? AggregateById(Oid function) => Row(Pg.Aggregate, CatalogKey.Of(Keys.Aggregate, function));
    public PgOperator? OperatorById(Oid id) => Row(Pg.Operator, CatalogKey.Of(Keys.OperatorOid, id));

    /// <summary>All operators of the name, in all schemas. A prefix operator has left 0.</summary>
    public IReadOnlyList<PgOperator> OperatorsByName(string name) => Rows(Pg.Operator, CatalogKey.Of(Keys.OperatorName, name));

    /// <summary>The operators (one for each schema) with just these operand types.</summary>
    public IReadOnlyList<PgOperator> OperatorsByName(string name, Oid left, Oid right) => Rows(Pg.Operator, CatalogKey.Of(Keys.OperatorName, name, left, right));

    public PgCast? CastBetween(Oid source, Oid target) => Row(Pg.Cast, CatalogKey.Of(Keys.Cast, source, target));
    public IReadOnlyList<PgCast> CastsFrom(Oid source) => Rows(Pg.Cast, CatalogKey.Of(Keys.Cast, source));

    public PgOpClass? OpClassById(Oid id) => Row(Pg.OpClass, CatalogKey.Of(Keys.OpClassOid, id));
    public IReadOnlyList<PgOpClass> OpClassesOf(Oid accessMethod) => Rows(Pg.OpClass, CatalogKey.Of(Keys.OpClassName, accessMethod));
    public PgOpFamily? OpFamilyById(Oid id) => Row(Pg.OpFamily, CatalogKey.Of(Keys.OpFamilyOid, id));

    /// <summary>All operators of a family.</summary>
    public IReadOnlyList<PgAmOp> OperatorsOfFamily(Oid family) => Rows(Pg.AmOp, CatalogKey.Of(Keys.AmOpFamily, family));

    /// <summary>The places of an operator in families.</summary>
    public IReadOnlyList<PgAmOp> FamiliesOfOperator(Oid operatorId) => Rows(Pg.AmOp, CatalogKey.Of(Keys.AmOpOperator, operatorId));

    /// <summary>The operator of a family for a strategy and operand types; 0 when it has none.</summary>
    public Oid OperatorOfFamily(Oid family, Oid left, Oid right, int strategy)
    {
        foreach (PgAmOp op in Rows(Pg.AmOp, CatalogKey.Of(Keys.AmOpFamily, family, left, right.Value)))
        {
            if (op.AmOpStrategy == strategy)
            {
                return op.AmOpOpr;
            }
        }

        return Oid.Invalid;
    }

    /// <summary>The support function of a family; 0 when it has none.</summary>
    public Oid SupportFunction(Oid family, Oid left, Oid right, int number)
    {
        foreach (PgAmProc proc in Rows(Pg.AmProc, CatalogKey.Of(Keys.AmProc, family, left, right.Value)))
        {
            if (proc.AmProcNum == number)
            {
                return proc.AmProc;
            }
        }

        return Oid.Invalid;
    }

    public PgAm? AccessMethodById(Oid id) => Row(Pg.Am, CatalogKey.Of(Keys.AmOid, id));
    public PgAm? AccessMethodByName(string name) => Row(Pg.Am, CatalogKey.Of(Keys.AmName, name));
    public PgNamespace? NamespaceById(Oid id) => Row(Pg.Namespace, CatalogKey.Of(Keys.NamespaceOid, id));
    public PgNamespace? NamespaceByName(string name) => Row(Pg.Namespace, CatalogKey.Of(Keys.NamespaceName, name));
    public PgAuthId? RoleById(Oid id) => Row(Pg.AuthId, CatalogKey.Of(Keys.RoleOid, id));
    public PgAuthId? RoleByName(string name) => Row(Pg.AuthId, CatalogKey.Of(Keys.RoleName, name));
    public IReadOnlyList<PgAuthMembers> MembershipsOf(Oid role) => Rows(Pg.AuthMembers, CatalogKey.Of(Keys.Members, role));
    public PgDatabase? DatabaseById(Oid id) => Row(Pg.Database, CatalogKey.Of(Keys.DatabaseOid, id));

    /// <summary>Not cached: there is no catalog cache over names of databases, so no message tells of a new one.</summary>
    public PgDatabase? DatabaseByName(string name) => Uncached(Pg.Database, CatalogKey.Of(Keys.DatabaseName, name)).FirstOrDefault();
    public PgTablespace? TablespaceById(Oid id) => Row(Pg.Tablespace, CatalogKey.Of(Keys.TablespaceOid, id));
    public PgTablespace? TablespaceByName(string name) => Uncached(Pg.Tablespace, CatalogKey.Of(Keys.TablespaceName, name)).FirstOrDefault();
    public PgCollation? CollationById(Oid id) => Row(Pg.Collation, CatalogKey.Of(Keys.CollationOid, id));
    public IReadOnlyList<PgCollation> CollationsByName(string name) => Rows(Pg.Collation, CatalogKey.Of(Keys.CollationName, name));
    public PgLanguage? LanguageById(Oid id) => Row(Pg.Language, CatalogKey.Of(Keys.LanguageOid, id));
    public PgLanguage? LanguageByName(string name) => Row(Pg.Language, CatalogKey.Of(Keys.LanguageName, name));
    public PgRange? RangeByType(Oid type) => Row(Pg.Range, CatalogKey.Of(Keys.Range, type));
    public PgEnum? EnumLabelById(Oid id) => Row(Pg.Enum, CatalogKey.Of(Keys.EnumOid, id));

    /// <summary>The labels of an enum in their order.</summary>
    public IReadOnlyList<PgEnum> EnumLabels(Oid type) => Rows(Pg.Enum, CatalogKey.Of(Keys.EnumType, type));

    /// <summary>ALTER DATABASE and ALTER ROLE SET: "name=value" each; 0 for all databases or all roles. Not cached, as it is asked at login only.</summary>
    public IReadOnlyList<string> Settings(Oid database, Oid role) =>
        Uncached(Pg.DbRoleSetting, CatalogKey.Of(Keys.Setting, database, role)).FirstOrDefault()?.SetConfig ?? [];

    public string? CommentOn(Oid catalog, Oid id, int part) =>
        Uncached(Pg.Description, CatalogKey.Of(Keys.Description, id, catalog, part)).FirstOrDefault()?.Description;

    /// <summary>The default class of an access method for a type that has just this input type; callers try binary-coercible types after it.</summary>
    public PgOpClass? DefaultOpClass(Oid accessMethod, Oid type) =>
        OpClassesOf(accessMethod).FirstOrDefault(c => c.OpcDefault && c.OpcInType == type);
}
