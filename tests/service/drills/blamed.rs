//! Whose fault it is: a good dump passes whatever it lacks beside itself, and what this host cannot do says nothing of a dump.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use chronos_tests::Mounted;
use chronos_tests::postgres::{ORDERS, Postgres, programs};
use serde_json::json;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packing =
        Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut into = packing.stdin.take().unwrap();
    let bytes = bytes.to_owned();
    let writing = std::thread::spawn(move || into.write_all(&bytes).unwrap());
    let packed = packing.wait_with_output().unwrap().stdout;
    writing.join().unwrap();
    packed
}

#[test]
fn dumps_of_every_form_pass_without_the_roles_that_they_name() {
    let server = Postgres::shared();
    let database = "drilled_owned";
    server.sql("postgres", &format!("CREATE DATABASE {database}"));
    server.sql(database, ORDERS);
    server.sql(
        database,
        "CREATE ROLE drilled_owner; CREATE ROLE \"drilled web\"; ALTER TABLE orders OWNER TO drilled_owner;
         GRANT SELECT ON orders TO \"drilled web\"; CREATE POLICY other ON orders TO \"drilled web\" USING (true)",
    );
    let rules = "[[target.source.drill]]\nrows = { orders = 1 }\n";
    let forms: [(&str, &str, &[&str]); 5] = [
        ("archive", "archive.dump", &["--format=custom"]),
        ("tar", "tar.dump", &["--format=tar"]),
        ("plain", "plain.sql", &["--format=plain"]),
        ("packed", "packed.sql.gz", &["--format=plain"]),
        ("created", "created.sql", &["--format=plain", "--create"]),
    ];
    let mut targets: Vec<String> = forms.iter().map(|(name, file, _)| of_file(name, file, rules)).collect();
    targets.push(format!(
        "[[target]]\nname = \"source\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\nglobals = false\n{rules}",
        server.superuser(database)
    ));
    let stage = Stage::new("", &targets.concat());
    for (name, file, arguments) in forms {
        let bytes = dump(&server, database, arguments);
        let bytes = if name == "packed" { gzip(&bytes) } else { bytes };
        fs::write(stage.path(file), bytes).unwrap();
    }
    for target in forms.iter().map(|(name, ..)| *name).chain(["source"]) {
        stage.back_up(target);
        let drilled = stage.drill(target, 0);
        let held = drilled["sources"].to_string();
        assert_eq!(drilled["status"], "passed", "{target}: {drilled}");
        assert!(held.contains("table orders has 1 rows"), "{target}: {held}");
        for role in ["drilled web", "drilled_owner", "a new server needs them first"] {
            assert!(held.contains(role), "{target}: {role}: {held}");
        }
    }
}

#[test]
fn dumps_of_the_databases_that_every_server_has_pass_also_several_of_one() {
    let server = Postgres::shared();
    let rules = "[[target.source.drill]]\nrows = { t = 1 }\n";
    server.sql("postgres", "CREATE DATABASE drilled_set");
    server.sql("postgres", "ALTER DATABASE drilled_set SET work_mem = '5MB'");
    let names = ["template1", "postgres", "drilled_set"];
    let sources = names.iter().flat_map(|name| {
        [1, 2].map(|number| {
        format!(
            "[[target.source]]\nname = \"{name}-{number}\"\nkind = \"command\"\ncomponent = \"database\"\n\
             command = \"cat HOME/{name}.sql\"\nfilename = \"{name}-{number}.sql\"\n{rules}"
        )
    })
    });
    let stage = Stage::new("", &format!("[[target]]\nname = \"reserved\"\n{}", sources.collect::<String>()));
    for name in names {
        let whole = String::from_utf8(dump(&server, name, &["--format=plain", "--create"])).unwrap();
        assert!(whole.contains(&format!("\\connect {name}")), "{whole}");
        let end = "--\n-- PostgreSQL database dump complete";
        let table = "CREATE TABLE public.t(x int);\nINSERT INTO public.t VALUES (1);\n";
        fs::write(stage.path(&format!("{name}.sql")), whole.replace(end, &format!("{table}{end}"))).unwrap();
    }
    stage.back_up("reserved");
    let drilled = stage.drill("reserved", 0);
    assert_eq!(
        (&drilled["status"], drilled["sources"].as_array().unwrap().len()),
        (&json!("passed"), 6),
        "{drilled}"
    );
}

