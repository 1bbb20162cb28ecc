using System.Globalization;
using SharedStorage.TestKit;

namespace SharedStorage.Unit.Catalog;

/// <summary>What two directories are compared by after the same statements: the rows of the catalogs, numbers included, and pg_dump.</summary>
internal static class CatalogComparison
{
    public static readonly string[] Catalogs =
    [
        "SELECT oid, relname, relnamespace, reltype, reloftype, relowner, relam, relfilenode, reltablespace, relpages, reltuples, relallvisible, reltoastrelid, relhasindex, relisshared,"
            + " relpersistence, relkind, relnatts, relchecks, relhasrules, relhastriggers, relhassubclass, relrowsecurity, relispopulated, relreplident, relispartition, relrewrite,"
            + " relfrozenxid = '0', relminmxid, relacl, reloptions FROM pg_class WHERE oid >= 16384 ORDER BY oid",
        "SELECT attrelid, attname, atttypid, attstattarget, attlen, attnum, attndims, attcacheoff, atttypmod, attbyval, attalign, attstorage, attcompression, attnotnull, atthasdef,"
            + " atthasmissing, attidentity, attgenerated, attisdropped, attislocal, attinhcount, attcollation, attacl, regexp_replace(attoptions::text, '[0-9]+', 'LSN'), attfdwoptions,"
            + " attmissingval FROM pg_attribute WHERE attrelid >= 16384 ORDER BY attrelid, attnum",
        "SELECT * FROM pg_type WHERE oid >= 16384 ORDER BY oid",
        "SELECT oid, adrelid, adnum, regexp_replace(adbin::text, ':location -?[0-9]+', '', 'g') FROM pg_attrdef ORDER BY oid",
        "SELECT oid, conname, connamespace, contype, condeferrable, condeferred, convalidated, conrelid, contypid, conindid, conparentid, confrelid, confupdtype, confdeltype, confmatchtype,"
            + " conislocal, coninhcount, connoinherit, conkey, confkey, conpfeqop, conppeqop, conffeqop, confdelsetcols, conexclop,"
            + " regexp_replace(conbin::text, ':location -?[0-9]+', '', 'g') FROM pg_constraint WHERE oid >= 16384 ORDER BY oid",
        "SELECT indexrelid, indrelid, indnatts, indnkeyatts, indisunique, indnullsnotdistinct, indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid, indcheckxmin, indisready,"
            + " indislive, indisreplident, indkey, indcollation, indclass, indoption, regexp_replace(indexprs::text, ':location -?[0-9]+', '', 'g'),"
            + " regexp_replace(indpred::text, ':location -?[0-9]+', '', 'g') FROM pg_index WHERE indexrelid >= 16384 ORDER BY 1",
        "SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype FROM pg_depend WHERE objid >= 16384 ORDER BY 1, 2, 3, 4, 5, 6, 7",
        "SELECT * FROM pg_shdepend WHERE objid >= 16384 ORDER BY 1, 2, 3, 4, 5",
        "SELECT * FROM pg_sequence ORDER BY seqrelid",
        "SELECT * FROM pg_trigger WHERE oid >= 16384 ORDER BY oid",
        "SELECT * FROM pg_namespace WHERE oid >= 16384 ORDER BY oid",
        "SELECT * FROM pg_description WHERE objoid >= 16384 ORDER BY 1, 2, 3",
    ];

    // The key of \restrict is a random one.
    public static IEnumerable<string> Dump(StockPostgres server) =>
        StockPostgres.Tool("pg_dump", "-h", "127.0.0.1", "-p", server.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", "postgres")
            .Split('\n').Where(line => !line.StartsWith('\\'));
}
