//! Databases that come back in place, in one transaction: where no other database can be made or take the name.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin};
use std::time::Duration;

use chronos_connect::postgres::{
    DatabasePlan, DatabaseReport, DatabaseRestore, Existing, Unfinished, Way, hold_database, plan_database,
    restore_database, restore_database_noting,
};
use chronos_connect::{ErrorKind, Result as Outcome};

use super::*;

/// What a provider of the database has in it: a schema and an extension that are not the owner's, and who signs up.
const PROVIDED: &str = "
    CREATE SCHEMA auth AUTHORIZATION {provider}; CREATE SCHEMA extensions; GRANT USAGE ON SCHEMA auth, extensions TO {owner};
    CREATE EXTENSION pgcrypto SCHEMA extensions;
    SET ROLE {provider};
    CREATE TABLE auth.users(id int PRIMARY KEY, name text); INSERT INTO auth.users VALUES (1, 'one');
    GRANT ALL ON auth.users TO {owner};
    ALTER DEFAULT PRIVILEGES IN SCHEMA auth GRANT SELECT ON TABLES TO {owner};";

/// What its owner has in it.
const OWN: &str = "
    CREATE SCHEMA stock;
    CREATE TYPE state AS ENUM ('new', 'sent');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE customers(id serial PRIMARY KEY, name text NOT NULL, account int REFERENCES auth.users,
        secret text DEFAULT extensions.gen_random_uuid()::text);
    CREATE TABLE orders(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers, state state, amount positive);
    CREATE TABLE stock.\"Many Goods\"(sku text, amount numeric(10, 2)) PARTITION BY LIST (sku);
    CREATE TABLE stock.goods_a PARTITION OF stock.\"Many Goods\" FOR VALUES IN ('a');
    CREATE INDEX by_state ON orders(state) WHERE state = 'new';
    CREATE STATISTICS of_orders ON customer, state FROM orders;
    CREATE VIEW recent AS SELECT * FROM orders; CREATE MATERIALIZED VIEW totals AS SELECT state, count(*) FROM orders GROUP BY state;
    CREATE SEQUENCE numbers START 7;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE AGGREGATE sum_of(int) (sfunc = int4pl, stype = int); CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
    CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE TRIGGER signed_up AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE customers ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON customers USING (true);
    CREATE PUBLICATION changes FOR TABLE orders;
    GRANT SELECT ON orders TO {provider}; GRANT UPDATE(name) ON customers TO {provider};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {provider};
    ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO {provider};
    COMMENT ON TABLE customers IS 'who; buys\n\\\\ here'; COMMENT ON SCHEMA public IS 'of the shop';
    ALTER DATABASE {database} SET work_mem = '7MB'; COMMENT ON DATABASE {database} IS 'of the; shop';
    INSERT INTO customers(name, account) SELECT 'customer ' || n, 1 FROM generate_series(1, 300) n;
    INSERT INTO orders(customer, state, amount) SELECT n, 'new', n FROM generate_series(1, 300) n;
    INSERT INTO stock.\"Many Goods\" VALUES ('a', 3.50);
    SELECT lo_from_bytea(0, 'a large object'), nextval('numbers'); REFRESH MATERIALIZED VIEW totals;";

