//! What the rules say of the snapshots of one target, each for itself.
//!
//! The members of a group come newest first. Members that are not trusted are judged, but leave no
//! trace: they fill no count and end no span, so the others fare as if they were not there.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use super::plan::Timing;
use super::policy::{Count, KeepPolicy, Limits, Policy, Rule, TierPolicy, Within};
use super::reason::Reason;
use super::row::Row;

/// One snapshot of a group.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    /// Its place in the rows.
    pub(super) index: usize,
    pub(super) row: &'a Row,
    pub(super) time: Timestamp,
    /// Whether it may age others out.
    pub(super) trusted: bool,
}

/// What the rules say of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) keep: bool,
    pub(super) reasons: Vec<Reason>,
}

impl Judged {
    /// Kept if there is any reason to; else it goes, for `otherwise`.
    fn by(kept: Vec<Reason>, otherwise: Vec<Reason>) -> Self {
        let keep = !kept.is_empty();
        Self { keep, reasons: if keep { kept } else { otherwise } }
    }
}

/// Judges a group, newest first, in its order.
pub(super) fn judge(group: &[Member<'_>], policy: &Policy, timing: &Timing) -> Vec<Judged> {
    match policy {
        Policy::Tiers(policy) => judge_tiers(group, policy, timing.now),
        Policy::Keep(policy) => judge_keep(group, policy, timing),
        Policy::Limits(limits) => judge_limits(group, limits, timing.now),
    }
}

/// A rule that keeps the newest snapshot of each piece of time.
struct Bucket {
    name: &'static str,
    piece: Piece,
    left: Option<Count>,
    last: Option<i64>,
}

impl Bucket {
    /// Whether the rule keeps a snapshot; `place` is its number from the newest.
    fn takes(&mut self, member: &Member<'_>, local: &Zoned, place: usize, is_oldest: bool) -> Option<Reason> {
        if matches!(self.left, None | Some(Count::Newest(0))) {
            return None;
        }
        let piece = Some((self.piece)(local, place));
        let fresh = piece != self.last;
        if !fresh && !is_oldest {
            return None;
        }
        // What stays only as the oldest fills nothing: one that is not believed may be older still.
        if member.trusted && fresh {
            self.last = piece;
            if let Some(Count::Newest(n)) = &mut self.left {
                *n -= 1;
            }
        }
        Some(if fresh { Reason::Newest(self.name) } else { Reason::Oldest(self.name) })
    }
}

/// The newest of each piece of time within a span.
struct SpanBucket {
    bucket: Bucket,
    span: Within,
    from: Option<Timestamp>,
}

/// Names the piece of time that a snapshot lies in, or its place from the newest.
type Piece = fn(&Zoned, usize) -> i64;

const PIECES: [(&str, Piece); 6] = [
    ("last", |_, place| i64::try_from(place).unwrap_or(i64::MAX)),
    ("hourly", |t, _| day(t) * 100 + i64::from(t.hour())),
    ("daily", |t, _| day(t)),
    ("weekly", |t, _| {
        let week = t.date().iso_week_date();
        i64::from(week.year()) * 100 + i64::from(week.week())
    }),
    ("monthly", |t, _| i64::from(t.year()) * 100 + i64::from(t.month())),
    ("yearly", |t, _| i64::from(t.year())),
];

fn day(t: &Zoned) -> i64 {
    (i64::from(t.year()) * 100 + i64::from(t.month())) * 100 + i64::from(t.day())
}

fn judge_keep(group: &[Member<'_>], policy: &KeepPolicy, timing: &Timing) -> Vec<Judged> {
    if policy.is_empty() {
        return vec![Judged { keep: true, reasons: vec![Reason::NoRules] }; group.len()];
    }
    let counts = [policy.last, policy.hourly, policy.daily, policy.weekly, policy.monthly, policy.yearly];
    let mut buckets: Vec<Bucket> = PIECES
        .into_iter()
        .zip(counts)
        .map(|((name, piece), left)| Bucket { name, piece, left, last: None })
        .collect();
    let newest = group.iter().filter(|m| m.trusted && m.time < timing.now).map(|m| m.time).max();
    let start = |span: Within| newest.and_then(|newest| before(newest, span, &timing.zone));
    let spans = [
        policy.within_hourly,
        policy.within_daily,
        policy.within_weekly,
        policy.within_monthly,
        policy.within_yearly,
    ];
    let mut span_buckets: Vec<SpanBucket> = PIECES
        .into_iter()
        .skip(1)
        .zip(spans)
        .filter_map(|((name, piece), span)| {
            let bucket = Bucket { name, piece, left: Some(Count::All), last: None };
            span.filter(|s| *s != Within::default()).map(|span| SpanBucket {
                bucket,
                span,
                from: start(span),
            })
        })
        .collect();
    let within = policy.within.filter(|s| *s != Within::default()).map(|span| (span, start(span)));
    let oldest_trusted = group.iter().rposition(|m| m.trusted);

    let judge_one = |(place, member): (usize, &Member<'_>)| {
        let local = member.time.to_zoned(timing.zone.clone());
        let is_oldest = oldest_trusted.is_none_or(|oldest| place >= oldest);
        let after = |from: Option<Timestamp>| from.is_none_or(|from| member.time > from);
        let mut kept: Vec<Reason> =
            policy.tags.iter().filter(|t| has_tags(member.row, t)).cloned().map(Reason::Tags).collect();
        kept.extend(within.filter(|(_, from)| after(*from)).map(|(span, _)| Reason::Within(span)));
        kept.extend(buckets.iter_mut().filter_map(|b| b.takes(member, &local, place, is_oldest)));
        for SpanBucket { bucket, span, from } in &mut span_buckets {
            if after(*from) && bucket.takes(member, &local, place, is_oldest).is_some() {
                kept.push(Reason::NewestWithin(bucket.name, *span));
            }
        }
        Judged::by(kept, vec![Reason::NoRuleKeeps])
    };
    group.iter().enumerate().map(judge_one).collect()
}

/// Whether a snapshot has all of these tags.
fn has_tags(row: &Row, tags: &[String]) -> bool {
    let untagged = row.tags.is_empty() && tags.first().is_some_and(String::is_empty);
    untagged || tags.iter().all(|tag| row.tags.contains(tag))
}

/// The moment a span before `newest`: years, months and days in the calendar of the zone, a day that a month
/// lacks running over into the next one; then hours as they pass. `None` if it is before all time.
fn before(newest: Timestamp, span: Within, zone: &TimeZone) -> Option<Timestamp> {
    let local = newest.to_zoned(zone.clone());
    let months = i32::from(local.year()) * 12 + i32::from(local.month())
        - 1
        - i32::from(span.years) * 12
        - span.months;
    let first = Date::new(
        i16::try_from(months.div_euclid(12)).ok()?,
        i8::try_from(months.rem_euclid(12) + 1).ok()?,
        1,
    );
    let days = i64::from(local.day()) - 1 - i64::from(span.days);
    let date = first.ok()?.checked_add(days.days()).ok()?;
    let moment = date.to_datetime(local.time()).to_zoned(zone.clone()).ok()?.timestamp();
    moment.checked_sub(i64::from(span.hours).hours()).ok()
}

/// A rule of a tier or kind and the members that it names.
struct Named<'p> {
    name: &'p str,
    rule: Rule,
    trusted_newer: u32,
}

impl Named<'_> {
    fn keeps(&mut self, member: &Member<'_>, now: Timestamp) -> Option<Reason> {
        let rule = || self.name.to_owned();
        let newer = self.trusted_newer;
        self.trusted_newer += u32::from(member.trusted);
        match self.rule {
            Rule { count: None, age_seconds: None } => Some(Reason::Forever { rule: rule() }),
            Rule { count: Some(count), .. } if newer < count => {
                Some(Reason::AmongNewest { rule: rule(), count })
            }
            Rule { age_seconds: Some(age), .. } if age_of(member.time, now) <= age => {
                Some(Reason::Young { rule: rule(), age })
            }
            Rule { .. } => None,
        }
    }
}

