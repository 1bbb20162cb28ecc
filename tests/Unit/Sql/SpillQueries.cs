namespace SharedStorage.Unit.Sql;

/// <summary>Queries whose sorts, joins and groups are far larger than 64 kB of work_mem.</summary>
internal static class SpillQueries
{
    public static readonly string[] All =
    [
        "select a from generate_series(1, 40000) a order by a % 997, a desc offset 25000 limit 7",
        "select repeat('x', a % 60) || a from generate_series(1, 9000) a order by 1 offset 8990",
        "select a, a % 7 from generate_series(1, 30000) a order by a % 7 desc nulls last, a limit 9000 offset 8995",
        "select case when a % 5 = 0 then null else a % 1000 end b, a from generate_series(1, 20000) a order by 1 desc nulls first, 2 offset 19990",
        "select count(*), sum(a.i), min(b.j), max(b.j) from generate_series(1, 30000) a(i) join generate_series(1, 60000, 3) b(j) on a.i = b.j",
        "select count(*), count(b.j), sum(a.i), sum(b.j) from generate_series(1, 20000) a(i) left join generate_series(10000, 40000) b(j) on a.i = b.j",
        "select count(*), count(a.i), count(b.j), sum(a.i), sum(b.j) from generate_series(1, 20000) a(i) full join generate_series(15000, 40000) b(j) on a.i = b.j",
        "select count(*), count(a.i), count(b.j) from (select nullif(i % 3000, 7) i from generate_series(1, 9000) i) a full join (select nullif(j, 11) j from generate_series(1, 20000) j) b on a.i = b.j",
        "select count(*), sum(length(b.s)) from generate_series(1, 6000) a(i) join (select j % 6000 j, repeat('y', j % 100) s from generate_series(1, 12000) j) b on a.i = b.j where b.s <> ''",
        "select count(*), sum(a.i + b.j) from (select i, i % 2 k from generate_series(1, 1500) i) a join (select j, j % 2 k from generate_series(1, 1200) j) b on a.k = b.k",
        "select count(*), sum(c), min(k), max(k) from (select i % 9000 k, count(*) c from generate_series(1, 40000) i group by 1) s",
        "select k, c, s from (select 'key ' || (i % 5000) k, count(*) c, sum(i) s from generate_series(1, 20000) i group by 1) t order by k offset 4990",
        "select k, array_agg(i order by i desc) from (select i % 4000 k, i from generate_series(1, 12000) i) t group by k having max(i) > 11995 order by k",
        "select count(distinct i % 7000), sum(distinct i % 31), string_agg(distinct (i % 11)::text, ',') from generate_series(1, 30000) i",
        "select i % 3 k, count(distinct i % 5000), string_agg((i % 13)::text, '' order by i % 13) is not null from generate_series(1, 15000) i group by 1 order by 1",
        "select count(*), sum(k) from (select distinct i % 12345 k from generate_series(1, 40000) i) s",
        "select distinct on (i % 7000) i % 7000 k, i from generate_series(1, 20000) i order by 1, 2 desc offset 6990",
        "select count(*), sum(x) from (select i % 9000 x from generate_series(1, 30000) i intersect select j from generate_series(1000, 20000) j) s",
        "select count(*), sum(x) from (select i % 9000 x from generate_series(1, 30000) i intersect all select j % 5000 from generate_series(1, 12000) j) s",
        "select count(*), sum(x) from (select i x from generate_series(1, 30000) i except select j from generate_series(1000, 20000) j) s",
        "select count(*), sum(x) from (select i % 7000 x from generate_series(1, 30000) i except all select j from generate_series(1000, 9000) j) s",
        "select count(*), sum(x) from (select i x from generate_series(1, 20000) i union select j from generate_series(10000, 30000) j) s",
        "with t as (select i, repeat('z', 20) || i s from generate_series(1, 12000) i) select count(*), max(a.s), min(b.s) from t a join t b on a.i = b.i + 1",
        "select count(*) from (select i, row(i, 'r' || i) r from generate_series(1, 9000) i order by i % 100) s where r is not null",
        "select count(*), sum(s.n) from generate_series(1, 3) g, lateral (select count(*) n from (select i % (3000 + g) k from generate_series(1, 9000) i group by 1) t) s",
    ];
}
