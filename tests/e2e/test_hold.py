"""Calls that wait for a human, as unmodified clients see them."""

import json
import subprocess

import anthropic
import httpx2
import openai
import pytest
from kit.gateway import Cli
from kit.model import TEXT, chat, chat_chunks
from kit.process import Background, eventually
from kit.upstream import Answer

KEY = "sk-e2e-held-0123456789abcdef"
WEIGHTS = bytes(range(256)) * 64
HELLO = [{"role": "user", "content": "hello"}]
# Chat waits when its model's name says so; an embedding waits too, for a second, so that nobody decides in time.
POLICY = """
apiVersion: keyward/v1
kind: Policy
metadata: {name: hold}
rules:
  - {id: use, effect: allow, when: 'operation.class in ["models.list", "chat.completions"]'}
  - id: export
    effect: approve
    when: 'operation.class == "model.export"'
    reason: Exporting weights leaves the perimeter
    approval: {approvers: ["group:model-owners"], min: 1, bind: request, ttl: 15m}
  - id: guarded-chat
    effect: approve
    when: 'operation.class == "chat.completions" && operation.resource.model.startsWith("guarded")'
    reason: This model is guarded
    approval: {approvers: ["group:model-owners"], min: 1, bind: request, ttl: 15m}
  - id: short
    effect: approve
    when: 'operation.class == "embeddings"'
    reason: Nobody will look
    approval: {approvers: ["group:model-owners"], min: 1, bind: request, ttl: 1s}
"""


def respond(asked) -> Answer:
    if asked.path.endswith("/weights"):
        return Answer(WEIGHTS, headers={"content-type": "application/octet-stream"})
    return chat(asked)


@pytest.fixture(scope="module")
def upstream(upstream_of):
    return upstream_of(respond)


@pytest.fixture(scope="module")
def held(tmp_path_factory, gateway_of, issuer, upstream):
    """Makes a gateway whose callers wait in silence for `wait`."""
    policy = tmp_path_factory.mktemp("policy") / "hold.yaml"
    policy.write_text(POLICY)
    credentials = {"models": "bearer", "claude": {"header": "x-api-key"}}

    def make(wait: str):
        config = {
            "issuers": [issuer],
            "policies": [str(policy)],
            "holding": {"wait": wait, "stream_commit_after": "200ms", "keepalive": "1s"},
            "connections": [
                {
                    "name": name,
                    "kind": {"models": "openai", "claude": "anthropic"}[name],
                    "upstream": upstream.url,
                    "credential": {"secret": "keyward://models", "inject": inject},
                }
                for name, inject in credentials.items()
            ],
        }
        return gateway_of(config, secrets={"models": KEY})

    return make


@pytest.fixture(scope="module")
def patient(held):
    """Callers wait for a minute before they are asked to come back."""
    return held("60s")


@pytest.fixture(scope="module")
def brisk(held):
    """Callers are asked to come back after two seconds."""
    return held("2s")


class Caller:
    """A person with the OpenAI SDK, and what went over the wire."""

    def __init__(self, gateway, token: str, **settings):
        self.statuses: list[int] = []
        self.headers: list = []
        http = openai.DefaultHttpxClient(event_hooks={"response": [self._note]})
        url = f"{gateway.data_url}/models/v1"
        self.sdk = openai.OpenAI(base_url=url, api_key=token, http_client=http, **settings)

    def _note(self, response) -> None:
        self.statuses.append(response.status_code)
        self.headers.append(response.headers)

    def weights(self, model: str):
        return self.sdk.get(f"/models/{model}/weights", cast_to=httpx2.Response)

    def chat(self, model: str, **more):
        return self.sdk.chat.completions.create(model=model, messages=HELLO, **more)


def is_of(row: dict, model: str) -> bool:
    """Whether an approval is for a chat with this model, or for its weights."""
    return row["operation"]["model"] == model or row["operation"]["path"] == f"/v1/models/{model}/weights"


