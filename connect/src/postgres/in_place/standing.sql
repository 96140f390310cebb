-- What stands in a database, as the user that asks may change it: rows of (what, kind, name, statement).
-- $extensions, $schemas and $tables are arrays of text; $all is whether everything is meant or only what $schemas and $tables name.
WITH RECURSIVE mine AS (
    -- Whose rights the user has without taking the role: a member that inherits nothing has none.
    SELECT oid FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(oid, 'USAGE')
), spaces AS (
    SELECT oid, nspname, nspowner, nspacl, $all OR nspname = ANY ($schemas) AS is_meant
    FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), owned(classid, objid, space, owner) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, oid, relnamespace, relowner FROM pg_catalog.pg_class
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, pronamespace, proowner FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typnamespace, typowner FROM pg_catalog.pg_type
    UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprnamespace, oprowner FROM pg_catalog.pg_operator
    UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, oid, opcnamespace, opcowner FROM pg_catalog.pg_opclass
    UNION ALL SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, oid, opfnamespace, opfowner FROM pg_catalog.pg_opfamily
    UNION ALL SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, oid, collnamespace, collowner FROM pg_catalog.pg_collation
    UNION ALL SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, oid, connamespace, conowner FROM pg_catalog.pg_conversion
    UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid, cfgnamespace, cfgowner FROM pg_catalog.pg_ts_config
    UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid, dictnamespace, dictowner FROM pg_catalog.pg_ts_dict
    -- These belong to nobody, and only superusers make them.
    UNION ALL SELECT 'pg_catalog.pg_ts_parser'::pg_catalog.regclass, oid, prsnamespace, 10 FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT 'pg_catalog.pg_ts_template'::pg_catalog.regclass, oid, tmplnamespace, 10 FROM pg_catalog.pg_ts_template
    UNION ALL SELECT 'pg_catalog.pg_am'::pg_catalog.regclass, oid, 0, 10 FROM pg_catalog.pg_am
    -- These are of whom one of their types is.
    UNION ALL SELECT 'pg_catalog.pg_cast'::pg_catalog.regclass, c.oid, 0, s.typowner FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type s ON s.oid = castsource
    UNION ALL SELECT 'pg_catalog.pg_transform'::pg_catalog.regclass, f.oid, 0, s.typowner FROM pg_catalog.pg_transform f JOIN pg_catalog.pg_type s ON s.oid = trftype
    UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, oid, 0, fdwowner FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, oid, 0, srvowner FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT 'pg_catalog.pg_event_trigger'::pg_catalog.regclass, oid, 0, evtowner FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT 'pg_catalog.pg_publication'::pg_catalog.regclass, oid, 0, pubowner FROM pg_catalog.pg_publication
    UNION ALL SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, oid, 0, lanowner FROM pg_catalog.pg_language
    UNION ALL SELECT 'pg_catalog.pg_extension'::pg_catalog.regclass, oid, 0, extowner FROM pg_catalog.pg_extension WHERE extname <> ALL ($extensions)
), parts AS (
    -- What goes with another: the index of a table, the sequence of a column, the array of a type, all of an extension.
    SELECT DISTINCT classid, objid FROM pg_catalog.pg_depend WHERE deptype IN ('a', 'i', 'e', 'P', 'S') AND objsubid = 0
), objects AS (
    SELECT o.*, i.type, i.schema, i.name, i.identity,
        CASE WHEN o.space = 0 THEN $all ELSE s.is_meant OR (i.schema || '.' || i.name) = ANY ($tables) END AS is_meant,
        o.owner IN (SELECT oid FROM mine) AS is_mine
    FROM owned o LEFT JOIN spaces s ON s.oid = o.space, LATERAL (
        -- The names as they are, without quotes.
        SELECT t.type, s.nspname AS schema, (SELECT relname FROM pg_catalog.pg_class c
            WHERE c.oid = o.objid AND o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass) AS name, t.identity
        FROM pg_catalog.pg_identify_object(o.classid, o.objid, 0) t) i
    WHERE o.objid >= 16384 AND (o.space = 0 OR s.oid IS NOT NULL) AND NOT EXISTS (
        SELECT FROM parts p WHERE p.classid = o.classid AND p.objid = o.objid)
), goes AS (
    SELECT * FROM objects WHERE is_mine AND is_meant
), taken(classid, objid) AS (
    -- With all that belongs to them.
    SELECT classid, objid FROM goes
    UNION SELECT d.classid, d.objid FROM taken t JOIN pg_catalog.pg_depend d ON d.refclassid = t.classid AND d.refobjid = t.objid
        WHERE (d.deptype IN ('a', 'i', 'e', 'P', 'S') OR d.classid = 'pg_catalog.pg_user_mapping'::pg_catalog.regclass AND EXISTS (
            -- Those whose options this user can read, and so has stored.
            SELECT FROM pg_catalog.pg_user_mappings m WHERE m.umid = d.objid AND (m.umuser = 0 OR m.usename = current_user
                OR pg_catalog.current_setting('is_superuser') = 'on')))
        AND NOT (d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_publication_rel r JOIN goes g ON g.objid = r.prpubid WHERE r.oid = d.objid))
), others AS (
    -- What belongs to something that stays and needs something that goes.
    SELECT DISTINCT d.classid, d.objid, d.objsubid FROM taken t
    JOIN pg_catalog.pg_depend d ON d.refclassid = t.classid AND d.refobjid = t.objid
    WHERE NOT EXISTS (SELECT FROM taken o WHERE o.classid = d.classid AND o.objid = d.objid)
), in_way AS (
    SELECT o.*, p.kind, p.space, p.relation, p.name FROM others o LEFT JOIN LATERAL (
        SELECT 'TRIGGER' AS kind, tgrelid AS relation, tgname AS name FROM pg_catalog.pg_trigger
            WHERE o.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND oid = o.objid
        UNION ALL SELECT 'POLICY', polrelid, polname FROM pg_catalog.pg_policy
            WHERE o.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND oid = o.objid
        UNION ALL SELECT 'FK CONSTRAINT', conrelid, conname FROM pg_catalog.pg_constraint
            WHERE o.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND oid = o.objid AND contype = 'f'
        -- Of a part of a database: a publication that stays.
        UNION ALL SELECT 'PUBLICATION TABLE', prrelid, pubname FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = prpubid
            WHERE NOT $all AND o.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND r.oid = o.objid AND pubowner IN (SELECT oid FROM mine)
    ) q ON true LEFT JOIN LATERAL (
        SELECT q.kind, q.name, r.relname AS relation, n.nspname AS space FROM pg_catalog.pg_class r
        JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = q.relation) p ON true
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN others w ON w.classid = d.refclassid AND w.objid = d.refobjid
        WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('i', 'P', 'S'))
), again AS (
    -- Of a part of a database: foreign keys of own tables that stay, and are made again.
    SELECT c.oid, c.conname, r.relkind, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(r.relname) AS relation
    FROM in_way w JOIN pg_catalog.pg_constraint c ON c.oid = w.objid JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
    WHERE NOT $all AND w.kind = 'FK CONSTRAINT' AND r.relowner IN (SELECT oid FROM mine)
), gone AS (
    SELECT s.* FROM spaces s WHERE s.is_meant AND s.oid >= 16384 AND s.nspowner IN (SELECT oid FROM mine)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objid = s.oid AND d.deptype = 'e')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_default_acl a WHERE a.defaclnamespace = s.oid AND a.defaclrole NOT IN (SELECT oid FROM mine))
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = s.oid
        AND d.classid <> 'pg_catalog.pg_default_acl'::pg_catalog.regclass
        AND NOT EXISTS (SELECT FROM taken t WHERE t.classid = d.classid AND t.objid = d.objid))
), kept AS (
    SELECT s.*, s.nspowner IN (SELECT oid FROM mine) AND s.is_meant AS is_mine,
        coalesce((SELECT initprivs FROM pg_catalog.pg_init_privs
            WHERE classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND objoid = s.oid AND objsubid = 0),
            pg_catalog.acldefault('n', s.nspowner)) AS usual
    FROM spaces s WHERE s.oid NOT IN (SELECT oid FROM gone)
), own AS (
    SELECT d.* FROM pg_catalog.pg_database d
    WHERE $all AND datname = pg_catalog.current_database() AND datdba IN (SELECT oid FROM mine)
), grantees AS (
    SELECT oid, pg_catalog.quote_ident(rolname) AS name FROM pg_catalog.pg_roles UNION ALL SELECT 0, 'PUBLIC'
), large AS (
    SELECT count(*) AS count, coalesce(sum(pg_catalog.hashint8(xmin::text::bigint)), 0) AS print,
        pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'UPDATE') AS is_locked
    FROM pg_catalog.pg_largeobject_metadata WHERE $all AND lomowner IN (SELECT oid FROM mine) HAVING count(*) > 0
), rows AS (
    SELECT 1 AS rank, 'role' AS what, CASE WHEN oid IN (SELECT oid FROM mine) THEN 'mine' ELSE 'other' END AS kind, rolname::text AS name, '' AS statement
        FROM pg_catalog.pg_roles
    UNION ALL SELECT 1, 'database', 'mine', datname, '' FROM own
    UNION ALL SELECT 1, 'extension', '', extname, '' FROM pg_catalog.pg_extension WHERE extname = ANY ($extensions)
    -- Tables of others on which triggers may be made, and those that stay on them.
    UNION ALL SELECT 1, 'trigger', CASE WHEN t.tgname IS NULL THEN 'may' ELSE 'has' END, n.nspname || ' ' || c.relname || coalesce(' ' || t.tgname, ''), ''
        FROM pg_catalog.pg_class c JOIN spaces n ON n.oid = c.relnamespace
        LEFT JOIN LATERAL (SELECT NULL AS tgname UNION ALL SELECT tgname FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal) t ON true
        WHERE $all AND c.relkind IN ('r', 'p', 'v', 'f') AND c.relowner NOT IN (SELECT oid FROM mine) AND pg_catalog.has_table_privilege(c.oid, 'TRIGGER')
    UNION ALL SELECT 1, 'member', '', n.nspname || ' ' || c.relname, '' FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e' AND c.relkind = 'r'
    UNION ALL SELECT 1, 'kept', CASE WHEN is_mine THEN 'mine' ELSE 'other' END, nspname, '' FROM kept
    UNION ALL SELECT 2, 'stays', 'schema ' || coalesce(schema, '-') || ', of ' || pg_catalog.pg_get_userbyid(owner), count(*)::text, ''
        FROM objects WHERE is_meant AND NOT is_mine GROUP BY schema, owner
    UNION ALL SELECT 2, 'subscription', '', subname, 'subscription ' || pg_catalog.quote_ident(subname) || ' stays as it is, and knows the tables that come only after ALTER SUBSCRIPTION '
            || pg_catalog.quote_ident(subname) || ' REFRESH PUBLICATION'
        FROM pg_catalog.pg_subscription JOIN pg_catalog.pg_database d ON d.oid = subdbid WHERE $all AND d.datname = pg_catalog.current_database()
    UNION ALL SELECT 2, 'unseen', '', '', 'what others write into large objects that are there while these are restored is lost: this user may not lock them' FROM large WHERE NOT is_locked
    UNION ALL SELECT 3, 'part', kind, coalesce(CASE kind WHEN 'PUBLICATION TABLE' THEN space || ' ' || name || ' ' || relation ELSE space || ' ' || relation || ' ' || name END, ''),
            pg_catalog.pg_describe_object(classid, objid, objsubid)
        FROM in_way WHERE kind IS NOT NULL AND objid NOT IN (SELECT oid FROM again)
    UNION ALL SELECT 3, 'again', '', pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, oid, 0), 'ALTER TABLE ' || CASE relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || relation
            || ' ADD CONSTRAINT ' || pg_catalog.quote_ident(conname) || ' ' || pg_catalog.pg_get_constraintdef(oid) FROM again
    UNION ALL SELECT 4, 'again', '', '', 'COMMENT ON CONSTRAINT ' || pg_catalog.quote_ident(conname) || ' ON ' || relation || ' IS ' || pg_catalog.quote_literal(d.said)
        FROM again, LATERAL (SELECT pg_catalog.obj_description(oid, 'pg_constraint') AS said) d WHERE d.said IS NOT NULL
    UNION ALL SELECT 4, 'lock', '', '', 'LOCK TABLE ONLY ' || relation FROM again
    UNION ALL SELECT 3, 'needed', '', '', pg_catalog.pg_describe_object(classid, objid, objsubid) FROM in_way WHERE kind IS NULL
    UNION ALL SELECT 4, 'lock', '', '', 'LOCK TABLE ONLY ' || pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(c.relname)
        FROM taken t JOIN pg_catalog.pg_class c ON c.oid = t.objid JOIN spaces s ON s.oid = c.relnamespace
        WHERE t.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.relkind IN ('r', 'p') AND c.relowner IN (SELECT oid FROM mine)
    -- Nothing changes, and nobody else takes a number. Sequences know no other lock.
    UNION ALL SELECT 4, 'number', '', '', 'ALTER SEQUENCE ' || pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(c.relname) || ' CACHE ' || q.seqcache
        FROM taken t JOIN pg_catalog.pg_class c ON c.oid = t.objid JOIN spaces s ON s.oid = c.relnamespace
        JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
        WHERE t.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.relowner IN (SELECT oid FROM mine)
    UNION ALL SELECT 4, 'lock', 'catalog', '', 'LOCK TABLE ONLY pg_catalog.pg_largeobject, ONLY pg_catalog.pg_largeobject_metadata'
        FROM large WHERE is_locked
    UNION ALL SELECT 5, 'drop', type, type || ' ' || identity, CASE
            WHEN classid = 'pg_catalog.pg_proc'::pg_catalog.regclass THEN 'DROP ROUTINE IF EXISTS ' || identity
            WHEN classid = 'pg_catalog.pg_transform'::pg_catalog.regclass THEN 'DROP TRANSFORM IF EXISTS ' || replace(identity, ' on language ', ' LANGUAGE ')
            ELSE 'DROP ' || CASE type WHEN 'foreign-data wrapper' THEN type ELSE upper(type) END || ' IF EXISTS ' || identity
        END || ' CASCADE' FROM goes
    UNION ALL SELECT 5, 'drop', 'large objects', count || ' large objects',
            'DO ''BEGIN PERFORM pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE pg_catalog.pg_has_role(lomowner, ''''USAGE''''); END'''
        FROM large
    UNION ALL SELECT 6, 'drop', 'schema', 'schema ' || pg_catalog.quote_ident(nspname), 'DROP SCHEMA ' || pg_catalog.quote_ident(nspname) FROM gone
    UNION ALL SELECT 7, 'reset', '', nspname, 'REVOKE ALL ON SCHEMA ' || pg_catalog.quote_ident(nspname) || ' FROM ' || g.name
        FROM (SELECT DISTINCT nspname, a.grantee FROM kept, LATERAL pg_catalog.aclexplode(nspacl) a WHERE is_mine) a JOIN grantees g ON g.oid = a.grantee
    UNION ALL SELECT 8, 'reset', '', nspname, 'GRANT ' || a.privilege_type || ' ON SCHEMA ' || pg_catalog.quote_ident(nspname) || ' TO ' || g.name
        FROM kept, LATERAL pg_catalog.aclexplode(usual) a JOIN grantees g ON g.oid = a.grantee WHERE is_mine AND nspacl IS NOT NULL
    UNION ALL SELECT 8, 'reset', '', nspname, 'COMMENT ON SCHEMA ' || pg_catalog.quote_ident(nspname) || ' IS '
            || CASE nspname WHEN 'public' THEN '''standard public schema''' ELSE 'NULL' END FROM kept WHERE is_mine
    UNION ALL SELECT 7, 'reset', '', 'database', 'REVOKE ALL ON DATABASE ' || pg_catalog.quote_ident(datname) || ' FROM ' || g.name
        FROM (SELECT DISTINCT datname, a.grantee FROM own, LATERAL pg_catalog.aclexplode(datacl) a) a JOIN grantees g ON g.oid = a.grantee
    UNION ALL SELECT 8, 'reset', '', 'database', 'GRANT ' || a.privilege_type || ' ON DATABASE ' || pg_catalog.quote_ident(datname) || ' TO ' || g.name
        FROM own, LATERAL pg_catalog.aclexplode(pg_catalog.acldefault('d', datdba)) a JOIN grantees g ON g.oid = a.grantee WHERE datacl IS NOT NULL
    UNION ALL SELECT 8, 'reset', '', 'database', change FROM own, LATERAL (VALUES
        ('COMMENT ON DATABASE ' || pg_catalog.quote_ident(datname) || ' IS NULL'),
        ('ALTER DATABASE ' || pg_catalog.quote_ident(datname) || ' RESET ALL'),
        ('ALTER DATABASE ' || pg_catalog.quote_ident(datname) || ' CONNECTION LIMIT -1')) c(change)
    UNION ALL SELECT p.rank, 'reset', '', 'default privileges', 'ALTER DEFAULT PRIVILEGES FOR ROLE ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.defaclrole))
            || coalesce(' IN SCHEMA ' || pg_catalog.quote_ident(k.nspname), '') || p.change
        FROM pg_catalog.pg_default_acl a LEFT JOIN kept k ON k.oid = a.defaclnamespace, LATERAL (
            SELECT CASE a.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END AS word) w,
        LATERAL (
            SELECT 7 AS rank, ' REVOKE ALL ON ' || w.word || ' FROM ' || g.name AS change FROM (SELECT DISTINCT grantee FROM pg_catalog.aclexplode(a.defaclacl)) e
                JOIN grantees g ON g.oid = e.grantee
            UNION ALL SELECT 8, ' GRANT ' || e.privilege_type || ' ON ' || w.word || ' TO ' || g.name
                FROM pg_catalog.aclexplode(pg_catalog.acldefault(CASE a.defaclobjtype WHEN 'S' THEN 's' ELSE a.defaclobjtype END, a.defaclrole)) e
                JOIN grantees g ON g.oid = e.grantee WHERE a.defaclnamespace = 0) p
        WHERE coalesce(k.is_meant, $all) AND a.defaclrole IN (SELECT oid FROM mine) AND (a.defaclnamespace = 0 OR k.oid IS NOT NULL)
)
SELECT what, kind, name, statement FROM (
    SELECT * FROM rows
    -- What it all comes to.
    UNION ALL SELECT 9, 'print', '', (SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(what || ' ' || name || ' ' || statement, ';' ORDER BY rank, what, name, statement)), '')
            FROM rows WHERE rank > 2) || coalesce((SELECT ' ' || print FROM large), ''), ''
) AS all_rows ORDER BY rank, what, name, statement
