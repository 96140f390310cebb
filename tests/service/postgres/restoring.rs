//! Databases that come back: exactly as they were, or not at all.

use chronos_connect::postgres::{DatabaseRestore, Existing, Way, plan_database, restore_database};

use super::*;

/// Everything that a database of an application has.
const SHOP: &str = "
    CREATE EXTENSION pgcrypto;
    CREATE SCHEMA stock;
    CREATE TYPE state AS ENUM ('new', 'sent');
    CREATE TABLE customers(id serial PRIMARY KEY, name text NOT NULL, secret text DEFAULT gen_random_uuid()::text);
    CREATE TABLE orders(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers, state state,
        at timestamptz DEFAULT now(), CHECK (customer > 0));
    CREATE TABLE stock.\"Many Goods\"(sku text, amount numeric(10, 2)) PARTITION BY LIST (sku);
    CREATE TABLE stock.goods_a PARTITION OF stock.\"Many Goods\" FOR VALUES IN ('a');
    CREATE INDEX by_state ON orders(state) WHERE state = 'new';
    CREATE UNIQUE INDEX by_name ON customers(lower(name));
    CREATE VIEW recent AS SELECT * FROM orders WHERE at > now() - interval '1 day';
    CREATE MATERIALIZED VIEW totals AS SELECT state, count(*) FROM orders GROUP BY state;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := now(); RETURN NEW; END $$;
    CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON customers FOR SELECT TO PUBLIC USING (name = current_user);
    COMMENT ON TABLE customers IS 'who; buys\n\\\\ here';
    INSERT INTO customers(name) SELECT 'customer ' || n FROM generate_series(1, 500) n;
    INSERT INTO orders(customer, state) SELECT n, 'new' FROM generate_series(1, 500) n;
    INSERT INTO stock.\"Many Goods\" VALUES ('a', 3.50);
    SELECT lo_from_bytea(0, 'a large object');
    REFRESH MATERIALIZED VIEW totals;";

/// What a database is made of, in words that do not depend on the numbers of its catalogue: one line each.
pub(super) const CATALOG: &str = "
        SELECT 'relation ' || c.oid::regclass || ' ' || relkind::text || ' ' || relrowsecurity::text || ' ' || coalesce(relacl::text, '') AS line
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN ('public', 'stock')
        UNION ALL SELECT 'column ' || attrelid::regclass || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || attnotnull::text || attidentity::text
                || coalesce(attacl::text, '')
            FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname IN ('public', 'stock') AND attnum > 0
        UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) || coalesce(proacl::text, '')
            FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname IN ('public', 'stock') AND prolang <> 13
        UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
            JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN ('public', 'stock')
        UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace <> 'pg_catalog'::regnamespace
        UNION ALL SELECT 'policy ' || policyname || ' ' || tablename || cmd || permissive || coalesce(qual, '') || coalesce(with_check, '') || roles::text FROM pg_policies
        UNION ALL SELECT 'extension ' || extname || extversion FROM pg_extension
        UNION ALL SELECT 'comment ' || description FROM pg_description WHERE objoid = to_regclass('customers')
        UNION ALL SELECT 'sequence ' || sequencename || coalesce(last_value::text, '') FROM pg_sequences";

/// What is in the tables of the shop.
const ROWS: &str = "
        UNION ALL SELECT 'large object ' || encode(lo_get(oid), 'escape') FROM pg_largeobject_metadata
        UNION ALL SELECT 'customers ' || md5(string_agg(c::text, ',' ORDER BY id)) FROM customers c
        UNION ALL SELECT 'orders ' || md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o
        UNION ALL SELECT 'goods ' || g::text FROM stock.\"Many Goods\" g
        UNION ALL SELECT 'totals ' || t::text FROM totals t";

/// All of a shop.
fn fingerprint() -> String {
    format!("SELECT string_agg(line, E'\\n' ORDER BY line) FROM ({CATALOG} {ROWS}) AS lines")
}

/// Rights and settings of the database itself.
fn outside(stage: &Stage, database: &str) -> String {
    stage.server.sql(
        "postgres",
        &format!(
            "SELECT (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(datacl) a), encoding, datcollate, datconnlimit, setconfig, shobj_description(d.oid, 'pg_database'), rolname \
             FROM pg_database d LEFT JOIN pg_db_role_setting ON setdatabase = d.oid JOIN pg_roles r ON r.oid = datdba \
             WHERE datname = '{database}'"
        ),
    )
}

/// A stage with a shop in it that is backed up; its database and a role of it.
fn shop() -> (Stage, String, String) {
    let stage = Stage::new();
    let (database, role) = (fresh("shop"), fresh("seller"));
    stage.server.sql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD 'sells'"));
    stage.server.sql("postgres", &format!("CREATE DATABASE {database} OWNER {role}"));
    stage.server.sql(&database, SHOP);
    stage.server.sql(
        &database,
        &format!(
            "GRANT SELECT ON orders TO {role}; GRANT UPDATE(name) ON customers TO {role}; ALTER TABLE customers OWNER TO {role};
             ALTER DEFAULT PRIVILEGES IN SCHEMA stock GRANT SELECT ON TABLES TO {role};
             REVOKE CONNECT ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {role};
             ALTER DATABASE {database} SET work_mem = '7MB'; COMMENT ON DATABASE {database} IS 'of the; shop'"
        ),
    );
    stage.backup(stage.options(&database)).unwrap();
    (stage, database, role)
}

fn restore(stage: &Stage, database: &str, existing: Existing) -> DatabaseRestore {
    let globals = Some(String::from_utf8(stage.bytes("shop/globals.sql")).unwrap());
    DatabaseRestore { globals, ..DatabaseRestore::new(stage.client("postgres"), database, existing) }
}