/// What came later, and what is no longer there.
const LATER: &str = "
    DROP TRIGGER touched ON orders; DROP POLICY own ON customers; DROP INDEX by_state; DROP VIEW recent; DROP SCHEMA stock CASCADE;
    DROP FUNCTION touch CASCADE; DROP AGGREGATE sum_of(int); DELETE FROM orders WHERE id < 100; UPDATE customers SET name = 'defaced';
    CREATE SCHEMA later; CREATE TABLE later.more(id serial, state public.state); CREATE TABLE newer(id int REFERENCES customers);
    CREATE VIEW of_later AS SELECT * FROM orders; CREATE MATERIALIZED VIEW of_view AS SELECT count(*) FROM of_later;
    CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER later BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION later();
    CREATE TRIGGER later AFTER UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION later();
    CREATE INDEX later ON orders(customer); CREATE POLICY later ON orders USING (false); CREATE SEQUENCE later_numbers;
    CREATE TYPE later_state AS ENUM ('x'); ALTER TYPE state ADD VALUE 'lost'; ALTER TABLE customers ADD COLUMN more later_state;
    GRANT ALL ON orders TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC; REVOKE SELECT ON orders FROM {provider};
    GRANT ALL ON DATABASE {database} TO {provider};
    ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM {provider};
    COMMENT ON TABLE customers IS 'other'; COMMENT ON SCHEMA public IS 'other'; COMMENT ON DATABASE {database} IS 'other';
    ALTER DATABASE {database} SET work_mem = '9MB'; ALTER DATABASE {database} SET jit = off;
    SELECT lo_unlink(oid) FROM pg_largeobject_metadata; SELECT lo_from_bytea(0, 'another'), nextval('numbers');
    ALTER TABLE customers RENAME TO clients;";

/// A database of an owner who may make none, in a server of a provider.
struct Hosted {
    stage: Stage,
    database: String,
    owner: String,
    provider: String,
}

impl Hosted {
    /// It is backed up by its owner.
    fn new() -> Self {
        let stage = Stage::new();
        let (database, owner, provider) = (fresh("hosted"), fresh("owner"), fresh("provider"));
        let hosted = Self { stage, database, owner, provider };
        let server = &hosted.stage.server;
        for role in [&hosted.owner, &hosted.provider] {
            server.sql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD 'owns'"));
        }
        server.sql("postgres", &format!("CREATE DATABASE {} OWNER {}", hosted.database, hosted.owner));
        server.sql(&hosted.database, &hosted.filled(PROVIDED));
        hosted.own(OWN);
        hosted.stage.backup(options(hosted.client())).unwrap();
        hosted
    }

    fn filled(&self, sql: &str) -> String {
        let all = [("{database}", &self.database), ("{owner}", &self.owner), ("{provider}", &self.provider)];
        all.iter().fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, value))
    }

    /// As its owner.
    fn client(&self) -> Client {
        client(&self.stage.server.url(&self.owner, "owns", &self.database))
    }

    /// Runs SQL as its owner.
    fn own(&self, sql: &str) {
        self.stage.server.sql(&self.database, &self.filled(&format!("SET ROLE {{owner}}; {sql}")));
    }

    /// All that is in it.
    fn dump(&self) -> String {
        dump(&self.stage.server, &self.database)
    }

    fn to(&self) -> DatabaseRestore {
        DatabaseRestore::new(self.client(), &self.database, Existing::Keep)
    }

    fn content(&self) -> impl FnMut(&mut dyn Write) -> Outcome<()> {
        self.stage.content(&format!("shop/{}.dump", self.database))
    }

    fn plan(&self) -> DatabasePlan {
        plan_database(&self.to(), &mut self.content()).unwrap()
    }

    fn restore(&self, to: &DatabaseRestore) -> Outcome<DatabaseReport> {
        restore_database(to, &mut self.content())
    }

    /// A restore fails with these words, and everything is as it was.
    #[track_caller]
    fn refuses(&self, words: [&str; 2]) {
        let before = self.dump();
        let said = self.restore(&self.to()).unwrap_err().to_string();
        assert!(words.iter().all(|words| said.contains(words)), "{said}");
        same(&self.dump(), &before);
    }
}

