using SharedStorage.Catalog.Rows;

namespace SharedStorage.Catalog;

/// <summary>
/// The system catalogs of PostgreSQL 15: numbers, columns and indexes, as its catalog headers fix them for catalog version 202209061 (the control file
/// of a directory names that version, so they cannot differ). A column is written "name:type", with a question mark where nulls are allowed.
/// </summary>
public static partial class SystemCatalogs
{
    public static CatalogTable<PgAggregate> Aggregate { get; } = Define<PgAggregate>(
        2600, "pg_aggregate", shared: false, toast: 4159, toastIndex: 4160,
        "aggfnoid:regproc aggkind:char aggnumdirectargs:int2 aggtransfn:regproc aggfinalfn:regproc aggcombinefn:regproc"
        + " aggserialfn:regproc aggdeserialfn:regproc aggmtransfn:regproc aggminvtransfn:regproc aggmfinalfn:regproc aggfinalextra:bool"
        + " aggmfinalextra:bool aggfinalmodify:char aggmfinalmodify:char aggsortop:oid aggtranstype:oid aggtransspace:int4"
        + " aggmtranstype:oid aggmtransspace:int4 agginitval:text? aggminitval:text?",
        Key(2650, "pg_aggregate_fnoid_index", true, true, [1]));

    public static CatalogTable<PgAm> Am { get; } = Define<PgAm>(
        2601, "pg_am", shared: false, toast: 0, toastIndex: 0,
        "oid:oid amname:name amhandler:regproc amtype:char",
        Key(2651, "pg_am_name_index", true, false, [2]),
        Key(2652, "pg_am_oid_index", true, true, [1]));

    public static CatalogTable<PgAmOp> AmOp { get; } = Define<PgAmOp>(
        2602, "pg_amop", shared: false, toast: 0, toastIndex: 0,
        "oid:oid amopfamily:oid amoplefttype:oid amoprighttype:oid amopstrategy:int2 amoppurpose:char amopopr:oid amopmethod:oid"
        + " amopsortfamily:oid",
        Key(2653, "pg_amop_fam_strat_index", true, false, [2, 3, 4, 5]),
        Key(2654, "pg_amop_opr_fam_index", true, false, [7, 6, 2]),
        Key(2756, "pg_amop_oid_index", true, true, [1]));

    public static CatalogTable<PgAmProc> AmProc { get; } = Define<PgAmProc>(
        2603, "pg_amproc", shared: false, toast: 0, toastIndex: 0,
        "oid:oid amprocfamily:oid amproclefttype:oid amprocrighttype:oid amprocnum:int2 amproc:regproc",
        Key(2655, "pg_amproc_fam_proc_index", true, false, [2, 3, 4, 5]),
        Key(2757, "pg_amproc_oid_index", true, true, [1]));

    public static CatalogTable<PgAttrDef> AttrDef { get; } = Define<PgAttrDef>(
        2604, "pg_attrdef", shared: false, toast: 2830, toastIndex: 2831,
        "oid:oid adrelid:oid adnum:int2 adbin:pg_node_tree",
        Key(2656, "pg_attrdef_adrelid_adnum_index", true, false, [2, 3]),
        Key(2657, "pg_attrdef_oid_index", true, true, [1]));

    public static CatalogTable<PgAttribute> Attribute { get; } = Define<PgAttribute>(
        1249, "pg_attribute", shared: false, toast: 0, toastIndex: 0,
        "attrelid:oid attname:name atttypid:oid attstattarget:int4 attlen:int2 attnum:int2 attndims:int4 attcacheoff:int4"
        + " atttypmod:int4 attbyval:bool attalign:char attstorage:char attcompression:char attnotnull:bool atthasdef:bool"
        + " atthasmissing:bool attidentity:char attgenerated:char attisdropped:bool attislocal:bool attinhcount:int4 attcollation:oid"
        + " attacl:_aclitem? attoptions:_text? attfdwoptions:_text? attmissingval:anyarray?",
        Key(2658, "pg_attribute_relid_attnam_index", true, false, [1, 2]),
        Key(2659, "pg_attribute_relid_attnum_index", true, true, [1, 6]));

