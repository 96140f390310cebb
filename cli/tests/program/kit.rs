//! The recovery kit: what it brings back on an empty machine, from the page or from its QR code alone.

use std::fs;
use std::path::Path;

use rqrr::PreparedImage;
use serde_json::Value;

use crate::support::{Home, Ran, finish};

/// The password of every kit here.
const PASSWORD: &str = "four plain words here";

#[track_caller]
fn kit(home: &Home, args: &[&str]) -> Ran {
    kit_with(home, PASSWORD, args)
}

#[track_caller]
fn kit_with(home: &Home, password: &str, args: &[&str]) -> Ran {
    let mut command = home.command(args);
    finish(command.env("CHRONOS_KIT_PASSWORD", password).spawn().unwrap())
}

/// A machine with a snapshot and a kit `kit.html`; the page.
fn machine() -> (Home, String) {
    let home = Home::with_snapshot();
    kit(&home, &["kit", "export", "-o", "kit.html"]).code(0);
    let page = fs::read_to_string(home.path("kit.html")).unwrap();
    (home, page)
}

/// An empty machine with a file `kit.html`.
fn empty(page: &str) -> Home {
    let home = Home::new();
    home.file("kit.html", page.as_bytes());
    home
}

/// What is below a home, but for the kit.
fn has_nothing(home: &Home) -> bool {
    fs::read_dir(home.path("")).unwrap().all(|entry| entry.unwrap().file_name() == "kit.html")
}

/// The slots that the repository has.
fn slots(home: &Home) -> Vec<Value> {
    home.run(["keys", "list", "--json"]).code(0).json().as_array().unwrap().clone()
}

fn restores(home: &Home, repository: &str) {
    home.run(["-r", repository, "restore", "latest:files", "--to", "out"]).code(0);
    let found = walk(&home.path("out"));
    assert!(found.iter().any(|text| text == "first\n"), "{found:?}");
}

/// The texts of all files below a folder.
fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
        }
    }
    found
}

/// The text of the QR code that is drawn on a page.
fn scanned(page: &str) -> String {
    let (_, drawing) = page.split_once("<path fill=\"#000\" d=\"").unwrap();
    let (path, _) = drawing.split_once('"').unwrap();
    let mut dark = Vec::new();
    // Each is `M x y h width v height H x V y`.
    for part in path.split('M').filter(|part| !part.is_empty()) {
        let numbers: Vec<usize> =
            part.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).take(4).collect();
        let [x, y, width, height] = numbers[..] else { panic!("{part}") };
        dark.push((x..x + width, y..y + height));
    }
    let size = dark.iter().map(|(x, _)| x.end).max().unwrap() + dark[0].0.start;
    let mut pixels = vec![255_u8; size * size];
    for (xs, ys) in dark {
        for y in ys {
            pixels[y * size + xs.start..y * size + xs.end].fill(0);
        }
    }
    let mut image = PreparedImage::prepare_from_greyscale(size, size, |x, y| pixels[y * size + x]);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1, "one code");
    grids[0].decode().unwrap().1
}

