//! The usual schedule.

use super::*;

fn target(name: &str, components: &[&str]) -> TargetParts {
    TargetParts { name: name.to_owned(), components: components.iter().map(|c| (*c).to_owned()).collect() }
}

#[test]
fn each_kind_of_target_has_the_schedules_of_its_components() {
    let targets = [
        target("prod", &["workflows", "credentials"]),
        target("supabase", &["database"]),
        target("etc", &["files"]),
    ];
    let schedules = built_in(&targets, None, None).unwrap();
    let of = |id: &str| schedules.iter().find(|s| s.id == id).unwrap();
    for id in ["hourly", "daily", "weekly", "monthly"] {
        assert_eq!((of(id).targets.len(), of(id).tier.as_str()), (3, id));
    }
    assert_eq!(of("database").targets, ["supabase"]);
    assert_eq!((of("workflows").targets[0].as_str(), of("workflows").on_change), ("prod", true));
    assert_eq!([of("database").tier.as_str(), of("workflows").tier.as_str()], ["auto", "auto"]);
    assert_eq!(
        (of("cleanup").job, of("verify").job, of("drill").job),
        (Job::Cleanup, Job::Verify, Job::Drill)
    );
    assert!(schedules.iter().all(|s| s.enabled && s.origin == Origin::BuiltIn));
}

#[test]
fn the_times_are_those_of_the_zone() {
    let schedules = built_in(&[target("etc", &["files"])], None, Some("Europe/Berlin")).unwrap();
    let next = |id: &str| {
        let schedule = schedules.iter().find(|s| s.id == id).unwrap();
        schedule.times.after(at("2026-06-01T12:00")).unwrap()
    };
    assert_eq!(next("daily"), at("2026-06-02T00:00"));
    assert_eq!(next("weekly"), at("2026-06-07T01:00"));
    assert_eq!(next("monthly"), at("2026-07-01T02:00"));
    assert_eq!(next("cleanup"), at("2026-06-02T03:00"));
    assert!(built_in(&[], None, Some("Nowhere")).is_err());
}

#[test]
fn without_targets_there_is_upkeep_alone() {
    let ids: Vec<String> = built_in(&[], None, None).unwrap().into_iter().map(|s| s.id).collect();
    assert_eq!(ids, ["cleanup", "verify", "drill"]);
}

#[test]
fn jobs_have_words() {
    assert!(Job::ALL.into_iter().all(|job| Job::of_word(job.word()) == Some(job)));
    assert_eq!(Job::of_word("nothing"), None);
}