    public static CatalogTable<PgAuthMembers> AuthMembers { get; } = Define<PgAuthMembers>(
        1261, "pg_auth_members", shared: true, toast: 0, toastIndex: 0,
        "roleid:oid member:oid grantor:oid admin_option:bool",
        Key(2694, "pg_auth_members_role_member_index", true, true, [1, 2]),
        Key(2695, "pg_auth_members_member_role_index", true, false, [2, 1]));

    public static CatalogTable<PgAuthId> AuthId { get; } = Define<PgAuthId>(
        1260, "pg_authid", shared: true, toast: 4175, toastIndex: 4176,
        "oid:oid rolname:name rolsuper:bool rolinherit:bool rolcreaterole:bool rolcreatedb:bool rolcanlogin:bool rolreplication:bool"
        + " rolbypassrls:bool rolconnlimit:int4 rolpassword:text? rolvaliduntil:timestamptz?",
        Key(2676, "pg_authid_rolname_index", true, false, [2]),
        Key(2677, "pg_authid_oid_index", true, true, [1]));

    public static CatalogTable<PgCast> Cast { get; } = Define<PgCast>(
        2605, "pg_cast", shared: false, toast: 0, toastIndex: 0,
        "oid:oid castsource:oid casttarget:oid castfunc:oid castcontext:char castmethod:char",
        Key(2660, "pg_cast_oid_index", true, true, [1]),
        Key(2661, "pg_cast_source_target_index", true, false, [2, 3]));

    public static CatalogTable<PgClass> Class { get; } = Define<PgClass>(
        1259, "pg_class", shared: false, toast: 0, toastIndex: 0,
        "oid:oid relname:name relnamespace:oid reltype:oid reloftype:oid relowner:oid relam:oid relfilenode:oid reltablespace:oid"
        + " relpages:int4 reltuples:float4 relallvisible:int4 reltoastrelid:oid relhasindex:bool relisshared:bool relpersistence:char"
        + " relkind:char relnatts:int2 relchecks:int2 relhasrules:bool relhastriggers:bool relhassubclass:bool relrowsecurity:bool"
        + " relforcerowsecurity:bool relispopulated:bool relreplident:char relispartition:bool relrewrite:oid relfrozenxid:xid"
        + " relminmxid:xid relacl:_aclitem? reloptions:_text? relpartbound:pg_node_tree?",
        Key(2662, "pg_class_oid_index", true, true, [1]),
        Key(2663, "pg_class_relname_nsp_index", true, false, [2, 3]),
        Key(3455, "pg_class_tblspc_relfilenode_index", false, false, [9, 8]));

    public static CatalogTable<PgCollation> Collation { get; } = Define<PgCollation>(
        3456, "pg_collation", shared: false, toast: 6175, toastIndex: 6176,
        "oid:oid collname:name collnamespace:oid collowner:oid collprovider:char collisdeterministic:bool collencoding:int4"
        + " collcollate:text? collctype:text? colliculocale:text? collversion:text?",
        Key(3085, "pg_collation_oid_index", true, true, [1]),
        Key(3164, "pg_collation_name_enc_nsp_index", true, false, [2, 7, 3]));

    public static CatalogTable<PgConstraint> Constraint { get; } = Define<PgConstraint>(
        2606, "pg_constraint", shared: false, toast: 2832, toastIndex: 2833,
        "oid:oid conname:name connamespace:oid contype:char condeferrable:bool condeferred:bool convalidated:bool conrelid:oid"
        + " contypid:oid conindid:oid conparentid:oid confrelid:oid confupdtype:char confdeltype:char confmatchtype:char conislocal:bool"
        + " coninhcount:int4 connoinherit:bool conkey:_int2? confkey:_int2? conpfeqop:_oid? conppeqop:_oid? conffeqop:_oid?"
        + " confdelsetcols:_int2? conexclop:_oid? conbin:pg_node_tree?",
        Key(2579, "pg_constraint_conparentid_index", false, false, [11]),
        Key(2664, "pg_constraint_conname_nsp_index", false, false, [2, 3]),
        Key(2665, "pg_constraint_conrelid_contypid_conname_index", true, false, [8, 9, 2]),
        Key(2666, "pg_constraint_contypid_index", false, false, [9]),
        Key(2667, "pg_constraint_oid_index", true, true, [1]));