#[test]
fn a_kit_brings_key_configuration_and_catalogue_to_an_empty_machine() {
    let home = Home::with_snapshot();
    home.file("token", b"secret token\n");
    let config = home.file(
        ".config/chronos/chronos.toml",
        b"[service]\ntoken_file = \"../../token\"\n[[target]]\nname = \"shop\"\npaths = [\"../../data\"]\n",
    );
    home.run(["backup", "--target", "shop"]).code(0);
    kit(&home, &["kit", "export", "-o", "early.html"]).code(0).says("would not come back");
    home.run(["backup", "--target", "chronos"]).code(0);
    let made = kit(&home, &["kit", "export", "-o", "kit.html", "--json"]).code(0).json();
    let slot = made["slot"].as_str().unwrap();
    // Every other key is taken away after that.
    let mut others = slots(&home);
    others.retain(|s| s["slot"] != slot);
    others.sort_by_key(|s| s["current"] == true);
    for other in others {
        home.run(["keys", "remove", other["slot"].as_str().unwrap()]).code(0);
    }
    let repository = home.path("moved");
    fs::rename(home.repository(), &repository).unwrap();
    let before = fs::read(&config).unwrap();
    for lost in [".config", ".local", ".cache", "token"] {
        let path = home.path(lost);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { drop(fs::remove_file(path)) }
    }

    kit(&home, &["kit", "open", "kit.html"]).code(10).says("no repository at");
    assert!(!home.path(".config").exists());
    let at = repository.to_str().unwrap();
    let opened = kit(&home, &["-r", at, "kit", "open", "kit.html", "--json"]).code(0).json();
    assert_eq!((&opened["status"], &opened["snapshots"]), (&"opened".into(), &3.into()), "{opened}");
    assert_eq!(opened["config"]["status"], "completed", "{opened}");
    let targets: Vec<&str> =
        opened["newest"].as_array().unwrap().iter().map(|n| n["target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["chronos", "files", "shop"]);
    assert_eq!(fs::read(&config).unwrap(), before);
    assert_eq!(fs::read_to_string(home.path("token")).unwrap(), "secret token\n");
    assert!(home.run(["targets"]).code(0).stdout.contains("shop"));
    restores(&home, at);
    // Once more changes nothing.
    let again = kit(&home, &["-r", at, "kit", "open", "kit.html", "--json"]).code(0).json();
    assert_eq!((&again["config"], &again["key_file"]), (&Value::Null, &opened["key_file"]), "{again}");
    // A configuration that is there stays, and one that is not wanted stays away.
    fs::write(&config, b"[[target]]\nname = \"mine\"\npaths = [\"/srv\"]\n").unwrap();
    kit(&home, &["-r", at, "kit", "open", "kit.html"]).code(0);
    assert!(fs::read_to_string(&config).unwrap().contains("mine"));
    fs::remove_file(&config).unwrap();
    kit(&home, &["-r", at, "kit", "open", "kit.html", "--no-config"]).code(0);
    assert!(!config.exists());
}

#[test]
fn the_printed_code_alone_opens_the_repository() {
    let (home, page) = machine();
    let paper = empty(&scanned(&page));
    kit(&paper, &["kit", "open", "kit.html"]).code(0);
    restores(&paper, home.repository().to_str().unwrap());
}

#[test]
fn a_repository_that_lost_its_keys_and_its_config_gets_them_back() {
    let (home, page) = machine();
    fs::remove_dir_all(home.repository().join("keys")).unwrap();
    fs::remove_file(home.repository().join("config")).unwrap();
    home.run(["snapshots"]).code(4);
    let other = empty(&page);
    let opened = kit(&other, &["kit", "open", "kit.html", "--json"]).code(0).json();
    assert_eq!(opened["put_back"].as_array().unwrap().len(), 3, "{opened}");
    restores(&other, home.repository().to_str().unwrap());
    // What opened it before does so again.
    home.run(["snapshots"]).code(0);
    home.run(["check"]).code(0);
}

/// Changes one letter of a file; what it is then.
fn damage(path: &Path, at: usize) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, &bytes).unwrap();
    bytes
}

#[test]
fn what_is_damaged_of_the_config_and_the_keys_is_replaced_and_kept() {
    let (home, page) = machine();
    let at = home.repository();
    let config = at.join("config");
    // In its text, and in what its keys vouch for it with.
    let last = fs::metadata(&config).unwrap().len() as usize - 3;
    let mut damaged = vec![(config.clone(), 30), (config, last)];
    damaged
        .extend(slots(&home).iter().map(|slot| (at.join("keys").join(slot["slot"].as_str().unwrap()), 40)));
    assert_eq!(damaged.len(), 4);
    let other = empty(&page);
    for (path, letter) in damaged {
        let whole = fs::read(&path).unwrap();
        let bad = damage(&path, letter);
        let opened = kit(&other, &["kit", "open", "kit.html", "--json"]).code(0).json();
        let name = path.strip_prefix(&at).unwrap().to_str().unwrap();
        assert_eq!(opened["put_back"], serde_json::json!([name]), "{opened}");
        assert_eq!(fs::read(&path).unwrap(), whole, "{name}");
        let told =
            opened["warnings"].as_array().unwrap().iter().find_map(|w| w.as_str()?.split_once("kept in "));
        assert_eq!(fs::read(told.unwrap().1).unwrap(), bad, "{name}");
    }
    home.run(["snapshots"]).code(0);
    home.run(["check"]).code(0);
}

