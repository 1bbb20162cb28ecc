using System.Globalization;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Parse;
using SharedStorage.Sql.Session;
using SharedStorage.Sql.Types;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>The options of CREATE DATABASE, with PostgreSQL's checks against the template (createdb of dbcommands.c).</summary>
internal sealed record DatabaseOptions
{
    private const int SqlAscii = 0, Utf8 = 6;

    /// <summary>Server encodings that PostgreSQL has and this server does not.</summary>
    private static readonly HashSet<string> OtherEncodings = new(
        ("eucjp euccn euckr euctw eucjis2004 latin1 latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 latin10 win1256 win1258 win866 win874 koi8r win1251 win1252 iso88595 iso88596"
        + " iso88597 iso88598 iso88591 iso88592 win1250 win1253 win1254 win1255 win1257 koi8u muleinternal").Split(' '), StringComparer.Ordinal);

    public string Template { get; private set; } = "template1";
    public Oid Oid { get; private set; }
    private string? Owner { get; set; }
    private string? Tablespace { get; set; }
    private int? Encoding { get; set; }
    private string? Collate { get; set; }
    private string? CType { get; set; }
    private string? IcuLocale { get; set; }
    private string? Provider { get; set; }
    private string? CollationVersion { get; set; }
    private bool IsTemplate { get; set; }
    private bool AllowConnections { get; set; } = true;
    private int ConnectionLimit { get; set; } = -1;

    /// <exception cref="PgException">42601: an unknown option, or one twice. 42704, 22023: a bad value.</exception>
    public static DatabaseOptions Read(IEnumerable<Pg.DefElem> elements, SourceText source)
    {
        var result = new DatabaseOptions();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        string? locale = null;
        foreach (Pg.DefElem option in elements)
        {
            if (!seen.Add(option.Defname))
            {
                throw new PgException(SqlStates.SyntaxError, "conflicting or redundant options") { Position = source.Position(option.Location) };
            }

            if (option.Arg is null)
            {
                // "= DEFAULT".
                continue;
            }

            string text = SqlSession.SettingText(option.Arg);
            if (option.Defname == "locale")
            {
                locale = text;
            }
            else if (!result.Set(option, text, source))
            {
                throw new PgException(SqlStates.SyntaxError, $"option \"{option.Defname}\" not recognized") { Position = source.Position(option.Location) };
            }
        }

        result.Collate ??= locale;
        result.CType ??= locale;
        return result;
    }

    /// <summary>The new database's row, but for its number.</summary>
    /// <exception cref="PgException">The options do not fit the template, or ask for what is not there.</exception>
    public PgDatabase Apply(PgDatabase template, string name, CatalogView view, PgAuthId user)
    {
        Oid owner = Owner is null ? user.Oid : (view.RoleByName(Owner) ?? throw new PgException(SqlStates.UndefinedObject, $"role \"{Owner}\" does not exist")).Oid;
        if (owner != user.Oid && !user.RolSuper)
        {
            throw new PgException(SqlStates.InsufficientPrivilege, $"must be member of role \"{Owner}\"");
        }

        if (Tablespace is not null && Tablespace != "pg_default")
        {
            throw PgException.NotSupported("CREATE DATABASE in a tablespace of its own");
        }

        if (Tablespace is not null && template.DatTablespace != RelFileNode.DefaultTablespace)
        {
            throw PgException.NotSupported("CREATE DATABASE in another tablespace than its template's");
        }

        int encoding = Encoding ?? template.Encoding;
        string collate = Canonical(Collate ?? template.DatCollate), ctype = Canonical(CType ?? template.DatCtype);
        if (Provider == "icu" && template.DatLocProvider != 'i')
        {
            throw PgException.NotSupported("LOCALE_PROVIDER icu");
        }

        CheckEncoding(encoding, ctype, "LC_CTYPE");
        CheckEncoding(encoding, collate, "LC_COLLATE");
        if (IcuLocale is not null && template.DatLocProvider != 'i')
        {
            throw new PgException(SqlStates.InvalidObjectDefinition, "ICU locale cannot be specified unless locale provider is ICU");
        }

        if (template.DatName != "template0")
        {
            CheckSame(template, encoding, collate, ctype);
        }

        return new PgDatabase
        {
            DatName = name,
            DatDba = owner,
            Encoding = encoding,
            DatLocProvider = template.DatLocProvider,
            DatIsTemplate = IsTemplate,
            DatAllowConn = AllowConnections,
            DatConnLimit = ConnectionLimit,
            DatFrozenXid = template.DatFrozenXid,
            DatMinMxid = template.DatMinMxid,
            DatTablespace = template.DatTablespace,
            DatCollate = collate,
            DatCtype = ctype,
            DatIcuLocale = template.DatIcuLocale,
            DatCollVersion = CollationVersion ?? template.DatCollVersion ?? (template.DatLocProvider == 'c' ? Collation.VersionOf(collate) : null),
        };
    }