    public static CatalogTable<PgDatabase> Database { get; } = Define<PgDatabase>(
        1262, "pg_database", shared: true, toast: 4177, toastIndex: 4178,
        "oid:oid datname:name datdba:oid encoding:int4 datlocprovider:char datistemplate:bool datallowconn:bool datconnlimit:int4"
        + " datfrozenxid:xid datminmxid:xid dattablespace:oid datcollate:text datctype:text daticulocale:text? datcollversion:text?"
        + " datacl:_aclitem?",
        Key(2671, "pg_database_datname_index", true, false, [2]),
        Key(2672, "pg_database_oid_index", true, true, [1]));

    public static CatalogTable<PgDbRoleSetting> DbRoleSetting { get; } = Define<PgDbRoleSetting>(
        2964, "pg_db_role_setting", shared: true, toast: 2966, toastIndex: 2967,
        "setdatabase:oid setrole:oid setconfig:_text?",
        Key(2965, "pg_db_role_setting_databaseid_rol_index", true, true, [1, 2]));

    public static CatalogTable<PgDepend> Depend { get; } = Define<PgDepend>(
        2608, "pg_depend", shared: false, toast: 0, toastIndex: 0,
        "classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid refobjsubid:int4 deptype:char",
        Key(2673, "pg_depend_depender_index", false, false, [1, 2, 3]),
        Key(2674, "pg_depend_reference_index", false, false, [4, 5, 6]));

    public static CatalogTable<PgDescription> Description { get; } = Define<PgDescription>(
        2609, "pg_description", shared: false, toast: 2834, toastIndex: 2835,
        "objoid:oid classoid:oid objsubid:int4 description:text",
        Key(2675, "pg_description_o_c_o_index", true, true, [1, 2, 3]));

    public static CatalogTable<PgEnum> Enum { get; } = Define<PgEnum>(
        3501, "pg_enum", shared: false, toast: 0, toastIndex: 0,
        "oid:oid enumtypid:oid enumsortorder:float4 enumlabel:name",
        Key(3502, "pg_enum_oid_index", true, true, [1]),
        Key(3503, "pg_enum_typid_label_index", true, false, [2, 4]),
        Key(3534, "pg_enum_typid_sortorder_index", true, false, [2, 3]));

    public static CatalogTable<PgExtension> Extension { get; } = Define<PgExtension>(
        3079, "pg_extension", shared: false, toast: 4147, toastIndex: 4148,
        "oid:oid extname:name extowner:oid extnamespace:oid extrelocatable:bool extversion:text extconfig:_oid? extcondition:_text?",
        Key(3080, "pg_extension_oid_index", true, true, [1]),
        Key(3081, "pg_extension_name_index", true, false, [2]));

    public static CatalogTable<PgIndex> Index { get; } = Define<PgIndex>(
        2610, "pg_index", shared: false, toast: 0, toastIndex: 0,
        "indexrelid:oid indrelid:oid indnatts:int2 indnkeyatts:int2 indisunique:bool indnullsnotdistinct:bool indisprimary:bool"
        + " indisexclusion:bool indimmediate:bool indisclustered:bool indisvalid:bool indcheckxmin:bool indisready:bool indislive:bool"
        + " indisreplident:bool indkey:int2vector indcollation:oidvector indclass:oidvector indoption:int2vector indexprs:pg_node_tree?"
        + " indpred:pg_node_tree?",
        Key(2678, "pg_index_indrelid_index", false, false, [2]),
        Key(2679, "pg_index_indexrelid_index", true, true, [1]));

    public static CatalogTable<PgInherits> Inherits { get; } = Define<PgInherits>(
        2611, "pg_inherits", shared: false, toast: 0, toastIndex: 0,
        "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool",
        Key(2187, "pg_inherits_parent_index", false, false, [2]),
        Key(2680, "pg_inherits_relid_seqno_index", true, true, [1, 3]));

    public static CatalogTable<PgInitPrivs> InitPrivs { get; } = Define<PgInitPrivs>(
        3394, "pg_init_privs", shared: false, toast: 4155, toastIndex: 4156,
        "objoid:oid classoid:oid objsubid:int4 privtype:char initprivs:_aclitem",
        Key(3395, "pg_init_privs_o_c_o_index", true, true, [1, 2, 3]));

    public static CatalogTable<PgLanguage> Language { get; } = Define<PgLanguage>(
        2612, "pg_language", shared: false, toast: 4157, toastIndex: 4158,
        "oid:oid lanname:name lanowner:oid lanispl:bool lanpltrusted:bool lanplcallfoid:oid laninline:oid lanvalidator:oid"
        + " lanacl:_aclitem?",
        Key(2681, "pg_language_name_index", true, false, [2]),
        Key(2682, "pg_language_oid_index", true, true, [1]));