fn databases(stage: &Stage, like: &str) -> String {
    stage.server.sql(
        "postgres",
        &format!("SELECT string_agg(datname, ' ' ORDER BY 1) FROM pg_database WHERE datname LIKE '{like}%'"),
    )
}

#[test]
fn a_database_comes_back_in_place_exactly_as_it_was() {
    let (stage, database, _) = shop();
    let file = format!("shop/{database}.dump");
    let (inside, around) = (stage.server.sql(&database, &fingerprint()), outside(&stage, &database));
    assert!(inside.contains("policy own") && inside.contains("large object a large object"), "{inside}");
    stage.server.sql(
        &database,
        "DROP POLICY own ON customers; DROP TABLE orders CASCADE; DROP FUNCTION touch; DELETE FROM customers;
         CREATE TABLE later(id int); CREATE VIEW of_later AS SELECT count(*) FROM customers; ALTER TABLE customers ADD COLUMN more int",
    );
    let plan = plan_database(&restore(&stage, &database, Existing::Drop), &mut stage.content(&file)).unwrap();
    assert!(
        plan.exists && plan.goes.iter().any(|line| line.starts_with("TABLE public later")),
        "{:?}",
        plan.goes
    );
    assert!(plan.comes.iter().any(|line| line.contains("touch()")), "{:?}", plan.comes);

    // Somebody is connected, and comes again.
    let idle = stage
        .server
        .client("psql", &["-X", "-d", &database, "-c", "SELECT pg_sleep(1000)"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let connected = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    while stage.server.sql("postgres", &connected) == "0" {}
    let report =
        restore_database(&restore(&stage, &database, Existing::Drop), &mut stage.content(&file)).unwrap();
    let mut idle = idle;
    assert!(!idle.wait().unwrap().success(), "its connection was ended");
    assert_eq!((report.tables, report.old, report.notes.len()), (4, None, 0));
    assert_eq!(stage.server.sql(&database, &fingerprint()), inside);
    assert_eq!(outside(&stage, &database), around);
    assert_eq!(databases(&stage, &database), database);
    stage.server.sql(&database, "INSERT INTO orders(customer, state) VALUES (1, 'new')");
    assert_eq!(stage.server.sql(&database, "SELECT max(id) FROM orders"), "501", "sequences go on");
}

#[test]
fn a_database_comes_back_into_a_new_cluster_with_its_roles() {
    let (stage, database, role) = shop();
    let inside = stage.server.sql(&database, &fingerprint());
    let bare = Arc::new(Postgres::start());
    let to = DatabaseRestore {
        client: client(&bare.superuser("postgres")),
        ..restore(&stage, "branch", Existing::Refuse)
    };
    let report = restore_database(&to, &mut stage.content(&format!("shop/{database}.dump"))).unwrap();
    assert!(report.roles.contains(&role), "{report:?}");
    assert_eq!(bare.sql("branch", &fingerprint()), inside);
    let settings = bare.sql("postgres", "SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = 'branch'");
    assert_eq!(settings, "{work_mem=7MB}");
    // The password came with the role.
    let url = bare.url(&role, "sells", "branch");
    assert!(client(&url).server(None).is_ok());
}

#[test]
fn an_existing_database_is_refused_or_kept_as_is_asked() {
    let (stage, database, _) = shop();
    let file = format!("shop/{database}.dump");
    let said = restore_database(&restore(&stage, &database, Existing::Refuse), &mut stage.content(&file))
        .unwrap_err();
    assert!(said.to_string().contains("already") && databases(&stage, &database) == database, "{said}");
    stage.server.sql(&database, "TRUNCATE customers CASCADE");
    let report =
        restore_database(&restore(&stage, &database, Existing::Keep), &mut stage.content(&file)).unwrap();
    let old = report.old.unwrap();
    assert_eq!(stage.server.sql(&database, "SELECT count(*) FROM customers"), "500");
    stage.server.sql("postgres", &format!("ALTER DATABASE {old} WITH ALLOW_CONNECTIONS true"));
    assert_eq!(stage.server.sql(&old, "SELECT count(*) FROM customers"), "0");
}

#[test]
fn an_archive_that_ends_early_changes_nothing() {
    let (stage, database, _) = shop();
    let inside = stage.server.sql(&database, &fingerprint());
    let mut bytes = stage.bytes(&format!("shop/{database}.dump"));
    bytes.truncate(bytes.len() * 9 / 10);
    let mut cut = |into: &mut dyn Write| {
        into.write_all(&bytes).map_err(|e| chronos_snapshot::Error::file("x", e).into())
    };
    let said =
        restore_database(&restore(&stage, &database, Existing::Drop), &mut cut).unwrap_err().to_string();
    assert!(said.contains("pg_restore") && said.contains("as it was before"), "{said}");
    assert_eq!(
        (stage.server.sql(&database, &fingerprint()), databases(&stage, &database)),
        (inside, database)
    );
}

#[test]
fn whoever_may_not_make_databases_is_told_so() {
    let (stage, database, role) = shop();
    let own = client(&stage.server.url(&role, "sells", &database));
    let to = DatabaseRestore {
        client: own,
        maintenance: Some(database.clone()),
        globals: None,
        way: Some(Way::Swap),
        ..restore(&stage, &database, Existing::Drop)
    };
    let said =
        restore_database(&to, &mut stage.content(&format!("shop/{database}.dump"))).unwrap_err().to_string();
    assert!(said.contains("CREATEDB"), "{said}");
}
