//! Examples below the help of each command. Each is a line that the command line accepts.

/// Commands and what people type.
pub(crate) const EXAMPLES: &[(&str, &str)] = &[
    (
        "init",
        "chronos -r /mnt/disk/backups init\nchronos -r /mnt/disk/backups init --password-file ~/.backup-password",
    ),
    (
        "backup",
        "chronos backup ~/Documents /etc\n\
         chronos backup ~/project --preset project --tag before-move\n\
         chronos backup / --one-file-system --exclude '/var/cache/**'\n\
         chronos backup --command 'pg_dump -Fp shop' --stdin-filename shop.sql --target shop\n\
         chronos backup ~/project --exclude '*.o' --explain ~/project/main.o",
    ),
    ("snapshots", "chronos snapshots\nchronos snapshots --target shop --since 2026-01-01 --json"),
    ("ls", "chronos ls latest\nchronos ls -l latest:etc/ssh\nchronos ls -R latest:home/me"),
    ("find", "chronos find '*.pdf'\nchronos find 'etc/**/hosts' --below etc --ignore-case"),
    ("cat", "chronos cat latest:etc/hosts\nchronos cat latest:var/log/syslog --offset 4096 --length 512"),
    (
        "diff",
        "chronos diff latest live\n\
         chronos diff files_manual_20260101_000000 latest --path etc\n\
         chronos diff latest:etc/app.json live",
    ),
    (
        "versions",
        "chronos versions ~/Documents/letter.txt\n\
         chronos versions etc/hosts --since 2026-01-01\n\
         chronos versions --workflow rzAW3UffRJBgpyXS --target prod",
    ),
    (
        "restore",
        "chronos restore latest --to /tmp/back\n\
         chronos restore latest:home/me/Documents --to /tmp/documents\n\
         chronos restore latest --strategy overwrite --include '*.conf' --dry-run\n\
         chronos restore latest:shop --component database --to /tmp/dump",
    ),
    (
        "rollback",
        "chronos rollback --workflow rzAW3UffRJBgpyXS\n\
         chronos rollback latest --component shop --dry-run\n\
         chronos rollback latest:shop --table public.accounts --schema app\n\
         chronos rollback latest:shop --component database --strategy new-location\n\
         chronos rollback latest:shop --component database --target staging --dry-run\n\
         chronos rollback shop_daily_20260101_020000 --strategy replace",
    ),
    (
        "history",
        "chronos history\nchronos history --target shop --status failed\nchronos history rollback_20260101_030000",
    ),
    (
        "export",
        "chronos export latest -o backup.tar.zst\nchronos export latest:etc --format zip -o etc.zip --force",
    ),
    ("undo", "chronos undo rollback_20260101_030000 --dry-run\nchronos undo rollback_20260101_030000"),
    (
        "recover",
        "chronos recover --dry-run\n\
         chronos recover all_daily_20260101_020000\n\
         chronos recover --component event-bus --component database\n\
         chronos recover --resume rollback_20260101_030000",
    ),
    ("rebuild", "chronos rebuild /mnt/disk/backups --dry-run\nchronos rebuild /mnt/disk/backups"),
    (
        "emergency",
        "chronos emergency deactivate-all\nchronos emergency deactivate-all --confirm\n\
         chronos emergency reactivate --confirm\nchronos emergency restart-services --target all --confirm",
    ),
    ("verify", "chronos verify latest\nchronos verify latest:shop --quick"),
    ("drill", "chronos drill\nchronos drill shop\nchronos drill all\nchronos drill --list --json"),
    ("check", "chronos check\nchronos check --read-data=5%"),
    ("forget", "chronos forget --dry-run\nchronos forget --keep-daily 7 --keep-weekly 4 --target shop"),
    ("probe", "chronos probe\nchronos probe s3://bucket/backups\nchronos probe /mnt/nas --json"),
    ("prune", "chronos prune\nchronos prune --keep-deleted 7d --max-repack 2G"),
    ("cleanup", "chronos cleanup --keep-last 10 --dry-run\nchronos cleanup"),
    ("delete", "chronos delete files_manual_20260101_000000"),
    ("undelete", "chronos undelete files_manual_20260101_000000"),
    ("hold", "chronos hold latest"),
    ("release", "chronos release latest"),
    ("tag", "chronos tag latest --add before-move\nchronos tag latest --set keep"),
    ("rewrite", "chronos rewrite latest --exclude id_rsa --dry-run"),
    ("stats", "chronos stats --json"),
    ("repair", "chronos repair packs --dry-run\nchronos repair index\nchronos repair snapshots"),
    (
        "sync",
        "chronos sync /mnt/offsite/backups\n\
         chronos sync 's3://bucket/backups?endpoint=https://s3.example.org' --check\n\
         chronos sync\n\
         chronos sync /mnt/offsite/backups --promote",
    ),
    (
        "copy",
        "chronos copy latest /mnt/other/repository\n\
         chronos copy --all 's3://bucket/archive?endpoint=https://s3.example.org' --to-password-file ~/.archive-password\n\
         chronos copy --target shop --tier monthly /mnt/archive --dry-run",
    ),
    ("keys", "chronos keys list\nchronos keys add --new-password-file ~/.backup-password --label office"),
    (
        "kit",
        "chronos kit export -o /media/stick/chronos-kit.html --copy /mnt/offsite/backups\nchronos kit open /media/stick/chronos-kit.html\nchronos -r /mnt/copy kit open kit.txt",
    ),
    ("config", "chronos config init\nchronos config check\nchronos config show"),
    ("targets", "chronos targets\nchronos targets --json"),
    (
        "serve",
        "chronos serve\nchronos serve --chronos-listen 192.0.2.7:8010 --token-file /etc/chronos/tokens",
    ),
    (
        "tokens",
        "chronos tokens add deployer --role backup --token-file /etc/chronos/tokens\n\
         chronos tokens list --token-file /etc/chronos/tokens",
    ),
    (
        "schedule",
        "chronos schedule list\n\
         chronos schedule add nightly --cron '30 2 * * *' --timezone Europe/Berlin --tier daily --target shop\n\
         chronos schedule add --job cleanup --cron @daily --jitter 30min\n\
         chronos schedule disable hourly\n\
         chronos schedule remove nightly",
    ),
    (
        "jobs",
        "chronos jobs list --status running\n\
         chronos jobs watch 019a3c5e-7b1d-7c44-9f0e-2f4f6b8a1c3d\n\
         chronos jobs cancel 019a3c5e-7b1d-7c44-9f0e-2f4f6b8a1c3d",
    ),
    ("doctor", "chronos doctor"),
    ("completions", "chronos completions bash"),
    ("man", "chronos man restore\nchronos man --dir /usr/local/share/man/man1"),
];

/// The program with an example or more below each command's help.
pub(crate) fn added(program: clap::Command) -> clap::Command {
    EXAMPLES.iter().fold(program, |program, (name, lines)| {
        let text = lines.lines().fold("Examples:".to_owned(), |text, line| text + "\n  " + line);
        program.mut_subcommand(name, |command| command.after_help(text))
    })
}
