namespace SharedStorage.Catalog;

/// <summary>Numbers of built-in types (pg_type.dat), for switches and constants.</summary>
public static class PgTypes
{
    public const uint Bool = 16, Bytea = 17, Char = 18, Name = 19, Int8 = 20, Int2 = 21, Int2Vector = 22, Int4 = 23, RegProc = 24, Text = 25, Oid = 26,
        Tid = 27, Xid = 28, Cid = 29, OidVector = 30, Json = 114, Xml = 142, NodeTree = 194, Float4 = 700, Float8 = 701, Unknown = 705, Money = 790,
        Inet = 869, AclItem = 1033, BoolArray = 1000, CharArray = 1002, NameArray = 1003, Int2Array = 1005, Int4Array = 1007, TextArray = 1009,
        Int8Array = 1016, Float4Array = 1021, Float8Array = 1022, OidArray = 1028, AclItemArray = 1034, BpChar = 1042, VarChar = 1043, Date = 1082,
        Time = 1083, Timestamp = 1114, TimestampTz = 1184, Interval = 1186, TimeTz = 1266, Bit = 1560, VarBit = 1562, Numeric = 1700,
        RefCursor = 1790, RegProcedure = 2202, RegOper = 2203, RegOperator = 2204, RegClass = 2205, RegType = 2206, Record = 2249, CString = 2275,
        Any = 2276, AnyArray = 2277, Void = 2278, Trigger = 2279, Internal = 2281, AnyElement = 2283, RecordArray = 2287, AnyNonArray = 2776,
        Uuid = 2950, PgLsn = 3220, AnyEnum = 3500, JsonB = 3802, AnyRange = 3831, RegNamespace = 4089, RegRole = 4096, RegCollation = 4191,
        Xid8 = 5069, AnyCompatible = 5077, AnyCompatibleArray = 5078, AnyCompatibleNonArray = 5079, AnyCompatibleRange = 5080,
        AnyMultiRange = 4537, AnyCompatibleMultiRange = 4538;
}

/// <summary>Numbers of other built-in objects that code names.</summary>
public static class PgOids
{
    public const uint CatalogNamespace = 11, ToastNamespace = 99, PublicNamespace = 2200, BootstrapSuperuser = 10, HeapAm = 2, BtreeAm = 403, HashAm = 405,
        DefaultCollation = 100, CCollation = 950, PosixCollation = 951, InternalLanguage = 12, CLanguage = 13, SqlLanguage = 14,
        DefaultTablespace = 1663, GlobalTablespace = 1664, Template1 = 1;
}