#[test]
fn what_this_host_cannot_do_is_not_tried_and_not_failed() {
    let slow = "[[target.source.drill]]\nqueries = [{ sql = \"SELECT pg_sleep(100000)\", answer = \"\" }]\n";
    let made = [
        ("extension", script("CREATE EXTENSION nosuch;"), "install the packages of the extension", ""),
        ("locale", script("CREATE COLLATION x (locale = 'xx_XX.utf8');"), "make this locale", ""),
        ("slow", script("SELECT 1;"), "give it longer", slow),
        (
            "newer",
            script("-- Dumped from database version 99.1\nSELECT nosuch();"),
            "it is of PostgreSQL 99.1",
            "",
        ),
        ("dropping", script("DROP TABLE public.a;"), "--if-exists", ""),
        (
            "everything",
            "--\n-- PostgreSQL database cluster dump\n--\n\\connect x\n--\n-- PostgreSQL database dump\n--\n"
                .to_owned(),
            "pg_dumpall",
            "",
        ),
        ("packed", "BZh91AY".to_owned(), "packed with bzip2", ""),
    ];
    let targets: String =
        made.iter().map(|(name, _, _, rules)| of_file(name, &format!("{name}.sql"), rules)).collect();
    let stage = Stage::new("time_limit = \"20s\"", &targets);
    for (target, script, why, _) in made {
        fs::write(stage.path(&format!("{target}.sql")), script).unwrap();
        stage.back_up(target);
        let drilled = stage.drill(target, 3);
        assert_eq!(drilled["status"], "partial", "{target}: {drilled}");
        assert!(not_tried(&drilled).contains(why), "{target}: {drilled}");
        assert!(stage.proven_at(target).is_null(), "{target}");
    }
}

#[test]
fn a_scratch_place_without_room_is_told_and_no_failure() {
    let stage = Stage::new("", &of_file("plain", "plain.sql", ""));
    fs::write(stage.path("plain.sql"), script("SELECT 1;")).unwrap();
    stage.back_up("plain");
    let _small =
        Mounted::new(&["-t", "tmpfs", "-o", "size=16m", "none"], &stage.scratch.path().join("drills"));
    open_up(&stage.scratch.path().join("drills"));
    let drilled = stage.drill("plain", 3);
    assert!(not_tried(&drilled).contains("are needed"), "{drilled}");
}

#[test]
fn a_scratch_place_that_keeps_no_modes_is_told_and_no_failure() {
    let stage = Stage::new("", "[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\n");
    fs::create_dir(stage.path("notes")).unwrap();
    fs::write(stage.path("notes/a"), "a").unwrap();
    fs::set_permissions(stage.path("notes/a"), fs::Permissions::from_mode(0o640)).unwrap();
    stage.back_up("notes");
    let _stick = Mounted::exfat(&stage.scratch.path().join("drills"));
    let drilled = stage.drill("notes", 3);
    assert!(not_tried(&drilled).contains("not permitted"), "{drilled}");
}

#[test]
fn what_only_an_account_with_more_rights_can_make_is_told_and_no_failure() {
    let stage = Stage::new("", "[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\n");
    fs::create_dir(stage.path("notes")).unwrap();
    fs::write(stage.path("notes/a"), "a").unwrap();
    let made = Command::new("mknod").arg(stage.path("notes/null")).args(["c", "1", "3"]).status().unwrap();
    assert!(made.success());
    stage.back_up("notes");
    assert_eq!(stage.drill("notes", 0)["status"], "passed");
    let drill = stage.program.command(["drill", "notes", "--json"]);
    let mut fewer = Command::new("setpriv");
    fewer
        .args(["--inh-caps=-mknod", "--bounding-set=-mknod"])
        .arg(drill.get_program())
        .args(drill.get_args());
    for (name, value) in drill.get_envs() {
        match value {
            Some(value) => fewer.env(name, value),
            None => fewer.env_remove(name),
        };
    }
    let fewer = fewer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let drilled = Program::finish(fewer).expect_code(3).json();
    assert!(not_tried(&drilled[0]).contains("only root can make devices"), "{drilled}");
    assert_eq!(errors(&drilled[0]).lines().count(), 1, "{drilled}");
}