#[test]
fn what_was_being_put_back_is_put_back_by_the_next() {
    let (home, page) = machine();
    let keys = home.repository().join("keys");
    let all = slots(&home);
    let own = all.iter().find(|slot| slot["label"].as_str().unwrap().starts_with("recovery kit")).unwrap();
    let other = all.iter().find(|slot| *slot != own).unwrap();
    fs::remove_dir_all(&keys).unwrap();
    let machine = empty(&page);
    // The kit's own key comes first; that of the others cannot be written.
    fs::create_dir_all(keys.join(other["slot"].as_str().unwrap()).join("folder")).unwrap();
    let ran = kit(&machine, &["kit", "open", "kit.html"]);
    assert!(ran.code != 0 && keys.join(own["slot"].as_str().unwrap()).is_file(), "{ran:?}");
    fs::remove_dir_all(keys.join(other["slot"].as_str().unwrap())).unwrap();
    kit(&machine, &["kit", "open", "kit.html"]).code(0);
    assert_eq!(slots(&home).len(), 2);
    // From now on what goes is gone.
    fs::remove_file(keys.join(other["slot"].as_str().unwrap())).unwrap();
    kit(&machine, &["kit", "open", "kit.html"]).code(0);
    assert!(!keys.join(other["slot"].as_str().unwrap()).exists());
}

#[test]
fn what_does_not_open_touches_nothing() {
    let (home, page) = machine();
    let at = home.repository();
    let other = empty(&page);
    kit_with(&other, "another", &["kit", "open", "kit.html"])
        .code(12)
        .says("not the password of the recovery kit");
    other.run(["kit", "open", "kit.html"]).code(2).says("CHRONOS_KIT_PASSWORD");
    kit(&other, &["-r", "nowhere", "kit", "open", "kit.html"]).code(10);
    assert!(has_nothing(&other));
    let stranger = Home::with_snapshot();
    let elsewhere = stranger.repository();
    kit(&other, &["-r", elsewhere.to_str().unwrap(), "kit", "open", "kit.html"])
        .code(12)
        .says("that is another repository");
    assert!(!other.path(".config").exists());
    let slot = slots(&home)
        .iter()
        .find(|s| s["label"].as_str().unwrap().starts_with("recovery kit"))
        .unwrap()["slot"]
        .clone();
    home.run(["keys", "remove", slot.as_str().unwrap()]).code(0);
    kit(&other, &["kit", "open", "kit.html"]).code(12).says(slot.as_str().unwrap());
    assert!(!other.path(".config").exists());
    assert_eq!(slots(&home).len(), 1, "an open kit puts no key back that was removed");
    assert!(at.join("config").exists());
}

#[test]
fn another_repository_gets_nothing_of_the_kit() {
    let (_, page) = machine();
    let stranger = Home::with_snapshot();
    let at = stranger.repository();
    let kept = fs::read(at.join("config")).unwrap();
    let other = empty(&page);
    for lost in ["config", "keys"] {
        let path = at.join(lost);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let ran = kit(&other, &["-r", at.to_str().unwrap(), "kit", "open", "kit.html"]);
        assert!([4, 12].contains(&ran.code), "{ran:?}");
        assert!(
            !path.exists() || fs::read_dir(&path).is_ok_and(|mut slots| slots.next().is_none()),
            "{lost}"
        );
        assert!(!other.path(".config").exists());
    }
    fs::write(at.join("config"), kept).unwrap();
    let bad = damage(&at.join("config"), 30);
    let ran = kit(&other, &["-r", at.to_str().unwrap(), "kit", "open", "kit.html"]);
    assert!([4, 12].contains(&ran.code) && fs::read(at.join("config")).unwrap() == bad, "{ran:?}");
    damage(&at.join("config"), 30);
    let ran = kit(&other, &["-r", at.to_str().unwrap(), "kit", "open", "kit.html"]);
    assert!([4, 12].contains(&ran.code) && !at.join("keys").exists(), "{ran:?}");
}