def pending(cli: Cli, model: str) -> dict:
    """The approval that waits for a call of this model, as soon as it does."""

    def look():
        return [row for row in cli.pending() if is_of(row, model)]

    (approval,) = eventually(f"an approval for {model}", look)
    return approval


def all_of(cli: Cli, model: str) -> list[dict]:
    rows = cli.json("approvals", "ls", "--state", "all", "--limit", "200")
    return [row for row in rows if is_of(row, model)]


def calls_of(upstream, model: str) -> int:
    """How often the upstream ran a chat of this model."""
    return sum(f'"{model}"'.encode() in asked.body for asked in list(upstream.asked))


def test_an_approved_export_goes_on_by_itself(demo, patient, upstream):
    olivia = patient.cli(demo.tokens["olivia"])
    alice = Caller(patient, demo.tokens["alice"])
    exported = Background(alice.weights, "approved")
    approval = pending(olivia, "approved")
    assert upstream.count("/v1/models/approved/weights") == 0

    shown = olivia.json("approvals", "show", approval["id"])
    assert (shown["rule"], shown["reason"]) == ("export", "Exporting weights leaves the perimeter")
    assert shown["requester"]["subject"] == "alice"
    olivia.text("approvals", "approve", approval["id"], "--digest", shown["digest"], "--reason", "for the audit")

    answer = exported.result()
    assert answer.content == WEIGHTS
    assert answer.headers["keyward-decision"] == "approve"
    assert alice.statuses == [200]
    assert upstream.count("/v1/models/approved/weights") == 1
    (row,) = all_of(olivia, "approved")
    assert row["state"] == "consumed"
    # An identical retry does not run again.
    assert alice.weights("approved").content == WEIGHTS
    assert upstream.count("/v1/models/approved/weights") == 1


def test_a_denial_tells_its_reason(demo, patient, upstream):
    olivia = patient.cli(demo.tokens["olivia"])
    alice = Caller(patient, demo.tokens["alice"])
    exported = Background(alice.weights, "denied")
    approval = pending(olivia, "denied")
    olivia.text("approvals", "deny", approval["id"], "--reason", "not before the review")
    with pytest.raises(openai.PermissionDeniedError) as caught:
        exported.result()
    assert caught.value.code == "approval_denied"
    assert "not before the review" in str(caught.value)
    assert alice.statuses == [403] and alice.headers[0]["x-should-retry"] == "false"
    assert upstream.count("/v1/models/denied/weights") == 0


def test_nobody_decides_in_time(demo, patient, upstream):
    alice = Caller(patient, demo.tokens["alice"])
    with pytest.raises(openai.PermissionDeniedError) as caught:
        alice.sdk.embeddings.create(model="expired", input="hello", encoding_format="float")
    assert caught.value.code == "approval_expired"
    assert alice.statuses == [403] and alice.headers[0]["x-should-retry"] == "false"
    assert upstream.count("/v1/embeddings") == 0


def test_the_sdks_own_retry_attaches(demo, brisk, upstream):
    olivia = brisk.cli(demo.tokens["olivia"])
    alice = Caller(brisk, demo.tokens["alice"], max_retries=9)
    exported = Background(alice.weights, "retried")
    approval = pending(olivia, "retried")
    eventually("the gateway's request to come back", lambda: alice.statuses)
    assert alice.statuses[0] == 409
    told = alice.headers[0]
    assert (told["x-should-retry"], told["retry-after"], told["keyward-approval"]) == ("true", "1", approval["id"])
    olivia.text("approvals", "approve", approval["id"])
    assert exported.result().content == WEIGHTS
    assert alice.statuses[-1] == 200 and set(alice.statuses[:-1]) == {409}
    assert [row["id"] for row in all_of(olivia, "retried")] == [approval["id"]]
    assert upstream.count("/v1/models/retried/weights") == 1


