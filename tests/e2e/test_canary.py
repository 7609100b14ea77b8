"""Twenty secrets, injected and echoed in every way, at the most talkative log level: none is found anywhere after."""

import gzip
import json
import pathlib
import resource
import signal
import socket
from urllib.parse import urlsplit

import canary_upstream
import httpx
import pytest
from canary_upstream import MARK
from kit.canary import Canaries, whole_spellings
from kit.process import eventually

COUNT = 20
KINDS = ["openai", "anthropic", "http"]
STREAMS = {"openai": "openai stream", "anthropic": "anthropic stream", "http": "plain stream"}
PLACES = ["json", "json in pieces", "text", "gzip", "error", "unauthorized", "headers", "redirect", "trailers"]
ADMINS = {"admin": ["group:model-owners"], "auditor": ["group:eng"]}


@pytest.fixture(scope="module")
def canaries():
    return Canaries(COUNT)


@pytest.fixture(scope="module")
def upstream(upstream_of):
    return upstream_of(canary_upstream.respond)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, gateway_of, issuer, upstream, canaries):
    """A connection for each canary: kinds, stores and ways of injecting take turns."""
    vault = tmp_path_factory.mktemp("vault")
    env, embedded, connections = {}, {}, []
    for number, value in enumerate(canaries.values):
        match number % 3:
            case 0:
                reference = f"keyward://canary-{number}"
                embedded[f"canary-{number}"] = value
            case 1:
                reference = f"env://CANARY_{number}"
                env[f"CANARY_{number}"] = value
            case _:
                file = vault / f"canary-{number}"
                file.touch(mode=0o600)
                file.write_text(value + "\n")
                reference = f"file://{file}"
        connections.append({
            "name": f"c{number}",
            "kind": KINDS[number // 2 % 3],
            "upstream": upstream.url,
            "credential": {"secret": reference, "inject": ["bearer", {"header": "x-api-key"}][number % 2]},
            "tags": {"writers": "eng"},
        })  # fmt: skip
    config = {
        "issuers": [issuer],
        "connections": connections,
        "roles": ADMINS,
        "log": {"level": "trace", "format": "json"},
    }
    # A core file would be wanted if the gateway allowed one.
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    return gateway_of(config, env=env, secrets=embedded)


def paths(number: int) -> tuple[str, str]:
    """Method and path of a call that the connection's kind understands."""
    kind = KINDS[number // 2 % 3]
    return "POST", {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "http": "/echo"}[kind]


@pytest.fixture(scope="module")
def answers(gateway, demo, canaries):
    """Every canary echoed in every place: (canary, place, answer)."""
    got = []
    headers = {"authorization": f"Bearer {demo.tokens['alice']}", "accept-encoding": "gzip"}
    with httpx.Client(base_url=gateway.data_url, headers=headers, timeout=60) as client:
        for number, value in enumerate(canaries.values):
            kind = KINDS[number // 2 % 3]
            gzipped = ["gzip stream"] if kind == "openai" else []
            for place in [*PLACES, STREAMS[kind], *gzipped]:
                method, path = paths(number)
                # The caller knows the secret too, and says it where records are made of.
                ask = {"model": "m", "max_tokens": 9, "stream": "stream" in place}
                # Signs in some order read like a path with wildcards, which a rule keeps from any HTTP API.
                said = "mine" if kind == "http" and "*" in value else value
                ask["messages"] = [{"role": "user", "content": f"my key is {said}"}]
                answer = client.request(method, f"/c{number}{path}", json=ask, headers={"x-place": place})
                got.append((number, place, answer))
    return got


def test_every_canary_was_injected(answers, upstream, canaries):
    seen = {canary_upstream.credential(asked) for asked in upstream.asked}
    assert seen == set(canaries.values)


def test_no_answer_holds_one(answers, canaries):
    for number, place, answer in answers:
        where = f"the answer of c{number} at {place}"
        wire = str(answer.headers).encode() + answer.extensions.get("reason_phrase", b"") + answer.content
        canaries.assert_none(where, wire)
        if answer.headers.get("content-type", "").startswith("application/json"):
            # Escapes undone, a value may stand there that the bytes did not show.
            canaries.assert_none(where, json.dumps(answer.json(), ensure_ascii=False))
            canaries.assert_none(where, "\n".join(strings(answer.json())))


def strings(value) -> list[str]:
    """Every text in a JSON document, as it is meant."""
    match value:
        case dict():
            return [text for pair in value.items() for part in pair for text in strings(part)]
        case list():
            return [text for part in value for text in strings(part)]
        case str():
            return [value]
    return []


def streamed(answer) -> str:
    """What a client puts together from a stream."""
    text = ""
    for line in answer.text.splitlines():
        data = line.removeprefix("data: ")
        if line.startswith("data: {"):
            event = json.loads(data)
            choices = event.get("choices", [{"delta": {"content": event.get("delta", {}).get("text", "")}}])
            text += choices[0]["delta"]["content"]
        elif line.startswith("data: ") and data != "[DONE]":
            # Without the line's end: a byte that may begin a secret can move into the next event.
            text += data
    return text


def test_no_stream_adds_up_to_one_and_the_rest_is_left_alone(answers, canaries):
    for number, place, answer in answers:
        if "stream" not in place:
            continue
        text = streamed(answer)
        canaries.assert_none(f"the stream of c{number} ({place})", text)
        spelled = whole_spellings(canaries.values[number])
        assert text.count(MARK) == 2 * len(spelled), f"c{number}: text around the secrets was lost in {place}"
        assert text.count("[REDACTED:secret:") >= len(spelled), f"c{number}: something was masked as something else"


def test_what_is_around_them_arrives(answers):
    for number, place, answer in answers:
        if place in ("json", "json in pieces", "gzip", "error"):
            assert answer.json()["mark"] == MARK, (number, place)
            assert answer.status_code == (500 if place == "error" else 200)
        elif place == "redirect":
            assert answer.status_code == 302 and answer.headers["location"].startswith("https://example.com/?key=")
        elif place == "trailers":
            assert answer.text == "body end"


def test_addresses_and_held_bodies(answers, gateway, demo, canaries):
    """A caller who knows a secret puts it into a path, a query and a call that waits; records and people see none."""
    alice, olivia = (gateway.cli(demo.tokens[name]) for name in ("alice", "olivia"))
    with httpx.Client(base_url=gateway.data_url, headers={"authorization": f"Bearer {demo.tokens['alice']}"}) as client:
        for number, value in enumerate(canaries.values):
            spelled = whole_spellings(value)["percent"].replace("%2F", "").replace("%5C", "")
            if KINDS[number // 2 % 3] == "http":
                client.get(f"/c{number}/look?a={whole_spellings(value)['percent']}&b=1", headers={"x-place": "json"})
                client.get(f"/c{number}/look/{spelled}", headers={"x-place": "json"})
                continue
            held = client.post(
                f"/c{number}/v1/fine_tuning/jobs",
                json={"model": "m", "note": f"my key is {value}"},
                headers={"prefer": "respond-async", "x-place": "json"},
            )
            if held.status_code == 202:
                approval = held.json()["approval"]
                shown = olivia.text("approvals", "show", approval) + olivia.text("approvals", "show", approval, "-o", "json")
                canaries.assert_none(f"the approval for c{number}", shown)
                olivia.text("approvals", "deny", approval, "--reason", "no")
    assert "fine_tuning" in alice.text("approvals", "ls", "--state", "all", "--mine", "-o", "json")


def test_no_recording_or_ledger_holds_one(answers, gateway, demo, canaries):
    alice, olivia = (gateway.cli(demo.tokens[name]) for name in ("alice", "olivia"))
    sessions = alice.json("sessions", "ls", "--limit", "200")
    assert len(sessions) >= COUNT
    for session in sessions:
        where = f"session {session['id']} on {session['connection']}"
        canaries.assert_none(where, alice.text("sessions", "show", session["id"], "-o", "json"))
        raw = alice.text("sessions", "play", session["id"], "--speed", "0", "--raw")
        assert MARK in raw
        canaries.assert_none(f"the raw replay of {where}", raw)
    for session in sessions[:6]:  # each kind of connection
        where = f"session {session['id']} on {session['connection']}"
        canaries.assert_none(f"the replay of {where}", alice.text("sessions", "play", session["id"], "--speed", "0"))
        content = alice.text("sessions", "play", session["id"], "--speed", "0", "-o", "json")
        canaries.assert_none(f"the content of {where}", content)
    for question in (["who-used", "keyward://canary-0"], ["what", "alice"]):
        canaries.assert_none("the ledger", olivia.text("audit", *question, "--limit", "1000", "-o", "json"))
    canaries.assert_none("the connections", olivia.text("connections", "ls", "-o", "json"))


def test_no_metric_or_command_line_holds_one(answers, gateway, canaries):
    metrics = httpx.get(f"{gateway.admin_url}/metrics").text
    assert "keyward_exchanges_total" in metrics
    canaries.assert_none("the metrics", metrics)
    canaries.assert_none("the command line", pathlib.Path(f"/proc/{gateway.child.pid}/cmdline").read_bytes())


def files_of(directory: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_no_file_holds_one(answers, gateway, canaries):
    files = files_of(gateway.directory)
    names = {path.name for path in files}
    assert any(name.endswith((".db", ".sqlite", ".sqlite3")) for name in names), names
    assert any("journal" in str(path) for path in files), names
    for path in files:
        content = path.read_bytes()
        canaries.assert_none(str(path.relative_to(gateway.directory)), content)
        if content.startswith(b"\x1f\x8b"):
            canaries.assert_none(str(path), gzip.decompress(content))


def test_no_log_holds_one_and_a_crash_shows_none(answers, gateway, canaries):
    """The last test of this file: it ends the gateway."""
    child = gateway.child
    address = urlsplit(gateway.data_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        connection.recv(1024)
    # Something that is logged for developers alone: the level is in force.
    child.line("stderr", lambda line: '"DEBUG"' in line)
    gateway.child = None
    assert child.stop(signal.SIGABRT) == -signal.SIGABRT
    canaries.assert_none("stderr", child.stderr)
    canaries.assert_none("stdout", child.stdout)
    assert list(gateway.directory.glob("core*")) == [], "the crash left a core file"
    # What was recorded is whole, and the next start repairs the tail.
    gateway.start()
    eventually("the restarted gateway", lambda: httpx.get(f"{gateway.admin_url}/readyz").status_code == 200)
    canaries.assert_none("stderr after the restart", gateway.child.stderr)
    for path in files_of(gateway.directory):
        canaries.assert_none(str(path), path.read_bytes())