#[test]
fn the_first_place_where_the_repository_opens_is_taken() {
    let (home, _) = machine();
    let copy = home.path("copy");
    kit(&home, &["kit", "export", "-o", "two.html", "--copy", copy.to_str().unwrap()]).code(0);
    let copied = std::process::Command::new("cp").arg("-a").args([&home.repository(), &copy]).status();
    assert!(copied.unwrap().success());
    let stranger = Home::with_snapshot();
    fs::remove_dir_all(home.repository()).unwrap();
    fs::rename(stranger.repository(), home.repository()).unwrap();
    let other = empty(&fs::read_to_string(home.path("two.html")).unwrap());
    let opened = kit(&other, &["kit", "open", "kit.html", "--json"]).code(0).json();
    assert_eq!(opened["location"], copy.to_str().unwrap());
    restores(&other, copy.to_str().unwrap());
}

#[test]
fn a_configuration_behind_a_link_and_with_a_password_file_comes_back_and_the_repository_opens() {
    let home = Home::new();
    home.file("data/a", b"first\n");
    home.file("secret/password", b"sesame\n");
    home.file("real/chronos.toml", format!(
        "[repository]\nlocation = \"{}\"\npassword_file = \"{}\"\n[service]\ntoken_file = \"{}\"\n[[target]]\nname = \"shop\"\npaths = [\"{}\"]\n",
        home.path("repo").display(), home.path("secret/password").display(), home.path("secret/other").display(), home.path("data").display()
    ).as_bytes());
    home.file("secret/other", b"token\n");
    fs::create_dir_all(home.path(".config/chronos")).unwrap();
    std::os::unix::fs::symlink(home.path("real/hop.toml"), home.path(".config/chronos/chronos.toml"))
        .unwrap();
    std::os::unix::fs::symlink("chronos.toml", home.path("real/hop.toml")).unwrap();
    home.run(["init"]).code(0);
    home.run(["backup", "--target", "shop"]).code(0);
    // What opens it is named as a secret of the service as well.
    home.run(["backup", "--target", "chronos", "--password-file", "secret/password"]).code(0);
    let other_host = ["backup", "--target", "chronos", "--host", "elsewhere", "--tier", "daily"];
    home.run(other_host).code(0);
    kit(&home, &["kit", "export", "-o", "kit.html"]).code(0);
    for lost in ["real", "secret", ".config", ".cache", ".local"] {
        fs::remove_dir_all(home.path(lost)).unwrap();
    }
    let opened = kit(&home, &["kit", "open", "kit.html", "--json"]).code(0).json();
    assert_eq!(opened["errors"], serde_json::json!([]), "{opened}");
    assert_eq!(opened["config_file"], home.path(".config/chronos/chronos.toml").to_str().unwrap());
    assert!(!home.path("secret/password").exists() && home.path("secret/other").exists());
    // The password file is gone for good: the kit's key opens it.
    home.run(["snapshots"]).code(0);
    assert!(home.run(["targets"]).code(0).stdout.contains("shop"));
    let mut command = home.command(["kit", "open", "kit.html"]);
    let ran = finish(
        command.env("CHRONOS_KIT_PASSWORD", PASSWORD).env("CHRONOS_PASSWORD", "wrong").spawn().unwrap(),
    );
    ran.code(3).says("do not open the repository yet");
}

#[test]
fn a_configuration_in_a_linked_folder_comes_back_with_its_links() {
    let home = Home::new();
    home.file("data/a", b"first\n");
    let folder = home.path(".config/chronos");
    let config = "[[target]]\nname = \"shop\"\npaths = [\"../../data\"]\n";
    home.file(".config/chronos/..first/chronos.toml", config.as_bytes());
    for (name, to) in [("..data", "..first"), ("chronos.toml", "..data/chronos.toml")] {
        std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    }
    home.run(["backup", "--target", "shop"]).code(0);
    home.run(["backup", "--target", "chronos"]).code(0);
    kit(&home, &["kit", "export", "-o", "kit.html"]).code(0);
    fs::remove_dir_all(home.path(".config")).unwrap();
    let opened = kit(&home, &["kit", "open", "kit.html", "--json"]).code(0).json();
    assert_eq!(opened["errors"], serde_json::json!([]), "{opened}");
    for (name, to) in [("..data", "..first"), ("chronos.toml", "..data/chronos.toml")] {
        assert_eq!(fs::read_link(folder.join(name)).unwrap(), Path::new(to));
    }
    assert!(home.run(["targets"]).code(0).stdout.contains("shop"));
}

