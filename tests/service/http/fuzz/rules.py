"""What a fuzzer must know of CHRONOS beyond its document: rules that no schema can tell, each with its reason.

Read by schemathesis (`SCHEMATHESIS_HOOKS`). Whatever is not named here counts as a fault.
"""

import hashlib

import schemathesis
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData

KEY = "Idempotency-Key"
KEY_LEN_MAX = 255

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
    # Tags are names, and a target excludes a component that is another target.
    "component": "POST /backup",
    # Patterns such as those of ignore files.
    "include_patterns": "POST /backup",
    "exclude_patterns": "POST /backup",
    # Schedules: a cron expression, a time zone of the database, a span of time, a target, and what belongs to backups alone.
    "cron": "POST /schedules, PATCH /schedules/{id}",
    "timezone": "POST /schedules, PATCH /schedules/{id}",
    "jitter": "POST /schedules, PATCH /schedules/{id}",
    "job": "POST /schedules, PATCH /schedules/{id}",
    "target": "POST /schedules, PATCH /schedules/{id}",
    "tier": "POST /schedules, PATCH /schedules/{id}",
    "on_change": "POST /schedules, PATCH /schedules/{id}",
}

# Words at which a rule without a field is known.
SENTENCES = (
    # The beginning of a content id that fits several snapshots.
    "is ambiguous",
    # Names and tags are limited in bytes, and a schema counts characters.
    "bytes without control characters",
    # A target whose sources are of other kinds than the one that is asked for.
    "has nothing of type",
)


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key belongs to one request: the same one gets another key with every other request."""
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and 0 < len(key) <= KEY_LEN_MAX:
        request = repr((case.method, case.path, case.path_parameters, dict(case.query or {}), case.body))
        mark = hashlib.sha256(request.encode("utf-8", "replace")).hexdigest()[:16]
        case.headers[KEY] = key[: KEY_LEN_MAX - len(mark)] + mark


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether it is a failure: not where one of the rules above was broken."""
    if isinstance(failure, RejectedPositiveData) and response.status_code == 422:
        problem = response.json()
        label = f"{case.method} {case.operation.path}"
        if label in FIELDS.get(problem.get("field"), "").split(", "):
            return False
        return not any(sentence in problem["detail"] for sentence in SENTENCES)
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
