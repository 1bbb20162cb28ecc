-- One look at a node: each line is 'true' when its answers agree, all in one snapshot.
begin isolation level repeatable read;
select 'sums ' || case when a = t and a = b and a = h then 'true' else 'FALSE' end
from (select (select sum(abalance) from pgbench_accounts) a, (select sum(tbalance) from pgbench_tellers) t,
             (select sum(bbalance) from pgbench_branches) b, (select coalesce(sum(delta), 0) from pgbench_history) h) s;
select 'index range ' || case when (select count(*) || ' ' || coalesce(sum(k), 0) from churn where a >= :low and a < :high)
                                 = (select count(*) || ' ' || coalesce(sum(k), 0) from churn where a + 0 >= :low and a + 0 < :high) then 'true' else 'FALSE' end;
select 'index point ' || case when (select coalesce(sum(a), 0) from churn where k = :point)
                                 = (select coalesce(sum(a), 0) from churn where k + 0 = :point) then 'true' else 'FALSE' end;
select 'accounts ' || case when (select coalesce(sum(abalance), 0) from pgbench_accounts where aid = :aid)
                              = (select coalesce(sum(abalance), 0) from pgbench_accounts where aid + 0 = :aid) then 'true' else 'FALSE' end;
commit;