#[test]
fn a_scratch_place_that_takes_no_more_files_is_told_and_no_failure() {
    let stage = Stage::new("", "[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\n");
    fs::create_dir(stage.path("notes")).unwrap();
    (0..50).for_each(|n| fs::write(stage.path(&format!("notes/{n}")), "a").unwrap());
    stage.back_up("notes");
    let drills = stage.scratch.path().join("drills");
    let _full = Mounted::new(&["-t", "tmpfs", "-o", "nr_inodes=40,mode=755", "none"], &drills);
    let drilled = stage.drill("notes", 3);
    assert!(not_tried(&drilled).contains("No space left on device"), "{drilled}");
}

#[test]
fn what_is_told_of_a_failure_names_the_object_and_not_what_is_in_it() {
    let stage = Stage::new("", &of_file("cards", "cards.sql", ""));
    let rows = "CREATE TABLE cards(n int);\nCOPY cards (n) FROM stdin;\n4111x1111\n\\.\n";
    fs::write(stage.path("cards.sql"), script(rows)).unwrap();
    stage.back_up("cards");
    let drilled = stage.drill("cards", 4);
    assert!(errors(&drilled).contains("invalid input syntax for type integer"), "{drilled}");
    assert!(!drilled.to_string().contains("4111x1111"), "{drilled}");
}

#[test]
fn a_script_sees_nothing_of_the_environment_of_the_program() {
    let rules = "[[target.source.drill]]\nqueries = [{ sql = \"SELECT count(*) FROM seen WHERE line LIKE '%of-the-program%'\", answer = \"0\" },\n\
         { sql = \"SELECT count(*) > 0 FROM seen\", answer = \"t\" }]\n";
    let stage = Stage::new("", &of_file("looking", "looking.sql", rules));
    let looks = "CREATE TABLE seen(line text);\nCOPY seen FROM PROGRAM 'env';";
    fs::write(stage.path("looking.sql"), script(looks)).unwrap();
    stage.back_up("looking");
    let mut command = stage.program.command(["drill", "looking", "--json"]);
    command.env("PGSECRET", "of-the-program").env("MY_TOKEN", "of-the-program");
    // What would lead its programs to another server.
    command.env("PGHOSTADDR", "127.0.0.1").env("PGSERVICE", "live");
    let drilled = Program::finish(command.spawn().unwrap()).expect_code(0).json();
    assert_eq!(drilled[0]["status"], "passed", "{drilled}");
}

#[test]
fn a_client_that_cannot_be_restricted_runs_scripts_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    open_up(folder.path());
    for name in ["initdb", "pg_ctl", "postgres", "pg_restore", "pg_dump"] {
        symlink(programs().join(name), folder.path().join(name)).unwrap();
    }
    // What it does not know it takes for a wrong command.
    let real = programs().join("psql");
    let old = format!(
        "#!/bin/sh\ncase \"$*\" in *--help*) {real} \"$@\" | sed /restrict/d;; *\"-f -\"*) sed 's/^.restrict /\\\\nosuch /;s/^.unrestrict /\\\\nosuch /' | {real} \"$@\";; *) exec {real} \"$@\";; esac\n",
        real = real.display()
    );
    fs::write(folder.path().join("psql"), old).unwrap();
    fs::set_permissions(folder.path().join("psql"), fs::Permissions::from_mode(0o755)).unwrap();
    let rules = "[[target.source.drill]]\nrows = { t = 1 }\n";
    let stage = Stage::new(
        &format!("postgres_programs = \"{}\"", folder.path().display()),
        &[of_file("plain", "plain.sql", rules), of_file("commands", "commands.sql", "")].concat(),
    );
    let plain = "\\restrict abc\nCREATE TABLE t(x text);\nCOPY t FROM stdin;\n\\N\n\\.\n\\unrestrict abc\n";
    fs::write(stage.path("plain.sql"), script(plain)).unwrap();
    fs::write(stage.path("commands.sql"), script("\\! touch /tmp/x")).unwrap();
    stage.back_up("plain");
    assert_eq!(stage.drill("plain", 0)["status"], "passed");
    stage.back_up("commands");
    let drilled = stage.drill("commands", 3);
    assert!(not_tried(&drilled).contains("command of the client"), "{drilled}");
}