#[test]
fn where_other_commands_look_elsewhere_is_told() {
    let (home, page) = machine();
    let other = empty(&page);
    let opened = kit(&other, &["kit", "open", "kit.html"]).code(0);
    opened.says("other commands look for the repository at");
    let opened = kit(&home, &["kit", "open", "kit.html"]).code(0);
    assert!(!opened.stderr.contains("other commands"), "{}", opened.stderr);
}

#[test]
fn a_kit_that_is_damaged_or_none_is_told_so() {
    let (_, page) = machine();
    let begin = page.find("id=\"chronos-kit\">").unwrap() + "id=\"chronos-kit\">".len();
    let end = page.len()
        - page
            .chars()
            .rev()
            .collect::<String>()
            .find(&"</script>".chars().rev().collect::<String>())
            .unwrap();
    for at in (begin..end).step_by(97) {
        let mut bytes = page.clone().into_bytes();
        bytes[at] ^= 1;
        let other = Home::new();
        other.file("kit.html", &bytes);
        let ran = kit(&other, &["kit", "open", "kit.html"]);
        assert!([2, 4].contains(&ran.code) && ran.stderr.contains("kit.html"), "byte {at}: {ran:?}");
        assert!(has_nothing(&other), "byte {at}");
    }
    for (text, code) in [("", 2), ("{}", 2), (&page[..end - 40], 2), ("{\"kind\":\"cake\",\"version\":1}", 2)]
    {
        kit(&empty(text), &["kit", "open", "kit.html"]).code(code).says("no recovery kit");
    }
    // Whoever changes a page can make its checksum fit.
    let kit_of: Value = serde_json::from_str(&scanned(&page)).unwrap();
    let text = scanned(&page).replace(&format!("\"slot\":{}", kit_of["slot"]), "\"slot\":\"../../evil\"");
    let sum = text.rsplit("\"checksum\":\"").next().unwrap().trim_end_matches("\"}").to_owned();
    let bare = text.replace(&sum, "");
    let text = text.replace(&sum, &blake3::hash(bare.as_bytes()).to_hex());
    kit(&empty(&text), &["kit", "open", "kit.html"]).code(4).says("a name that no key");
    let later = "{\"kind\":\"chronos recovery kit\",\"version\":2,\"more\":1}";
    kit(&empty(later), &["kit", "open", "kit.html"]).code(2).says("newer chronos");
}

#[test]
fn a_kit_is_private_holds_no_secret_and_leaves_no_key_where_it_fails() {
    use std::os::unix::fs::PermissionsExt;
    let (home, page) = machine();
    assert_eq!(fs::metadata(home.path("kit.html")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!page.contains(PASSWORD));
    let own = fs::read_dir(home.path(".config/chronos/keys")).unwrap().next().unwrap().unwrap().path();
    let key = fs::read_to_string(own).unwrap();
    assert!(!page.contains(key.lines().last().unwrap()));
    let before = slots(&home);
    kit(&home, &["kit", "export", "-o", "kit.html"]).code(2).says("already");
    kit(&home, &["kit", "export", "-o", "data/a.txt/kit.html"]).code(1);
    home.run(["kit", "export", "-o", "new.html"]).code(2).says("CHRONOS_KIT_PASSWORD");
    let far = "/".repeat(2) + &"far".repeat(900);
    kit(&home, &["kit", "export", "-o", "new.html", "--copy", &far]).code(2).says("too long");
    assert_eq!(slots(&home), before);
    assert!(!home.path("new.html").exists());
    let second = kit(&home, &["kit", "export", "-o", "new.html"]).code(0).says("keys remove");
    assert!(second.stderr.contains("Still valid"));
}

#[test]
fn odd_places_stand_in_the_page_as_they_are() {
    let (home, _) = machine();
    let odd = "/srv/<script>alert('x')</script>{{data}}&\"";
    kit(&home, &["kit", "export", "-o", "odd.html", "--copy", odd, "--copy", "s3://bucket/chronos"]).code(0);
    let page = fs::read_to_string(home.path("odd.html")).unwrap();
    assert_eq!(page.matches("<script").count(), 1, "the data and nothing else");
    let other = empty(&page);
    kit(&other, &["kit", "open", "kit.html"]).code(0);
    let text: Value = serde_json::from_str(&scanned(&page)).unwrap();
    assert_eq!(text["locations"][1], odd);
    assert_eq!(text["locations"][2], "s3://bucket/chronos");
}