    private bool Set(Pg.DefElem option, string text, SourceText source)
    {
        switch (option.Defname)
        {
            case "template":
                Template = text;
                return true;
            case "owner":
                Owner = text;
                return true;
            case "tablespace":
                Tablespace = text;
                return true;
            case "encoding":
                Encoding = EncodingOf(option, text, source);
                return true;
            case "lc_collate":
                Collate = text;
                return true;
            case "lc_ctype":
                CType = text;
                return true;
            case "icu_locale":
                IcuLocale = text;
                return true;
            case "locale_provider":
                Provider = text.ToLowerInvariant() is "icu" or "libc" ? text.ToLowerInvariant()
                    : throw new PgException(SqlStates.InvalidObjectDefinition, $"unrecognized locale provider: {text}");
                return true;
            case "is_template":
                IsTemplate = Flag(option, text);
                return true;
            case "allow_connections":
                AllowConnections = Flag(option, text);
                return true;
            case "connection_limit":
                ConnectionLimit = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int n) && n >= -1 ? n
                    : throw new PgException(SqlStates.InvalidParameterValue, $"invalid connection limit: {text}");
                return true;
            case "collation_version":
                CollationVersion = text;
                return true;
            case "oid":
                Oid = new Oid(uint.Parse(text, CultureInfo.InvariantCulture));
                return Oid.Value >= Primitives.Oid.FirstNormal.Value ? true
                    : throw new PgException(SqlStates.InvalidParameterValue, $"OIDs less than {Primitives.Oid.FirstNormal} are reserved for system objects");
            case "strategy":
                return text.ToLowerInvariant() switch
                {
                    "wal_log" => true,
                    "file_copy" => throw PgException.NotSupported("CREATE DATABASE with STRATEGY file_copy"),
                    _ => throw new PgException(SqlStates.InvalidParameterValue, $"invalid create database strategy \"{text}\"")
                    {
                        Hint = "Valid strategies are \"wal_log\" and \"file_copy\".",
                    },
                };
            default:
                return false;
        }
    }

    private static bool Flag(Pg.DefElem option, string text) =>
        SessionSettings.ParseBool(text) ?? throw new PgException(SqlStates.SyntaxError, $"{option.Defname} requires a Boolean value");

    private static int EncodingOf(Pg.DefElem option, string text, SourceText source)
    {
        string bare = new([.. text.Where(char.IsAsciiLetterOrDigit).Select(char.ToLowerInvariant)]);
        bool number = option.Arg.NodeCase == Pg.Node.NodeOneofCase.Integer;
        return (number, bare) switch
        {
            (_, "utf8" or "unicode") or (true, "6") => Utf8,
            (_, "sqlascii") or (true, "0") => SqlAscii,
            _ when OtherEncodings.Contains(bare) || (number && int.TryParse(bare, CultureInfo.InvariantCulture, out int n) && n is > 0 and < 35) => throw PgException.NotSupported($"encoding {text}"),
            _ => throw new PgException(SqlStates.UndefinedObject, number ? $"{text} is not a valid encoding code" : $"{text} is not a valid encoding name") { Position = source.Position(option.Location) },
        };
    }

    /// <summary>The name as the C library gives it back: of the same locale's two names the shorter.</summary>
    private static string Canonical(string name) =>
        Collation.CodeSetOf(name) is null ? throw new PgException(SqlStates.WrongObjectType, $"invalid locale name: \"{name}\"") : name == "POSIX" ? "C" : name;

    private static void CheckEncoding(int encoding, string locale, string what)
    {
        string set = Collation.CodeSetOf(locale)!;
        if (set != "UTF-8" && set != "ANSI_X3.4-1968")
        {
            throw PgException.NotSupported($"locale {locale} with the character set {set}");
        }

        // SQL_ASCII takes any locale from a superuser, and the locales of C take any encoding.
        if (encoding != Utf8 && encoding != SqlAscii)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"encoding \"{NameOf(encoding)}\" does not match locale \"{locale}\"")
            {
                Detail = $"The chosen {what} setting requires encoding \"UTF8\".",
            };
        }
    }

    private static void CheckSame(PgDatabase template, int encoding, string collate, string ctype)
    {
        if (encoding != template.Encoding)
        {
            throw Incompatible($"new encoding ({NameOf(encoding)}) is incompatible with the encoding of the template database ({NameOf(template.Encoding)})", "encoding");
        }

        if (collate != template.DatCollate)
        {
            throw Incompatible($"new collation ({collate}) is incompatible with the collation of the template database ({template.DatCollate})", "collation");
        }

        if (ctype != template.DatCtype)
        {
            throw Incompatible($"new LC_CTYPE ({ctype}) is incompatible with the LC_CTYPE of the template database ({template.DatCtype})", "LC_CTYPE");
        }
    }

    private static PgException Incompatible(string message, string what) => new(SqlStates.InvalidParameterValue, message)
    {
        Hint = $"Use the same {what} as in the template database, or use template0 as template.",
    };

    private static string NameOf(int encoding) => encoding switch
    {
        Utf8 => "UTF8",
        SqlAscii => "SQL_ASCII",
        _ => encoding.ToString(CultureInfo.InvariantCulture),
    };
}
