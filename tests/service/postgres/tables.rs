//! Single tables and schemas out of an archive.

use chronos_connect::postgres::{
    DatabasePlan, DatabaseRestore, Existing, Part, plan_database, restore_database,
};

use super::*;

const SHOP: &str = "
    CREATE TABLE customers(id serial PRIMARY KEY, name text);
    CREATE TABLE orders(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers);
    CREATE TABLE orders_archive(id int);
    CREATE INDEX of_customer ON orders(customer);
    CREATE INDEX of_archive ON orders_archive(id);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY all_of_them ON orders USING (true);
    GRANT SELECT ON orders TO PUBLIC;
    COMMENT ON COLUMN orders.customer IS 'who';
    INSERT INTO customers(name) SELECT 'c' || n FROM generate_series(1, 50) n;
    INSERT INTO orders(customer) SELECT n FROM generate_series(1, 50) n;";

/// What belongs to the table of orders.
const ORDERS: &str = "
    SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
        SELECT 'index ' || indexdef AS line FROM pg_indexes WHERE tablename = 'orders'
        UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal
        UNION ALL SELECT 'constraint ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'orders'::regclass
        UNION ALL SELECT 'policy ' || policyname FROM pg_policies WHERE tablename = 'orders'
        UNION ALL SELECT 'table ' || relrowsecurity || relacl::text || col_description(oid, 2) FROM pg_class WHERE relname = 'orders'
        UNION ALL SELECT 'rows ' || count(*) FROM orders
        UNION ALL SELECT 'next ' || last_value FROM pg_sequences WHERE sequencename = 'orders_id_seq'
    ) AS lines";

fn stage() -> (Stage, String) {
    let stage = Stage::new();
    let database = fresh("tables");
    stage.server.sql("postgres", &format!("CREATE DATABASE {database}"));
    stage.server.sql(&database, SHOP);
    stage.backup(stage.options(&database)).unwrap();
    (stage, database)
}

fn part(schemas: &[&str], tables: &[&str]) -> Part {
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Part { schemas: all(schemas), tables: all(tables) }
}

fn to(stage: &Stage, database: &str, part: Part) -> DatabaseRestore {
    DatabaseRestore { part, ..DatabaseRestore::new(stage.client("postgres"), database, Existing::Keep) }
}

fn plan(stage: &Stage, database: &str, part: Part) -> chronos_connect::Result<DatabasePlan> {
    plan_database(&to(stage, database, part), &mut stage.content(&format!("shop/{database}.dump")))
}

