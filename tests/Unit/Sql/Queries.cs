namespace SharedStorage.Unit.Sql;

/// <summary>Tables and queries whose results stock PostgreSQL decides.</summary>
internal static class Queries
{
    public const string Setup = """
        create table d(id int primary key, name varchar(20) not null, loc text default 'nowhere');
        create table e(id int primary key, did int references d(id) on delete cascade, name text, sal numeric(10,2) check (sal > 0), hired date, boss int);
        create index e_did on e(did);
        create unique index e_name on e(lower(name));
        create view rich as select e.name, d.name as dept, e.sal from e join d on d.id = e.did where e.sal > 80 order by e.sal desc;
        create view staff as select did, count(*) as n, max(sal) as top from e group by did having count(*) > 0;
        create domain small as int check (value < 100);
        create table s(v small, b bigint, t timestamp, x text collate "C");
        insert into d values (1,'eng','x'),(2,'ops',null),(3,'hr','nowhere');
        insert into e values (1,1,'Ann',100.5,'2020-01-01',null),(2,1,'Bob',90,'2021-02-03',1),(3,2,'Cy',80.25,'2019-12-31',1),(4,null,'Di',70,null,3);
        insert into s select i, i * 10000000000, timestamp '2020-01-01' + i * interval '1 day', 'row' || i from generate_series(1, 90) i;
        create index s_b on s(b desc);
        create index s_xt on s(x, t);
        create table many(k int primary key, v text);
        insert into many select i, 'row' || i from generate_series(1, 20000) i;
        analyze;
        """;