def test_the_sdks_own_retry_hears_of_a_denial(demo, brisk, upstream):
    olivia = brisk.cli(demo.tokens["olivia"])
    alice = Caller(brisk, demo.tokens["alice"], max_retries=9)
    answered = Background(alice.chat, "guarded-denied")
    approval = pending(olivia, "guarded-denied")
    eventually("the gateway's request to come back", lambda: alice.statuses)
    olivia.text("approvals", "deny", approval["id"], "--reason", "ask me first")
    with pytest.raises(openai.PermissionDeniedError, match="ask me first"):
        answered.result()
    assert set(alice.statuses[:-1]) == {409} and alice.statuses[-1] == 403
    assert calls_of(upstream, "guarded-denied") == 0


def test_an_sdk_that_runs_out_of_retries_says_what_it_waits_for(demo, brisk, upstream):
    alice = Caller(brisk, demo.tokens["alice"], max_retries=0)
    with pytest.raises(openai.ConflictError) as caught:
        alice.chat("guarded-forgotten")
    approval = pending(brisk.cli(demo.tokens["olivia"]), "guarded-forgotten")
    assert caught.value.code == "approval_pending"
    assert approval["id"] in str(caught.value) and f"{brisk.admin_url}/approvals/" in str(caught.value)
    assert calls_of(upstream, "guarded-forgotten") == 0


def test_nobody_approves_their_own_call(demo, patient, upstream):
    owner = patient.cli(demo.tokens["olivia"])
    olivia = Caller(patient, demo.tokens["olivia"])
    exported = Background(olivia.weights, "own")
    (approval,) = eventually("olivia's own approval", lambda: all_of(owner, "own"))
    for person in ("olivia", "alice"):  # in the right group, and not
        refused = patient.cli(demo.tokens[person]).run("approvals", "approve", approval["id"])
        assert refused.returncode == (5 if person == "olivia" else 3), refused.stderr
        assert refused.stdout == b""
    assert all_of(owner, "own")[0]["state"] == "pending"
    owner.text("approvals", "cancel", approval["id"])
    with pytest.raises(openai.PermissionDeniedError, match="withdrawn"):
        exported.result()
    assert upstream.count("/v1/models/own/weights") == 0


def test_alice_may_not_approve_what_she_asked_for(demo, patient):
    olivia, alice = (patient.cli(demo.tokens[name]) for name in ("olivia", "alice"))
    exported = Background(Caller(patient, demo.tokens["alice"]).weights, "hers")
    approval = pending(olivia, "hers")
    assert alice.run("approvals", "approve", approval["id"]).returncode == 5
    assert alice.run("approvals", "wait", approval["id"], "--timeout", "0s").returncode == 10
    olivia.text("approvals", "deny", approval["id"])
    with pytest.raises(openai.PermissionDeniedError):
        exported.result()
    assert alice.run("approvals", "wait", approval["id"]).returncode == 11


def test_a_stream_waits_with_comments_and_then_flows(demo, patient, upstream):
    olivia = patient.cli(demo.tokens["olivia"])
    alice = Caller(patient, demo.tokens["alice"])
    stream = alice.chat("guarded-stream", stream=True)  # the head is there: the status is committed
    approval = pending(olivia, "guarded-stream")
    assert calls_of(upstream, "guarded-stream") == 0
    text = Background(lambda: "".join(chunk.choices[0].delta.content for chunk in stream))
    olivia.text("approvals", "approve", approval["id"])
    assert text.result() == TEXT
    assert alice.statuses == [200] and calls_of(upstream, "guarded-stream") == 1


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_stream_that_is_denied_ends_in_the_sdks_own_error(demo, patient, upstream, dialect):
    olivia = patient.cli(demo.tokens["olivia"])
    token, model = demo.tokens["alice"], f"guarded-{dialect}-denied"
    if dialect == "openai":
        stream = Caller(patient, token).chat(model, stream=True)
        error = openai.APIError
    else:
        sdk = anthropic.Anthropic(base_url=f"{patient.data_url}/claude", api_key=token)
        stream = sdk.messages.create(model=model, max_tokens=9, messages=HELLO, stream=True)
        error = anthropic.APIError
    read = Background(list, stream)
    olivia.text("approvals", "deny", pending(olivia, model)["id"], "--reason", "too late today")
    with pytest.raises(error, match="too late today"):
        read.result()
    assert calls_of(upstream, model) == 0


