//! A database that is being written to, backed up by the program itself, comes back in a new cluster as it was at one moment.

use std::io::Write;

use chronos_connect::postgres::{DatabaseRestore, Existing, restore_database};
use chronos_tests::{Program, configure};

use super::restoring::CATALOG;
use super::*;

/// What applications add to a database of pgbench. The trigger counts what is written: at any one moment its count is that of the
/// rows, whoever looks.
const ADDED: &str = "
    CREATE SCHEMA stock;
    CREATE TABLE counted(rows bigint NOT NULL);
    INSERT INTO counted VALUES (0);
    CREATE FUNCTION count_one() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN UPDATE counted SET rows = rows + 1; RETURN NEW; END $$;
    CREATE TRIGGER counts AFTER INSERT ON pgbench_history FOR EACH ROW EXECUTE FUNCTION count_one();
    CREATE INDEX of_account ON pgbench_history(aid) WHERE delta > 0;
    CREATE VIEW stock.richest AS SELECT aid, abalance FROM pgbench_accounts WHERE abalance > 0;
    ALTER TABLE pgbench_accounts ENABLE ROW LEVEL SECURITY;
    CREATE POLICY first_branch ON pgbench_accounts FOR SELECT TO ROLE USING (bid = 1);
    CREATE POLICY no_negative ON pgbench_accounts AS RESTRICTIVE FOR UPDATE TO ROLE USING (true) WITH CHECK (abalance >= 0);
    GRANT SELECT, UPDATE (abalance) ON pgbench_accounts TO ROLE WITH GRANT OPTION;
    GRANT USAGE ON SCHEMA stock TO ROLE;
    REVOKE EXECUTE ON FUNCTION count_one FROM PUBLIC;";

/// How many rows there are of each table, and the sums that every transaction keeps equal.
const MOMENT: &str = "
    SELECT (SELECT count(*) FROM pgbench_accounts), (SELECT count(*) FROM pgbench_tellers), (SELECT count(*) FROM pgbench_branches),
        (SELECT count(*) FROM pgbench_history) = (SELECT rows FROM counted),
        (SELECT coalesce(sum(delta), 0) FROM pgbench_history) = (SELECT sum(abalance) FROM pgbench_accounts),
        (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(tbalance) FROM pgbench_tellers),
        (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches)";

/// A role with all that makes it: rights, its password, whose member it is.
fn role_of(server: &Postgres, role: &str) -> String {
    let sql = format!(
        "SELECT rolcanlogin, rolsuper, rolcreatedb, rolconnlimit, rolpassword, \
         (SELECT string_agg(g.rolname, ' ' ORDER BY 1) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid) \
         FROM pg_authid r WHERE rolname = '{role}'"
    );
    server.sql("postgres", &sql)
}

#[test]
fn a_database_under_load_comes_back_in_a_new_cluster_as_of_one_moment() {
    let server = Postgres::shared();
    let (database, role, group) = (fresh("busy"), fresh("clerk"), fresh("clerks"));
    server.pgbench(&database, 2);
    server.sql("postgres", &format!("CREATE ROLE {group}"));
    server.sql(
        "postgres",
        &format!("CREATE ROLE {role} LOGIN PASSWORD 'counts' CONNECTION LIMIT 7 IN ROLE {group}"),
    );
    server.sql(&database, &ADDED.replace("ROLE", &role));

    let program = Program::with_repository();
    let url = server.superuser(&database);
    let target = "[[target]]\nname = \"shop\"\n[[target.source]]\nname = \"db\"\nkind = \"postgres\"\nurl";
    configure(&program, &format!("{target} = \"{url}\"\n"));
    let load = Load(server.load(&database));
    let rows = || server.sql(&database, "SELECT rows FROM counted").parse::<u64>().unwrap();
    while rows() < 50 {}
    let before = rows();
    let made = program.run(["backup", "--target", "shop", "--json"]).expect_code(0).json();
    assert_eq!(made["status"], "completed", "{made}");
    let after = rows();
    drop(load);
    assert!(after > before, "it was written to all the time");

    let content = |file: &str| {
        let output = program.command(["cat", &format!("latest:shop:db/{file}")]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let dump = content(&format!("{database}.dump"));
    let bare = Postgres::start();
    let to = DatabaseRestore {
        globals: Some(String::from_utf8(content("globals.sql")).unwrap()),
        ..DatabaseRestore::new(client(&bare.superuser("postgres")), "again", Existing::Refuse)
    };
    let write = &mut |into: &mut dyn Write| {
        into.write_all(&dump).map_err(|e| chronos_snapshot::Error::file("the archive", e).into())
    };
    let report = restore_database(&to, write).unwrap();
    assert!(report.roles.contains(&role) && report.notes.is_empty(), "{report:?}");
    assert_eq!(bare.sql("again", MOMENT), "200000|20|2|t|t|t|t");
    let counted = bare.sql("again", "SELECT rows FROM counted").parse::<u64>().unwrap();
    assert!((before..=after).contains(&counted), "{before} {counted} {after}");

    let catalog = format!("SELECT string_agg(line, E'\\n' ORDER BY line) FROM ({CATALOG}) AS lines");
    let whole = server.sql(&database, &catalog);
    for line in ["policy no_negative", "function ", "trigger ", "index ", "relation stock.richest", &role] {
        assert!(whole.contains(line), "{line}: {whole}");
    }
    assert_eq!(bare.sql("again", &catalog), whole);
    assert_eq!(role_of(&bare, &role), role_of(&server, &role));
    // What the rules say holds again: its password lets the role in, and it sees what it may.
    let url = bare.url(&role, "counts", "again");
    let arguments = ["-X", "-q", "-A", "-t", "-d", &url, "-c", "SELECT count(*) FROM pgbench_accounts"];
    let seen = bare.client("psql", &arguments).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&seen.stdout).trim(),
        "100000",
        "{}",
        String::from_utf8_lossy(&seen.stderr)
    );
}