/// Restores it; nothing differs.
fn restore(stage: &Stage, database: &str, part: Part) -> chronos_connect::Result<()> {
    let report =
        restore_database(&to(stage, database, part), &mut stage.content(&format!("shop/{database}.dump")))?;
    assert_eq!(report.differences, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_table_comes_back_with_all_that_belongs_to_it_and_nothing_else() {
    let (stage, database) = stage();
    let orders = || part(&[], &["public.orders"]);
    let before = stage.server.sql(&database, ORDERS);
    let planned = plan(&stage, &database, orders()).unwrap();
    let lines: Vec<_> = planned.archive.entries.iter().map(|e| e.line.as_str()).collect();
    assert!(lines.iter().any(|l| l.starts_with("INDEX public of_customer")), "{lines:?}");
    assert!(!lines.iter().any(|l| l.contains("archive") || l.contains("customers_")), "{lines:?}");

    stage.server.sql(&database, "UPDATE customers SET name = 'kept'; DROP TABLE orders");
    let planned = plan(&stage, &database, orders()).unwrap();
    assert!(planned.comes.iter().any(|line| line.starts_with("TABLE public orders")), "{planned:?}");
    restore(&stage, &database, orders()).unwrap();
    assert_eq!(stage.server.sql(&database, ORDERS), before);

    stage.server.sql(
        &database,
        "DELETE FROM orders; ALTER TABLE orders ADD COLUMN later int; CREATE INDEX later ON orders(later)",
    );
    let planned = plan(&stage, &database, orders()).unwrap();
    assert_eq!(planned.drops, ["table public.orders is dropped"]);
    assert!(planned.goes.iter().any(|line| line.starts_with("INDEX public later")), "{planned:?}");
    restore(&stage, &database, orders()).unwrap();
    assert_eq!(stage.server.sql(&database, ORDERS), before);
    assert_eq!(stage.server.sql(&database, "SELECT count(*) FROM customers WHERE name = 'kept'"), "50");
    stage.server.sql(&database, "INSERT INTO orders(customer) VALUES (1)");
}

#[test]
fn foreign_keys_of_other_tables_are_made_again_as_they_are() {
    let (stage, database) = stage();
    let customers = || part(&[], &["public.customers"]);
    stage.server.sql(
        &database,
        "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey;
         ALTER TABLE orders ADD CONSTRAINT later FOREIGN KEY (customer) REFERENCES customers ON DELETE CASCADE;
         COMMENT ON CONSTRAINT later ON orders IS 'whose';
         CREATE TABLE parts(customer int REFERENCES customers) PARTITION BY LIST (customer);
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1); INSERT INTO parts VALUES (1)",
    );
    let before = stage.server.sql(&database, ORDERS);
    stage.server.sql(
        &database,
        "UPDATE customers SET name = 'defaced'; INSERT INTO customers(name) VALUES ('later')",
    );
    let planned = plan(&stage, &database, customers()).unwrap();
    let again = "constraint later on table public.orders is made again as it is";
    assert!(
        planned.drops.iter().any(|line| line.replace("table orders", "table public.orders") == again),
        "{:?}",
        planned.drops
    );
    restore(&stage, &database, customers()).unwrap();
    assert_eq!(stage.server.sql(&database, "SELECT count(*), max(name) FROM customers"), "50|c9");
    assert_eq!(stage.server.sql(&database, ORDERS), before);
    let said = "SELECT obj_description(oid) FROM pg_constraint WHERE conname = 'later'";
    assert_eq!(stage.server.sql(&database, said), "whose");
    let partitions = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid IN ('parts'::regclass, 'parts_1'::regclass)";
    assert_eq!(stage.server.sql(&database, partitions), "2");
    // Rows of others that would have nothing to refer to: nothing is changed.
    stage.server.sql(
        &database,
        "INSERT INTO customers(id, name) VALUES (99, 'new'); INSERT INTO orders(customer) VALUES (99)",
    );
    let before = stage.server.sql(&database, ORDERS);
    let said = restore(&stage, &database, customers()).unwrap_err().to_string();
    assert!(said.contains("foreign key") && said.contains("as it was before"), "{said}");
    assert_eq!(stage.server.sql(&database, ORDERS), before);
    assert_eq!(stage.server.sql(&database, "SELECT count(*) FROM customers"), "51");
}

#[test]
fn what_others_would_lose_is_named_and_can_be_named_too() {
    let (stage, database) = stage();
    stage
        .server
        .sql(&database, "CREATE VIEW seen AS SELECT * FROM orders; CREATE PUBLICATION told FOR TABLE orders");
    stage.backup(stage.options(&database)).unwrap();
    stage.server.sql(&database, "DELETE FROM orders WHERE customer = 7");
    let before = stage.server.sql(&database, ORDERS);
    for said in [
        plan(&stage, &database, part(&[], &["public.orders"])).unwrap_err().to_string(),
        restore(&stage, &database, part(&[], &["public.orders"])).unwrap_err().to_string(),
    ] {
        assert!(said.contains("view public.seen") && said.contains("nothing was changed"), "{said}");
    }
    assert_eq!(stage.server.sql(&database, ORDERS), before);
    restore(&stage, &database, part(&[], &["public.orders", "public.seen"])).unwrap();
    assert_eq!(stage.server.sql(&database, "SELECT count(*) FROM seen"), "50");
    assert_eq!(stage.server.sql(&database, "SELECT tablename FROM pg_publication_tables"), "orders");
    // A publication that came later would lose it.
    stage.server.sql(&database, "CREATE PUBLICATION later FOR TABLE orders");
    let said = plan(&stage, &database, part(&[], &["public.orders", "public.seen"])).unwrap_err().to_string();
    assert!(said.contains("publication later"), "{said}");
}

#[test]
fn a_schema_comes_back_with_all_that_is_in_it() {
    let (stage, database) = stage();
    stage.server.sql(
        &database,
        "CREATE SCHEMA app; CREATE TYPE app.kind AS ENUM ('a'); CREATE TABLE app.things(id serial PRIMARY KEY, kind app.kind);
         CREATE FUNCTION app.total() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM app.things';
         GRANT USAGE ON SCHEMA app TO PUBLIC; COMMENT ON SCHEMA app IS 'of the app'; INSERT INTO app.things(kind) VALUES ('a'), ('a')",
    );
    stage.backup(stage.options(&database)).unwrap();
    let dump = || {
        let output = stage.server.client("pg_dump", &["-n", "app", &database]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
    };
    let before = dump();
    let others = stage.server.sql(&database, ORDERS);
    for change in [
        "DROP SCHEMA app CASCADE",
        "CREATE TABLE app.later(id int); DELETE FROM app.things; DROP FUNCTION app.total(); COMMENT ON SCHEMA app IS 'other'",
    ] {
        stage.server.sql(&database, change);
        restore(&stage, &database, part(&["app"], &[])).unwrap();
        assert_eq!(dump(), before);
    }
    assert_eq!(stage.server.sql(&database, ORDERS), others);
}