/// All that is in a database, and how it is set, as text.
fn dump(server: &Postgres, database: &str) -> String {
    let output = server.client("pg_dump", &["--create", database]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // Two lines hold a key that is another one each time.
    text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

fn same(now: &str, before: &str) {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
    let (a, b) = (lines(now), lines(before));
    let (came, went): (Vec<_>, Vec<_>) = (a.difference(&b).collect(), b.difference(&a).collect());
    let first = now.lines().zip(before.lines()).find(|(a, b)| a != b);
    assert!(now == before, "came: {came:#?}, went: {went:#?}, first: {first:?}");
}

/// A session that has done something and waits in its transaction.
fn holder(server: &Postgres, database: &str, sql: &str) -> (Child, ChildStdin) {
    let mut child = server
        .client("psql", &["-X", "-q", "-A", "-t", "-d", database])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut into = child.stdin.take().unwrap();
    writeln!(into, "BEGIN; {sql}; SELECT 'held';").unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));
    (child, into)
}

#[test]
fn a_database_whose_owner_may_make_none_comes_back_exactly() {
    let hosted = Hosted::new();
    let before = hosted.dump();
    hosted.own(LATER);
    let later = hosted.dump();
    let plan = hosted.plan();
    assert_eq!(plan.way.way, Way::InPlace);
    assert_eq!(plan.way.why.as_deref(), Some("the user may not make databases"));
    let has = |list: &[String], what: &str| list.iter().any(|line| line.contains(what));
    for what in [
        "table public.clients",
        "materialized view public.of_view",
        "trigger later on table auth.users",
        "schema later",
    ] {
        assert!(has(&plan.drops, what), "{what}: {:?}", plan.drops);
    }
    assert!(
        has(&plan.goes, "TABLE public newer") && has(&plan.goes, "TRIGGER auth users later"),
        "{:?}",
        plan.goes
    );
    assert!(
        has(&plan.comes, "POLICY public customers own") && has(&plan.comes, "TABLE stock goods_a"),
        "{:?}",
        plan.comes
    );
    let others = [&plan.goes, &plan.comes, &plan.drops]
        .into_iter()
        .any(|l| has(l, "TABLE auth users") || has(l, "pgcrypto"));
    assert!(!others && has(&plan.stays, "schema auth"), "{:?}", plan.stays);
    assert_eq!(hosted.dump(), later, "a plan changes nothing");

    let report = hosted.restore(&hosted.to()).unwrap();
    same(&hosted.dump(), &before);
    assert_eq!((report.old, report.tables), (None, 4));
    assert!(has(&report.notes, "schema auth"), "{:?}", report.notes);
    // And once more, where everything is as it was.
    hosted.restore(&hosted.to()).unwrap();
    same(&hosted.dump(), &before);
    hosted.own("INSERT INTO orders(customer, state, amount) VALUES (1, 'new', 1)");
    assert_eq!(
        hosted.stage.server.sql(&hosted.database, "SELECT max(id) FROM orders"),
        "301",
        "sequences go on"
    );
}

#[test]
fn the_database_that_everybody_connects_to_comes_back_while_they_are_connected() {
    let server = Arc::new(Postgres::start());
    let stage = Stage::over(Arc::clone(&server));
    server.sql("postgres", "CREATE EXTENSION pgcrypto; CREATE TABLE a(id int); INSERT INTO a VALUES (1); ALTER DATABASE postgres SET jit = off");
    stage.backup(stage.options("postgres")).unwrap();
    let before = dump(&server, "postgres");
    server.sql("postgres", "DROP TABLE a; CREATE TABLE b(id int); CREATE EXTENSION hstore; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION noticed()".replace("CREATE EVENT", "CREATE FUNCTION noticed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT").as_str());
    let (mut other, into) = holder(&server, "postgres", "SELECT 1");
    let to = DatabaseRestore::new(stage.client("postgres"), "postgres", Existing::Keep);
    let report = restore_database(&to, &mut stage.content("shop/postgres.dump")).unwrap();
    assert_eq!((report.tables, report.notes), (1, Vec::<String>::new()));
    same(&dump(&server, "postgres"), &before);
    drop(into);
    assert!(other.wait().unwrap().success(), "nobody ended its session");
}