    public static CatalogTable<PgNamespace> Namespace { get; } = Define<PgNamespace>(
        2615, "pg_namespace", shared: false, toast: 4163, toastIndex: 4164,
        "oid:oid nspname:name nspowner:oid nspacl:_aclitem?",
        Key(2684, "pg_namespace_nspname_index", true, false, [2]),
        Key(2685, "pg_namespace_oid_index", true, true, [1]));

    public static CatalogTable<PgOpClass> OpClass { get; } = Define<PgOpClass>(
        2616, "pg_opclass", shared: false, toast: 0, toastIndex: 0,
        "oid:oid opcmethod:oid opcname:name opcnamespace:oid opcowner:oid opcfamily:oid opcintype:oid opcdefault:bool opckeytype:oid",
        Key(2686, "pg_opclass_am_name_nsp_index", true, false, [2, 3, 4]),
        Key(2687, "pg_opclass_oid_index", true, true, [1]));

    public static CatalogTable<PgOperator> Operator { get; } = Define<PgOperator>(
        2617, "pg_operator", shared: false, toast: 0, toastIndex: 0,
        "oid:oid oprname:name oprnamespace:oid oprowner:oid oprkind:char oprcanmerge:bool oprcanhash:bool oprleft:oid oprright:oid"
        + " oprresult:oid oprcom:oid oprnegate:oid oprcode:regproc oprrest:regproc oprjoin:regproc",
        Key(2688, "pg_operator_oid_index", true, true, [1]),
        Key(2689, "pg_operator_oprname_l_r_n_index", true, false, [2, 8, 9, 3]));

    public static CatalogTable<PgOpFamily> OpFamily { get; } = Define<PgOpFamily>(
        2753, "pg_opfamily", shared: false, toast: 0, toastIndex: 0,
        "oid:oid opfmethod:oid opfname:name opfnamespace:oid opfowner:oid",
        Key(2754, "pg_opfamily_am_name_nsp_index", true, false, [2, 3, 4]),
        Key(2755, "pg_opfamily_oid_index", true, true, [1]));

    public static CatalogTable<PgProc> Proc { get; } = Define<PgProc>(
        1255, "pg_proc", shared: false, toast: 2836, toastIndex: 2837,
        "oid:oid proname:name pronamespace:oid proowner:oid prolang:oid procost:float4 prorows:float4 provariadic:oid"
        + " prosupport:regproc prokind:char prosecdef:bool proleakproof:bool proisstrict:bool proretset:bool provolatile:char"
        + " proparallel:char pronargs:int2 pronargdefaults:int2 prorettype:oid proargtypes:oidvector proallargtypes:_oid?"
        + " proargmodes:_char? proargnames:_text? proargdefaults:pg_node_tree? protrftypes:_oid? prosrc:text probin:text?"
        + " prosqlbody:pg_node_tree? proconfig:_text? proacl:_aclitem?",
        Key(2690, "pg_proc_oid_index", true, true, [1]),
        Key(2691, "pg_proc_proname_args_nsp_index", true, false, [2, 20, 3]));

    public static CatalogTable<PgRange> Range { get; } = Define<PgRange>(
        3541, "pg_range", shared: false, toast: 0, toastIndex: 0,
        "rngtypid:oid rngsubtype:oid rngmultitypid:oid rngcollation:oid rngsubopc:oid rngcanonical:regproc rngsubdiff:regproc",
        Key(2228, "pg_range_rngmultitypid_index", true, false, [3]),
        Key(3542, "pg_range_rngtypid_index", true, true, [1]));

    public static CatalogTable<PgRewrite> Rewrite { get; } = Define<PgRewrite>(
        2618, "pg_rewrite", shared: false, toast: 2838, toastIndex: 2839,
        "oid:oid rulename:name ev_class:oid ev_type:char ev_enabled:char is_instead:bool ev_qual:pg_node_tree ev_action:pg_node_tree",
        Key(2692, "pg_rewrite_oid_index", true, true, [1]),
        Key(2693, "pg_rewrite_rel_rulename_index", true, false, [3, 2]));

