"""What a fuzzer must know of CHRONOS and HADES beyond their documents: rules that no schema can tell, each with its reason.

Read by schemathesis (`SCHEMATHESIS_HOOKS`). Whatever is not named here counts as a fault. `CALLER` says who asks: the role of a
token, or nothing for a caller of this host, who may do everything; `ROOT` is where restores to another place go.
"""

import hashlib
import os

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData

KEY = "Idempotency-Key"
KEY_LEN_MAX = 255

# Each may do what those before it may.
ROLES = ("read", "backup", "restore", "admin")
CALLER = os.environ.get("CALLER")
ROOT = os.environ["ROOT"]

# Fields whose values have a grammar of their own, or belong together with another value.
# A request that breaks such a rule is refused with 422 and the name of the field.
FIELDS = {
    # Only what an earlier answer gave is one.
    "cursor": "GET /backups",
    # A moment: RFC 3339, or a date alone.
    "since": "GET /backups",
    "until": "GET /backups",
    # `tier` and `type` may say the same thing, but not two things.
    "type": "GET /backups, POST /backup",
    "backup_type": "POST /backup, POST /schedules, PATCH /schedules/{id}",
    # A target excludes a component that is another target.
    "component": "POST /backup",
    # Patterns such as those of ignore files.
    "include_patterns": "POST /backup",
    "exclude_patterns": "POST /backup",
    # Schedules: a cron expression, a time zone of the database, a span of time, a target, and what belongs to backups alone.
    "cron": "POST /schedules, PATCH /schedules/{id}",
    "timezone": "POST /schedules, PATCH /schedules/{id}",
    "jitter": "POST /schedules, PATCH /schedules/{id}",
    "job": "POST /schedules, PATCH /schedules/{id}",
    "tier": "POST /schedules, PATCH /schedules/{id}",
    "on_change": "POST /schedules, PATCH /schedules/{id}",
    # The versions of a workflow, or of a path; a path of a dump cannot be compared live.
    "path": "GET /versions, GET /diff",
    # Also a target without an n8n.
    "target": "POST /schedules, PATCH /schedules/{id}, POST /rollback/workflow, POST /restore/workflow, POST /emergency",
    # A copy that is configured, and where there is none nothing can be asked.
    "to": "POST /sync",
    # Names of targets, components and sources that are configured; a recovery that is resumed says itself what it brings back.
    "components": "POST /recover, POST /rebuild",
    "resume": "POST /recover, POST /rebuild",
    # Names of what is in the databases of a snapshot.
    "tables": "POST /rollback, POST /restore/{id}",
    "schemas": "POST /rollback, POST /restore/{id}",
}

# Words at which a rule without a field is known.
SENTENCES = (
    # The beginning of a content id that fits several snapshots.
    "is ambiguous",
    # Names, tags and texts are limited in bytes, and a schema counts characters.
    "bytes without control characters",
    "is longer than 16384 bytes",
    # A target whose sources are of other kinds than the one that is asked for, and a snapshot of it.
    "has nothing of type",
    "the snapshot has no component",
)


def digest(text):
    """Some digits that belong to a text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key belongs to one request: the same one gets another key with every other request. What is put back is there, and a new
    place lies below the root.
    """
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and key.strip() and len(key) <= KEY_LEN_MAX:
        mark = digest(repr((case.method, case.path, case.path_parameters, dict(case.query or {}), case.body)))
        case.headers[KEY] = key[: KEY_LEN_MAX - len(mark)] + mark
    body = case.body if isinstance(case.body, dict) else {}
    # Who has a token may restore to any place.
    if CALLER and isinstance(body.get("restore_target_path"), str):
        body["restore_target_path"] = os.path.join(ROOT, digest(body["restore_target_path"]))
    # A module that is not there makes its source fail, which is 502 as for every source that cannot be had.
    modules = body.get("target_modules")
    if isinstance(modules, list) and all(isinstance(module, str) for module in modules):
        body.pop("target_modules")
    # Nobody guesses the name of a snapshot: half of them become that of one that is there.
    name = body.get("backup_id")
    if isinstance(name, str) and name.strip() and digest(name) < "8":
        body["backup_id"] = "latest:notes"
    for side, there in (("from", "latest:notes"), ("to", "live")):
        name = (case.query or {}).get(side)
        if isinstance(name, str) and name.strip() and digest(name) < "8":
            case.query[side] = there


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether it is a failure: not where one of the rules above was broken."""
    if isinstance(failure, RejectedPositiveData) and response.status_code == 422:
        problem = response.json()
        label = f"{case.method} {case.operation.path}"
        if label in FIELDS.get(problem.get("field"), "").split(", "):
            return False
        return not any(sentence in problem["detail"] for sentence in SENTENCES)
    if isinstance(failure, AcceptedNegativeData):
        # A parameter that says nothing is none, as a list without members is one on the way.
        return not any(value in ("", [], [""]) for value in (case.query or {}).values())
    if isinstance(failure, EnsureResourceAvailability):
        # What was made for all targets is a run: its snapshots have names of their own.
        return not str((case.path_parameters or {}).get("id", "")).startswith("all_")
    return True


@schemathesis.check
def problems_are_sentences(ctx, response, case):
    """Whatever is refused or fails says so as RFC 9457 has it, in a sentence that older callers find too."""
    if response.status_code < 400 or (response.status_code == 503 and case.operation.path == "/health"):
        return
    kind = response.headers.get("content-type", [""])[0]
    assert kind == "application/problem+json", f"{response.status_code} is {kind}"
    problem = response.json()
    assert problem["status"] == response.status_code, problem
    assert problem["detail"] and problem["detail"] == problem["error"], problem
    assert problem["state"] and problem["title"], problem


@schemathesis.check
def roles_are_held(ctx, response, case):
    """Who has a token does what his role may do, as the document has it, and nothing else."""
    if not CALLER or case.method.upper() != case.operation.method.upper():
        return
    [needed] = [role for way in case.operation.definition.raw["security"] for role in way.get("token", [])]
    may = CALLER in ROLES and ROLES.index(CALLER) >= ROLES.index(needed)
    refused = 403 if CALLER in ROLES else 401
    assert (response.status_code in (401, 403)) != may, f"{CALLER} asks for {needed}: {response.status_code}"
    assert may or response.status_code == refused, f"{CALLER} asks for {needed}: {response.status_code}"