    public static readonly string[] All = """
        select * from d order by id
        select count(*), min(id), max(id) from d
        select b from s where b between 30000000000 and 500000000000 order by b
        select b from s where b is not null order by b desc
        select x, t from s where x >= 'row5' order by x, t
        select x, t from s where x >= 'row5' order by x desc, t desc
        select count(*) from s where x > 'row1' and t > '2020-02-01'
        select did, count(*) from e where did is not null group by did order by did
        select did from e order by did nulls first
        select d.id, e.did from d left join e on e.did = d.id order by 1, 2
        select id from d where id in (select did from e) order by id desc
        select x, ctid is not null from s where x < 'row2' order by x
        select nosuch from d
        select d.nosuch from d
        select x.id from d
        select * from nosuch
        select id from d, e
        select nofunc(1)
        select 1 + 'a'
        select 'a' || 1
        select true + 1
        select d.name, count(*), sum(e.sal), avg(e.sal), min(e.hired), max(e.hired) from d left join e on e.did = d.id group by d.name order by 1
        select d.id, d.name, count(e.id) from d left join e on e.did=d.id group by d.id order by d.id
        select did, count(*) from e group by did having count(*) > 1 order by 1
        select name, sal from e group by did
        select e.name, b.name as boss from e left join e b on e.boss=b.id order by e.id
        select e.name, b.name as boss from e right join e b on e.boss=b.id order by b.id, e.id
        select * from e full join d on e.did=d.id order by e.id nulls last, d.id
        select * from d natural join (select 1 as id, 'q' as zz) s
        select * from d join e using (id) order by 1
        select id, (select count(*) from e where e.did=d.id) n from d order by 1
        select name from d where exists (select 1 from e where e.did=d.id) order by 1
        select name from d where id in (select did from e) order by 1
        select name from d where id not in (select did from e) order by 1
        select name from d where id not in (select did from e where did is not null) order by 1
        select name from e where sal > all (select sal from e where did=2) order by 1
        select name from e where sal >= any (select sal from e where did=1) order by 1
        select name from e where (did, boss) in (select did, boss from e where id = 2)
        with x as (select * from e where did=1), y as (select count(*) c from x) select x.name, y.c from x, y order by 1
        select 1 union select 2 union select 1 order by 1
        select 1 union all select 1.5 order by 1
        select 1 intersect select 1
        select id from d except select did from e order by 1
        (select id from d order by id limit 1) union all select 99 order by 1 desc
        values (1,'a'),(2,'b')
        select * from (values (1,'a'),(2,'b')) v(x,y) where x>1
        select distinct did from e order by did
        select distinct on (did) did, name from e order by did, sal desc
        select name, sal from e order by sal desc limit 2
        select name, sal from e order by sal desc offset 1 limit 2
        select did, sal from e order by did nulls last fetch first 1 row with ties
        select name from e order by hired nulls first, name
        select case when sal > 85 then 'hi' else 'lo' end c, count(*) from e group by 1 order by 1
        select case did when 1 then 'one' when 2 then 'two' end from e order by id
        select coalesce(hired, '2000-01-01'), nullif(did,1), greatest(1,2,3), least(sal, 75) from e order by id
        select id from e where hired between '2019-01-01' and '2020-12-31' order by id
        select id from e where name like 'A%' or name ilike 'b%' order by id
        select id from e where name ~ '^[AB]' order by id
        select id from e where id in (1,3) order by id
        select id from e where id = any(array[2,4]) order by id
        select id from e where id = any('{2,4}') order by id
        select array[1,2,3], array['a','b'], (array[1,2,3])[2], array[[1,2],[3,4]]
        select '{1,2,3}'::int[], '{a,b}'::text[] || 'c', array_length(array[1,2],1)
        select 1::numeric/3, 7/2, 7%3, -7/2, 2^10, 5::float8/2
        select '12'::int + 1, '1.5'::numeric * 2, cast('t' as bool), 'abc'::varchar(2), 'ab'::char(5) || 'c'
        select 2147483647 + 1
        select 1/0
        select 'x'::int
        select date '2020-02-29' + 1, timestamp '2020-01-01 10:00' + interval '1 day', extract(year from date '2020-05-05')
        select generate_series(1,3)
        select * from generate_series(1,10,3) g
        select g, g*g from generate_series(1,3) g where g > 1
        select generate_series(1,2), generate_series(1,3)
        select * from generate_series(1,3) with ordinality
        select string_agg(name, ',' order by name desc) from e
        select array_agg(id order by id) from e
        select count(distinct did), count(*) filter (where did=1), bool_and(sal>0), sum(id) from e
        select count(*), sum(sal) from e where false
        select sum(id) from e having sum(id) > 100
        select sum(count(*)) from e
        select id from e where count(*) > 1
        select a.id, b.id from e a, e b where a.id < b.id and a.did=b.did order by 1,2
        select a.id, b.n from e a cross join lateral (select count(*) n from e c where c.boss=a.id) b order by 1
        select * from rich
        select r.name from rich r join d on d.name = r.dept order by 1
        select * from staff order by did
        select v, b from s where b = 50000000000
        select v from s where b > 850000000000 order by b
        select v from s where b >= 880000000000 order by b desc
        select v from s order by b limit 3
        select v from s order by b desc limit 3
        select count(*) from s where x = 'row7' and t > '2020-01-01'
        select max(t), min(x) from s where x like 'row1%'
        select v + 1, pg_typeof(v) from s where v between 3 and 5 order by 1
        select 101::small
        select row(1,'a'), row(1,2) = row(1,2), row(1,2) < row(1,3), row(1,null,'x y')
        select x.* from (select 1 a, 2 b) x
        select (select 1 union select 2)
        select 1 where 1 = (select 1 limit 0)
        select 'a' = 'a '::char(2), 'abc' < 'abd', 'a' collate "C" < 'B'
        select 1 limit 0
        select 1 limit -1
        select null = null, null is null, 1 is distinct from null, null is not distinct from null
        select not true, true and null, false and null, true or null
        select -(-5), +5, @ -3, |/ 16.0
        select sum(x) from generate_series(1,100000) x
        select count(*) from generate_series(1,300) a, generate_series(1,300) b where a = b
        select relname, relkind from pg_class where relname like 'pg_cl%' order by 1
        select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid='pg_am'::regclass and attnum>0 order by attnum
        select 'pg_class'::regclass, 'pg_class'::regclass::oid, 'int4'::regtype, 1259::regclass
        select tablename from pg_tables where schemaname='public' order by 1
        select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid in ('d'::regclass, 'e'::regclass) order by 1
        select pg_get_indexdef(indexrelid) from pg_index where indrelid in ('d'::regclass, 'e'::regclass, 's'::regclass) order by 1
        select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 'd'::regclass
        select o.n, p.partstrat, pg_catalog.count(i.inhparent) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on (n.oid = c.relnamespace) cross join lateral (select pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)) as o(n) left join pg_catalog.pg_partitioned_table as p on (p.partrelid = c.oid) left join pg_catalog.pg_inherits as i on (c.oid = i.inhparent) where c.relname = 'e' and o.n is not null group by 1, 2 order by 1 asc limit 1
        """.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}