def test_what_a_waiting_stream_looks_like(demo, patient, curl):
    olivia = patient.cli(demo.tokens["olivia"])
    body = json.dumps({"model": "guarded-raw", "stream": True, "messages": HELLO})
    url = f"{patient.data_url}/models/v1/chat/completions"
    token = f"authorization: Bearer {demo.tokens['alice']}"
    got = Background(curl, url, "-H", token, "-H", "content-type: application/json", "--data", body)
    approval = pending(olivia, "guarded-raw")
    olivia.text("approvals", "approve", approval["id"])
    status, headers, text = got.result()
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    comment = f": keyward approval={approval['id']} url={patient.admin_url}/approvals/{approval['id']}\n\n".encode()
    events = b"".join(chat_chunks("guarded-raw"))
    assert text.endswith(events), "the upstream's events are not untouched"
    waited = text.removesuffix(events)
    assert waited == comment * waited.count(comment)


def test_who_asks_to_poll_gets_202(demo, patient, upstream, curl):
    olivia, alice = (patient.cli(demo.tokens[name]) for name in ("olivia", "alice"))
    url, token = f"{patient.data_url}/models/v1/models/polled/weights", f"authorization: Bearer {demo.tokens['alice']}"
    status, headers, body = curl(url, "-H", token, "-H", "prefer: respond-async")
    asked = json.loads(body)
    assert (status, asked["state"], headers["preference-applied"]) == (202, "pending", "respond-async")
    assert headers["location"] == f"{patient.admin_url}/api/v1/approvals/{asked['approval']}"
    status, _, body = curl(headers["location"], "-H", token)
    assert (status, json.loads(body)["state"]) == (200, "pending")
    olivia.text("approvals", "approve", asked["approval"])
    assert alice.run("approvals", "wait", asked["approval"]).returncode == 0
    assert upstream.count("/v1/models/polled/weights") == 0
    status, _, body = curl(url, "-H", token)
    assert (status, body) == (200, WEIGHTS)
    assert upstream.count("/v1/models/polled/weights") == 1


def test_a_caller_who_left_executes_nothing(demo, patient, upstream, curl):
    olivia = patient.cli(demo.tokens["olivia"])
    url, token = f"{patient.data_url}/models/v1/models/left/weights", f"authorization: Bearer {demo.tokens['alice']}"
    caller = subprocess.Popen(["curl", "--silent", "-H", token, url], stdout=subprocess.DEVNULL)
    approval = pending(olivia, "left")
    caller.kill()
    caller.wait()
    eventually("the gateway to notice", lambda: b"keyward_held 0\n" in curl(f"{patient.admin_url}/metrics")[2])
    olivia.text("approvals", "approve", approval["id"])
    assert all_of(olivia, "left")[0]["state"] == "approved"
    assert upstream.count("/v1/models/left/weights") == 0
    assert curl(url, "-H", token)[2] == WEIGHTS
    assert upstream.count("/v1/models/left/weights") == 1


def test_a_pending_approval_survives_a_restart(demo, held, upstream):
    gateway = held("1s")
    alice = Caller(gateway, demo.tokens["alice"], max_retries=0)
    with pytest.raises(openai.ConflictError):
        alice.weights("restarted")
    asked = pending(gateway.cli(demo.tokens["olivia"]), "restarted")["id"]
    gateway.stop()
    gateway.start()
    olivia = gateway.cli(demo.tokens["olivia"])
    assert pending(olivia, "restarted")["id"] == asked
    olivia.text("approvals", "approve", asked)
    assert Caller(gateway, demo.tokens["alice"]).weights("restarted").content == WEIGHTS
    assert upstream.count("/v1/models/restarted/weights") == 1