/// Seconds since a moment, begun ones counted whole; 0 for what is yet to come.
fn age_of(time: Timestamp, now: Timestamp) -> u64 {
    let nanos = u128::try_from(now.as_nanosecond() - time.as_nanosecond()).unwrap_or(0);
    u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}

fn judge_tiers(group: &[Member<'_>], policy: &TierPolicy, now: Timestamp) -> Vec<Judged> {
    let named = |name, rule: Option<Rule>| rule.map(|rule| Named { name, rule, trusted_newer: 0 });
    let mut tiers: Vec<Named<'_>> =
        policy.tiers.iter().map(|(name, rule)| Named { name, rule: *rule, trusted_newer: 0 }).collect();
    let mut database = named("database-only", policy.database_only);
    let mut workflows = named("workflows-only", policy.workflows_only);
    let mut auto = named("auto", policy.auto);
    let mut other = named("other", policy.other);
    let mut judge_one = |member: &Member<'_>| {
        let row = member.row;
        let mut rules: Vec<&mut Named<'_>> = tiers.iter_mut().filter(|t| t.name == row.tier).collect();
        match row.backup_type.as_str() {
            "database" => rules.extend(&mut database),
            "workflows" => rules.extend(&mut workflows),
            _ => {}
        }
        if rules.is_empty() && row.tier == "auto" {
            rules.extend(&mut auto);
        }
        if rules.is_empty() {
            rules.extend(&mut other);
        }
        if rules.is_empty() {
            return Judged { keep: true, reasons: vec![Reason::NotNamed] };
        }
        let outlived = rules.iter().map(|r| Reason::Outlived { rule: r.name.to_owned() }).collect();
        Judged::by(rules.into_iter().filter_map(|r| r.keeps(member, now)).collect(), outlived)
    };
    group.iter().map(&mut judge_one).collect()
}

fn judge_limits(group: &[Member<'_>], limits: &Limits, now: Timestamp) -> Vec<Judged> {
    let mut trusted_newer = 0;
    let judge_one = |member: &Member<'_>| {
        let mut reasons = Vec::new();
        if let Some(days) = limits.retention_days
            && age_of(member.time, now) > u64::from(days) * 86_400
        {
            reasons.push(Reason::TooOld { days });
        }
        if let Some(count) = limits.max_backups
            && trusted_newer >= count
        {
            reasons.push(Reason::TooMany { count });
        }
        trusted_newer += u32::from(member.trusted);
        if reasons.is_empty() {
            Judged { keep: true, reasons: vec![Reason::InLimits] }
        } else {
            Judged { keep: false, reasons }
        }
    };
    group.iter().map(judge_one).collect()
}