    public static CatalogTable<PgSequence> Sequence { get; } = Define<PgSequence>(
        2224, "pg_sequence", shared: false, toast: 0, toastIndex: 0,
        "seqrelid:oid seqtypid:oid seqstart:int8 seqincrement:int8 seqmax:int8 seqmin:int8 seqcache:int8 seqcycle:bool",
        Key(5002, "pg_sequence_seqrelid_index", true, true, [1]));

    public static CatalogTable<PgShDepend> ShDepend { get; } = Define<PgShDepend>(
        1214, "pg_shdepend", shared: true, toast: 0, toastIndex: 0,
        "dbid:oid classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid deptype:char",
        Key(1232, "pg_shdepend_depender_index", false, false, [1, 2, 3, 4]),
        Key(1233, "pg_shdepend_reference_index", false, false, [5, 6]));

    public static CatalogTable<PgShDescription> ShDescription { get; } = Define<PgShDescription>(
        2396, "pg_shdescription", shared: true, toast: 2846, toastIndex: 2847,
        "objoid:oid classoid:oid description:text",
        Key(2397, "pg_shdescription_o_c_index", true, true, [1, 2]));

    public static CatalogTable<PgStatistic> Statistic { get; } = Define<PgStatistic>(
        2619, "pg_statistic", shared: false, toast: 2840, toastIndex: 2841,
        "starelid:oid staattnum:int2 stainherit:bool stanullfrac:float4 stawidth:int4 stadistinct:float4 stakind1:int2 stakind2:int2"
        + " stakind3:int2 stakind4:int2 stakind5:int2 staop1:oid staop2:oid staop3:oid staop4:oid staop5:oid stacoll1:oid stacoll2:oid"
        + " stacoll3:oid stacoll4:oid stacoll5:oid stanumbers1:_float4? stanumbers2:_float4? stanumbers3:_float4? stanumbers4:_float4?"
        + " stanumbers5:_float4? stavalues1:anyarray? stavalues2:anyarray? stavalues3:anyarray? stavalues4:anyarray? stavalues5:anyarray?",
        Key(2696, "pg_statistic_relid_att_inh_index", true, true, [1, 2, 3]));

    public static CatalogTable<PgTablespace> Tablespace { get; } = Define<PgTablespace>(
        1213, "pg_tablespace", shared: true, toast: 4185, toastIndex: 4186,
        "oid:oid spcname:name spcowner:oid spcacl:_aclitem? spcoptions:_text?",
        Key(2697, "pg_tablespace_oid_index", true, true, [1]),
        Key(2698, "pg_tablespace_spcname_index", true, false, [2]));

    public static CatalogTable<PgTrigger> Trigger { get; } = Define<PgTrigger>(
        2620, "pg_trigger", shared: false, toast: 2336, toastIndex: 2337,
        "oid:oid tgrelid:oid tgparentid:oid tgname:name tgfoid:oid tgtype:int2 tgenabled:char tgisinternal:bool tgconstrrelid:oid"
        + " tgconstrindid:oid tgconstraint:oid tgdeferrable:bool tginitdeferred:bool tgnargs:int2 tgattr:int2vector tgargs:bytea"
        + " tgqual:pg_node_tree? tgoldtable:name? tgnewtable:name?",
        Key(2699, "pg_trigger_tgconstraint_index", false, false, [11]),
        Key(2701, "pg_trigger_tgrelid_tgname_index", true, false, [2, 4]),
        Key(2702, "pg_trigger_oid_index", true, true, [1]));

    public static CatalogTable<PgType> Type { get; } = Define<PgType>(
        1247, "pg_type", shared: false, toast: 4171, toastIndex: 4172,
        "oid:oid typname:name typnamespace:oid typowner:oid typlen:int2 typbyval:bool typtype:char typcategory:char typispreferred:bool"
        + " typisdefined:bool typdelim:char typrelid:oid typsubscript:regproc typelem:oid typarray:oid typinput:regproc typoutput:regproc"
        + " typreceive:regproc typsend:regproc typmodin:regproc typmodout:regproc typanalyze:regproc typalign:char typstorage:char"
        + " typnotnull:bool typbasetype:oid typtypmod:int4 typndims:int4 typcollation:oid typdefaultbin:pg_node_tree? typdefault:text?"
        + " typacl:_aclitem?",
        Key(2703, "pg_type_oid_index", true, true, [1]),
        Key(2704, "pg_type_typname_nsp_index", true, false, [2, 3]));
}