#[test]
fn what_others_hold_is_waited_for_and_told_or_ended_as_is_asked() {
    let hosted = Hosted::new();
    let before = hosted.dump();
    hosted.own("DELETE FROM orders");
    let changed = hosted.dump();
    let as_owner =
        hosted.filled("SET ROLE {owner}; SET application_name = 'shop front'; SELECT count(*) FROM orders");
    let (mut other, mut into) = holder(&hosted.stage.server, &hosted.database, &as_owner);
    let mut to = hosted.to();
    to.in_place.lock_limit = Duration::from_millis(100);
    let said = hosted.restore(&to).unwrap_err();
    assert_eq!(said.kind(), ErrorKind::Busy, "{said}");
    assert!(
        said.to_string().contains("(shop front)") && said.to_string().contains("as it was before"),
        "{said}"
    );
    same(&hosted.dump(), &changed);
    // Sessions of a superuser only a superuser ends.
    let to = DatabaseRestore {
        ends_sessions: Some(true),
        client: hosted.stage.client(&hosted.database),
        way: Some(Way::InPlace),
        ..to
    };
    hosted.restore(&to).unwrap();
    writeln!(into, "SELECT 1;").unwrap();
    drop(into);
    assert!(!other.wait().unwrap().success(), "its session was ended");
    same(&hosted.dump(), &before);
}

#[test]
fn a_database_that_is_used_is_not_swapped_where_nobody_may_be_ended() {
    let hosted = Hosted::new();
    hosted.own("DELETE FROM orders");
    let changed = hosted.dump();
    let (mut other, into) = holder(&hosted.stage.server, &hosted.database, "SELECT 1");
    let client = hosted.stage.client("postgres");
    let to = DatabaseRestore { client, ends_sessions: Some(false), ..hosted.to() };
    let said = hosted.restore(&to).unwrap_err();
    assert!(said.kind() == ErrorKind::Busy && said.to_string().contains("session "), "{said}");
    drop(into);
    assert!(other.wait().unwrap().success());
    same(&hosted.dump(), &changed);
}

#[test]
fn what_moved_since_the_plan_is_not_touched() {
    let hosted = Hosted::new();
    let mut to = hosted.to();
    to.in_place.seen = hosted.plan().seen;
    hosted.own("CREATE VIEW unplanned AS SELECT * FROM orders");
    let changed = hosted.dump();
    let said = hosted.restore(&to).unwrap_err();
    assert!(said.kind() == ErrorKind::Busy && said.to_string().contains("was planned"), "{said}");
    same(&hosted.dump(), &changed);
    // Nor what is made after the snapshot of before.
    to.in_place.seen = hosted.plan().seen;
    let held = hold_database(&to, &mut hosted.content()).unwrap();
    hosted.own("CREATE TABLE unplanned_too(id int)");
    let changed = hosted.dump();
    let said = restore_database_noting(&to, held, &mut hosted.content(), &mut |_| Ok(())).unwrap_err();
    assert!(said.kind() == ErrorKind::Busy && said.to_string().contains("was planned"), "{said}");
    same(&hosted.dump(), &changed);
}

