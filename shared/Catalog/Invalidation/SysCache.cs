using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Invalidation;

/// <summary>A catalog cache of PostgreSQL: the catalog and the columns (from 1) that are its key.</summary>
public sealed record SysCache(Oid Catalog, IReadOnlyList<short> Keys)
{
    internal SysCache(uint catalog, params short[] keys)
        : this(new Oid(catalog), keys)
    {
    }

    /// <summary>
    /// All caches in the order of PostgreSQL's syscache.h: a message names a cache by its place here. The last one was added in a minor version, at the end,
    /// so that the others kept their places.
    /// </summary>
    public static IReadOnlyList<SysCache> All { get; } =
    [
        new(2600, 1), // AGGFNOID
        new(2601, 2), // AMNAME
        new(2601, 1), // AMOID
        new(2602, 7, 6, 2), // AMOPOPID
        new(2602, 2, 3, 4, 5), // AMOPSTRATEGY
        new(2603, 2, 3, 4, 5), // AMPROCNUM
        new(1249, 1, 2), // ATTNAME
        new(1249, 1, 6), // ATTNUM
        new(1261, 2, 1), // AUTHMEMMEMROLE
        new(1261, 1, 2), // AUTHMEMROLEMEM
        new(1260, 2), // AUTHNAME
        new(1260, 1), // AUTHOID
        new(2605, 2, 3), // CASTSOURCETARGET
        new(2616, 2, 3, 4), // CLAAMNAMENSP
        new(2616, 1), // CLAOID
        new(3456, 2, 7, 3), // COLLNAMEENCNSP
        new(3456, 1), // COLLOID
        new(2607, 3, 5, 6, 1), // CONDEFAULT
        new(2607, 2, 3), // CONNAMENSP
        new(2606, 1), // CONSTROID
        new(2607, 1), // CONVOID
        new(1262, 1), // DATABASEOID
        new(826, 2, 3, 4), // DEFACLROLENSPOBJ
        new(3501, 1), // ENUMOID
        new(3501, 2, 4), // ENUMTYPOIDNAME
        new(3466, 2), // EVENTTRIGGERNAME
        new(3466, 1), // EVENTTRIGGEROID
        new(2328, 2), // FOREIGNDATAWRAPPERNAME
        new(2328, 1), // FOREIGNDATAWRAPPEROID
        new(1417, 2), // FOREIGNSERVERNAME
        new(1417, 1), // FOREIGNSERVEROID
        new(3118, 1), // FOREIGNTABLEREL
        new(2610, 1), // INDEXRELID
        new(2612, 2), // LANGNAME
        new(2612, 1), // LANGOID
        new(2615, 2), // NAMESPACENAME
        new(2615, 1), // NAMESPACEOID
        new(2617, 2, 8, 9, 3), // OPERNAMENSP
        new(2617, 1), // OPEROID
        new(2753, 2, 3, 4), // OPFAMILYAMNAMENSP
        new(2753, 1), // OPFAMILYOID
        new(6243, 2), // PARAMETERACLNAME
        new(6243, 1), // PARAMETERACLOID
        new(3350, 1), // PARTRELID
        new(1255, 2, 20, 3), // PROCNAMEARGSNSP
        new(1255, 1), // PROCOID
        new(6104, 2), // PUBLICATIONNAME
        new(6237, 1), // PUBLICATIONNAMESPACE
        new(6237, 3, 2), // PUBLICATIONNAMESPACEMAP
        new(6104, 1), // PUBLICATIONOID
        new(6106, 1), // PUBLICATIONREL
        new(6106, 3, 2), // PUBLICATIONRELMAP
        new(3541, 3), // RANGEMULTIRANGE
        new(3541, 1), // RANGETYPE
        new(1259, 2, 3), // RELNAMENSP
        new(1259, 1), // RELOID
        new(6000, 1), // REPLORIGIDENT
        new(6000, 2), // REPLORIGNAME
        new(2618, 3, 2), // RULERELNAME
        new(2224, 1), // SEQRELID
        new(3429, 1, 2), // STATEXTDATASTXOID
        new(3381, 3, 4), // STATEXTNAMENSP
        new(3381, 1), // STATEXTOID
        new(2619, 1, 2, 3), // STATRELATTINH
        new(6100, 2, 4), // SUBSCRIPTIONNAME
        new(6100, 1), // SUBSCRIPTIONOID
        new(6102, 2, 1), // SUBSCRIPTIONRELMAP
        new(1213, 1), // TABLESPACEOID
        new(3576, 1), // TRFOID
        new(3576, 2, 3), // TRFTYPELANG
        new(3603, 1, 2, 3), // TSCONFIGMAP
        new(3602, 2, 3), // TSCONFIGNAMENSP
        new(3602, 1), // TSCONFIGOID
        new(3600, 2, 3), // TSDICTNAMENSP
        new(3600, 1), // TSDICTOID
        new(3601, 2, 3), // TSPARSERNAMENSP
        new(3601, 1), // TSPARSEROID
        new(3764, 2, 3), // TSTEMPLATENAMENSP
        new(3764, 1), // TSTEMPLATEOID
        new(1247, 2, 3), // TYPENAMENSP
        new(1247, 1), // TYPEOID
        new(1418, 1), // USERMAPPINGOID
        new(1418, 2, 3), // USERMAPPINGUSERSERVER
        new(3079, 1), // EXTENSIONOID
    ];
}
