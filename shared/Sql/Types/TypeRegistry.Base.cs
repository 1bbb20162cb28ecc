namespace SharedStorage.Sql.Types;

/// <summary>The list of built-in types (pg_type.dat): number, name, length, alignment, array.</summary>
public static partial class TypeRegistry
{
    private static List<PgType> BaseTypes()
    {
        var int2 = new IntegerType(short.MinValue, short.MaxValue)
        { Id = 21, Name = "smallint", Length = 2, ByValue = true, Alignment = 2, ArrayId = 1005 };
        var oid = new UnsignedType(ordered: true) { Id = 26, Name = "oid", Length = 4, ByValue = true, ArrayId = 1028 };
        return
        [
            new BoolType { Id = 16, Name = "boolean", Length = 1, ByValue = true, Alignment = 1, ArrayId = 1000 },
            new ByteaType { Id = 17, Name = "bytea", Length = -1, ByValue = false, ArrayId = 1001 },
            new CharType { Id = 18, Name = "\"char\"", Length = 1, ByValue = true, Alignment = 1, ArrayId = 1002 },
            new NameType { Id = 19, Name = "name", Length = 64, ByValue = false, Alignment = 1, ArrayId = 1003 },
            new IntegerType(long.MinValue, long.MaxValue) { Id = 20, Name = "bigint", Length = 8, ByValue = true, Alignment = 8, ArrayId = 1016 },
            int2,
            new VectorType(int2) { Id = 22, Name = "int2vector", Length = -1, ByValue = false, ArrayId = 1006 },
            new IntegerType(int.MinValue, int.MaxValue) { Id = 23, Name = "integer", Length = 4, ByValue = true, ArrayId = 1007 },
            new TextType(limited: false) { Id = 25, Name = "text", Length = -1, ByValue = false, ArrayId = 1009 },
            oid,
            new TidType { Id = 27, Name = "tid", Length = 6, ByValue = false, Alignment = 2, ArrayId = 1010 },
            new UnsignedType(ordered: false) { Id = 28, Name = "xid", Length = 4, ByValue = true, ArrayId = 1011 },
            new UnsignedType(ordered: false) { Id = 29, Name = "cid", Length = 4, ByValue = true, ArrayId = 1012 },
            new VectorType(oid) { Id = 30, Name = "oidvector", Length = -1, ByValue = false, ArrayId = 1013 },
            new FloatType(single: true) { Id = 700, Name = "real", Length = 4, ByValue = true, ArrayId = 1021 },
            new FloatType(single: false) { Id = 701, Name = "double precision", Length = 8, ByValue = true, Alignment = 8, ArrayId = 1022 },
            new CStringType { Id = 705, Name = "unknown", Length = -2, ByValue = false, Alignment = 1 },
            new BpCharType { Id = 1042, Name = "character", Length = -1, ByValue = false, ArrayId = 1014 },
            new TextType(limited: true) { Id = 1043, Name = "character varying", Length = -1, ByValue = false, ArrayId = 1015 },
            new TextType(limited: false) { Id = 194, Name = "pg_node_tree", Length = -1, ByValue = false },
            new DateType { Id = 1082, Name = "date", Length = 4, ByValue = true, ArrayId = 1182 },
            new TimeType { Id = 1083, Name = "time without time zone", Length = 8, ByValue = true, Alignment = 8, ArrayId = 1183 },
            new TimestampType(withZone: false) { Id = 1114, Name = "timestamp without time zone", Length = 8, ByValue = true, Alignment = 8, ArrayId = 1115 },
            new TimestampType(withZone: true) { Id = 1184, Name = "timestamp with time zone", Length = 8, ByValue = true, Alignment = 8, ArrayId = 1185 },
            new IntervalType { Id = 1186, Name = "interval", Length = 16, ByValue = false, Alignment = 8, ArrayId = 1187 },
            new TimeTzType { Id = 1266, Name = "time with time zone", Length = 12, ByValue = false, Alignment = 8, ArrayId = 1270 },
            new NumericType { Id = 1700, Name = "numeric", Length = -1, ByValue = false, ArrayId = 1231 },
            new TextType(limited: false) { Id = 1790, Name = "refcursor", Length = -1, ByValue = false, ArrayId = 2201 },
            new CStringType { Id = 2275, Name = "cstring", Length = -2, ByValue = false, Alignment = 1, ArrayId = 1263 },
            new VoidType { Id = 2278, Name = "void", Length = 4, ByValue = true },
            new RegType(RegKind.Proc) { Id = 24, Name = "regproc", Length = 4, ByValue = true, ArrayId = 1008 },
            new RegType(RegKind.Procedure) { Id = 2202, Name = "regprocedure", Length = 4, ByValue = true, ArrayId = 2207 },
            new RegType(RegKind.Oper) { Id = 2203, Name = "regoper", Length = 4, ByValue = true, ArrayId = 2208 },
            new RegType(RegKind.Operator) { Id = 2204, Name = "regoperator", Length = 4, ByValue = true, ArrayId = 2209 },
            new RegType(RegKind.Class) { Id = 2205, Name = "regclass", Length = 4, ByValue = true, ArrayId = 2210 },
            new RegType(RegKind.Type) { Id = 2206, Name = "regtype", Length = 4, ByValue = true, ArrayId = 2211 },
            new RegType(RegKind.Namespace) { Id = 4089, Name = "regnamespace", Length = 4, ByValue = true, ArrayId = 4090 },
            new RegType(RegKind.Role) { Id = 4096, Name = "regrole", Length = 4, ByValue = true, ArrayId = 4097 },
            new RegType(RegKind.Collation) { Id = 4191, Name = "regcollation", Length = 4, ByValue = true, ArrayId = 4192 },
            new AclItemType { Id = 1033, Name = "aclitem", Length = 12, ByValue = false, ArrayId = 1034 },
            new RecordType { Id = 2249, Name = "record", Length = -1, ByValue = false, Alignment = 8, ArrayId = 2287 },
            new UuidType { Id = 2950, Name = "uuid", Length = 16, ByValue = false, Alignment = 1, ArrayId = 2951 },
            new LsnType { Id = 3220, Name = "pg_lsn", Length = 8, ByValue = true, Alignment = 8, ArrayId = 3221 },
            new Xid8Type { Id = 5069, Name = "xid8", Length = 8, ByValue = true, Alignment = 8, ArrayId = 271 },
        ];
    }
}
