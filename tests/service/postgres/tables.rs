//! One table out of an archive.

use chronos_connect::postgres::{TableRestore, plan_table, restore_table};

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

fn stage() -> (Stage, String, TableRestore) {
    let stage = Stage::new();
    let database = fresh("tables");
    stage.server.sql("postgres", &format!("CREATE DATABASE {database}"));
    stage.server.sql(&database, SHOP);
    stage.backup(stage.options(&database)).unwrap();
    let client = stage.client("postgres");
    let options =
        TableRestore { client, database: database.clone(), table: "orders".to_owned(), time_limit: None };
    (stage, database, options)
}

#[test]
fn a_table_comes_back_with_all_that_belongs_to_it_and_nothing_else() {
    let (stage, database, options) = stage();
    let file = format!("shop/{database}.dump");
    let before = stage.server.sql(&database, ORDERS);
    let planned = plan_table(&options, &mut stage.content(&file)).unwrap();
    let lines: Vec<_> = planned.iter().map(|e| e.line.as_str()).collect();
    assert!(lines.iter().any(|l| l.starts_with("INDEX public of_customer")), "{lines:?}");
    assert!(!lines.iter().any(|l| l.contains("archive") || l.contains("customers_")), "{lines:?}");

    stage.server.sql(&database, "UPDATE customers SET name = 'kept'; DROP TABLE orders");
    assert_eq!(restore_table(&options, &mut stage.content(&file)).unwrap(), planned);
    assert_eq!(stage.server.sql(&database, ORDERS), before);

    stage.server.sql(
        &database,
        "DELETE FROM orders; ALTER TABLE orders ADD COLUMN later int; CREATE INDEX later ON orders(later)",
    );
    restore_table(&options, &mut stage.content(&file)).unwrap();
    assert_eq!(stage.server.sql(&database, ORDERS), before);
    assert_eq!(stage.server.sql(&database, "SELECT count(*) FROM customers WHERE name = 'kept'"), "50");
    stage.server.sql(&database, "INSERT INTO orders(customer) VALUES (1)");
}

#[test]
fn a_table_that_others_need_is_left_as_it_is() {
    let (stage, database, options) = stage();
    let file = format!("shop/{database}.dump");
    stage
        .server
        .sql(&database, "DELETE FROM orders WHERE customer = 7; CREATE VIEW later AS SELECT * FROM orders");
    let before = stage.server.sql(&database, ORDERS);
    let said = restore_table(&options, &mut stage.content(&file)).unwrap_err().to_string();
    assert!(said.contains("view public.later depends on") && said.contains("as it was before"), "{said}");
    assert_eq!(stage.server.sql(&database, ORDERS), before);
    let none = TableRestore { table: "nowhere".to_owned(), ..options };
    let said = restore_table(&none, &mut stage.content(&file)).unwrap_err().to_string();
    assert!(said.contains("table \"nowhere\" not found"), "{said}");
}