/// A session that stays, as those of a pool do, and whose rows the server counts late.
struct Pooled {
    child: Child,
    into: ChildStdin,
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Pooled {
    fn new(server: &Postgres, database: &str) -> Self {
        let mut child = server
            .client("psql", &["-X", "-q", "-A", "-t", "-d", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (into, said) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut pooled = Self { child, into, said: BufReader::new(said).lines() };
        pooled.runs("SET lock_timeout = 100");
        pooled
    }

    /// Whether the server carries it out.
    fn runs(&mut self, sql: &str) -> bool {
        writeln!(self.into, "{sql};\n\\echo ran :ERROR").unwrap();
        let line = self.said.find_map(|line| line.unwrap().strip_prefix("ran ").map(str::to_owned));
        line.unwrap() == "false"
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_row_of_a_pooled_session_is_in_the_snapshot_of_before_or_not_written() {
    let hosted = Hosted::new();
    let before = hosted.dump();
    let mut pooled = Pooled::new(&hosted.stage.server, &hosted.database);
    let rows = [
        "INSERT INTO public.orders(customer, state, amount) VALUES (1, 'new', 1)",
        "INSERT INTO stock.goods_a VALUES ('a', 9)",
    ];
    let mut to = hosted.to();
    to.in_place.seen = hosted.plan().seen;
    // Until it is held, rows are written: the snapshot of before is made later.
    assert!(rows.iter().all(|row| pooled.runs(row)));
    let held = hold_database(&to, &mut hosted.content()).unwrap();
    let kept = hosted.dump();
    assert!(rows.iter().all(|row| !pooled.runs(row)), "it is held, and nobody may write");
    assert!(pooled.runs("SELECT count(*) FROM public.orders"), "whoever reads goes on");
    assert!(pooled.runs("INSERT INTO auth.users VALUES (2, 'two')"), "what stays is not held");
    pooled.runs("DELETE FROM auth.users WHERE id = 2");
    same(&hosted.dump(), &kept);
    restore_database_noting(&to, held, &mut hosted.content(), &mut |_| Ok(())).unwrap();
    same(&hosted.dump(), &before);
    // One that is given up lets everybody go on.
    drop(hold_database(&hosted.to(), &mut hosted.content()).unwrap());
    pooled.runs("SET lock_timeout = 0");
    assert!(rows.iter().all(|row| pooled.runs(row)));
}

#[test]
fn large_objects_that_come_after_the_snapshot_of_before_are_not_lost() {
    let hosted = Hosted::new();
    let stays = |to: &DatabaseRestore| plan_database(to, &mut hosted.content()).unwrap().stays;
    assert!(stays(&hosted.to()).iter().any(|line| line.contains("may not lock them")));
    let held = hold_database(&hosted.to(), &mut hosted.content()).unwrap();
    hosted.own("SELECT lo_from_bytea(0, 'after')");
    let changed = hosted.dump();
    let said =
        restore_database_noting(&hosted.to(), held, &mut hosted.content(), &mut |_| Ok(())).unwrap_err();
    assert_eq!(said.kind(), ErrorKind::Busy, "{said}");
    same(&hosted.dump(), &changed);
    // Whoever may do all locks them.
    let client = hosted.stage.client(&hosted.database);
    let to = DatabaseRestore { client, way: Some(Way::InPlace), ..hosted.to() };
    assert!(!stays(&to).iter().any(|line| line.contains("may not lock them")));
    let held = hold_database(&to, &mut hosted.content()).unwrap();
    let mut pooled = Pooled::new(&hosted.stage.server, &hosted.database);
    assert!(!pooled.runs("SELECT lo_put(oid, 0, 'other') FROM pg_largeobject_metadata"));
    drop(held);
    assert!(pooled.runs("SELECT lo_put(oid, 0, 'other') FROM pg_largeobject_metadata"));
}

#[test]
fn what_is_lacking_after_the_commit_is_told_as_a_difference() {
    let hosted = Hosted::new();
    hosted.stage.server.sql(&hosted.database, LOSES_AN_INDEX);
    let report = hosted.restore(&hosted.to()).unwrap();
    let [one] = report.differences.as_slice() else { panic!("{:?}", report.differences) };
    assert!(one.contains("INDEX public by_state") && one.ends_with("is not there"), "{one}");
}

/// What a superuser has put there that drops an index as soon as it is made.
const LOSES_AN_INDEX: &str = "
    CREATE FUNCTION auth.loses() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN DROP INDEX IF EXISTS public.by_state; END $$;
    CREATE EVENT TRIGGER loses ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION auth.loses();";

#[test]
fn what_has_another_owner_since_is_named_and_nothing_is_dropped() {
    for (change, named) in [
        // It was the owner's and is another's: it stays in the way.
        (
            "ALTER TABLE customers OWNER TO {provider}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {owner};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {owner}",
            "TABLE public customers",
        ),
        // It was another's and is the owner's: it would go and not come back.
        ("ALTER TABLE auth.users OWNER TO {owner}", "TABLE auth users"),
    ] {
        let hosted = Hosted::new();
        hosted.stage.server.sql(&hosted.database, &hosted.filled(change));
        let before = hosted.dump();
        for said in [
            plan_database(&hosted.to(), &mut hosted.content()).unwrap_err().to_string(),
            hosted.restore(&hosted.to()).unwrap_err().to_string(),
        ] {
            assert!(said.contains(named) && said.contains("nothing was changed"), "{said}");
        }
        same(&hosted.dump(), &before);
        // Whoever has the rights of both makes it as it was.
        let client = hosted.stage.client(&hosted.database);
        hosted.restore(&DatabaseRestore { client, way: Some(Way::InPlace), ..hosted.to() }).unwrap();
        let sql = format!("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = '{}'::regclass", {
            named.trim_start_matches("TABLE ").replace(' ', ".")
        });
        let owner = if named.contains("auth") { &hosted.provider } else { &hosted.owner };
        assert_eq!(hosted.stage.server.sql(&hosted.database, &sql), **owner);
    }
}

#[test]
fn what_belongs_to_a_role_that_gives_no_rights_by_itself_stays() {
    let hosted = Hosted::new();
    let sql = "CREATE ROLE {owner}_team; ALTER ROLE {owner} NOINHERIT; GRANT {owner}_team TO {owner};
        CREATE SCHEMA team AUTHORIZATION {owner}_team; CREATE TABLE team.notes(id int); ALTER TABLE team.notes OWNER TO {owner}_team;
        GRANT USAGE ON SCHEMA team TO {owner}; GRANT SELECT ON team.notes TO {owner};
        GRANT ALL ON SCHEMA public TO {owner}";
    hosted.stage.server.sql(&hosted.database, &hosted.filled(sql));
    let before = hosted.dump();
    hosted.own("DELETE FROM orders");
    let report = hosted.restore(&hosted.to()).unwrap();
    same(&hosted.dump(), &before);
    assert!(report.notes.iter().any(|note| note.starts_with("schema team, of ")), "{:?}", report.notes);
}

#[test]
fn user_mappings_come_back_where_they_can_be_read_and_are_named_where_not() {
    let hosted = Hosted::new();
    let server = &hosted.stage.server;
    let sql = "CREATE EXTENSION postgres_fdw SCHEMA extensions; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO {owner}";
    server.sql(&hosted.database, &hosted.filled(sql));
    hosted.own(
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far');
         CREATE USER MAPPING FOR {owner} SERVER far OPTIONS (user 'me', password 'mine');
         CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'all');
         CREATE FOREIGN TABLE goods_there(id int) SERVER far",
    );
    hosted.stage.backup(options(hosted.client())).unwrap();
    let before = hosted.dump();
    hosted.own("ALTER USER MAPPING FOR {owner} SERVER far OPTIONS (SET user 'other'); DELETE FROM orders");
    hosted.restore(&hosted.to()).unwrap();
    same(&hosted.dump(), &before);
    hosted.own("CREATE USER MAPPING FOR {provider} SERVER far OPTIONS (user 'secret')");
    hosted.refuses(["user mapping for provider", "nothing was changed"]);
}

#[test]
fn a_subscription_stays_as_it_is() {
    let server = Arc::new(Postgres::start());
    let stage = Stage::over(Arc::clone(&server));
    let make = |name: &str| {
        format!(
            "CREATE SUBSCRIPTION {name} CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)"
        )
    };
    server.sql("postgres", "CREATE TABLE a(id int)");
    server.sql("postgres", &make("follows"));
    stage.backup(stage.options("postgres")).unwrap();
    let before = dump(&server, "postgres");
    server.sql("postgres", "INSERT INTO a VALUES (1)");
    let to = DatabaseRestore::new(stage.client("postgres"), "postgres", Existing::Keep);
    let report = restore_database(&to, &mut stage.content("shop/postgres.dump")).unwrap();
    same(&dump(&server, "postgres"), &before);
    assert!(
        report.notes.iter().any(|note| note.contains("follows REFRESH PUBLICATION")),
        "{:?}",
        report.notes
    );
    server.sql("postgres", "DROP SUBSCRIPTION follows");
    restore_database(&to, &mut stage.content("shop/postgres.dump")).unwrap();
    same(&dump(&server, "postgres"), &before);
}

#[test]
fn what_others_have_built_on_it_is_named_and_nothing_is_dropped() {
    let hosted = Hosted::new();
    let sql = "SET ROLE {provider}; CREATE VIEW auth.seen AS SELECT * FROM public.orders";
    hosted.stage.server.sql(&hosted.database, &hosted.filled(sql));
    let before = hosted.dump();
    for said in [
        plan_database(&hosted.to(), &mut hosted.content()).unwrap_err().to_string(),
        hosted.restore(&hosted.to()).unwrap_err().to_string(),
    ] {
        assert!(said.contains("view auth.seen") && said.contains("nothing was changed"), "{said}");
    }
    same(&hosted.dump(), &before);
}

#[test]
fn an_archive_that_ends_early_or_a_restore_that_is_refused_changes_nothing() {
    let hosted = Hosted::new();
    hosted.own("DELETE FROM orders");
    let before = hosted.dump();
    let bytes = hosted.stage.bytes(&format!("shop/{}.dump", hosted.database));
    let cut = bytes.get(..bytes.len() * 9 / 10).unwrap().to_vec();
    let mut cut =
        |into: &mut dyn Write| into.write_all(&cut).map_err(|e| chronos_snapshot::Error::file("x", e).into());
    let said = restore_database(&hosted.to(), &mut cut).unwrap_err().to_string();
    assert!(said.contains("pg_restore") && said.contains("as it was before"), "{said}");
    same(&hosted.dump(), &before);
    // A row that what stays no longer allows, which the server finds at the end.
    hosted
        .stage
        .server
        .sql(&hosted.database, "DELETE FROM orders; DELETE FROM customers; DELETE FROM auth.users");
    hosted.refuses(["foreign key", "as it was before"]);
}

#[test]
fn the_server_tells_what_became_of_one_that_was_interrupted() {
    let hosted = Hosted::new();
    let mut noted = Vec::new();
    let mut note = |left: &Unfinished| {
        noted.push(left.clone());
        Ok(())
    };
    restore_database_noting(&hosted.to(), None, &mut hosted.content(), &mut note).unwrap();
    let stands: Vec<_> = noted.iter().map(|left| left.resume(&hosted.client()).unwrap()).collect();
    let (old, new) = (chronos_connect::Stands::Old, chronos_connect::Stands::New { old: None });
    assert_eq!(stands, [old.clone(), new]);
    // What is kept is read again.
    let text = serde_json::to_string(&noted).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Unfinished>>(&text).unwrap(), noted);
    // Ended by whoever notes: nothing is committed.
    let mut last = None;
    let mut end = |left: &Unfinished| {
        last = Some(left.clone());
        match left {
            Unfinished::InPlace(begun) if begun.transaction.is_some() => {
                Err(chronos_connect::Error::Interrupted)
            }
            _ => Ok(()),
        }
    };
    let before = hosted.dump();
    let said = restore_database_noting(&hosted.to(), None, &mut hosted.content(), &mut end).unwrap_err();
    assert_eq!(said.kind(), ErrorKind::Interrupted);
    assert_eq!(last.unwrap().resume(&hosted.client()).unwrap(), old);
    same(&hosted.dump(), &before);
}
