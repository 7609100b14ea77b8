"""`keyward serve` and the commands around it: configuration, secrets, what goes wrong, stopping and reloading."""

import json
import os
import re
import signal
import socket

import openai
import pytest
from kit.gateway import Gateway
from kit.process import eventually, keyward
from kit.upstream import Answer

HELLO = [{"role": "user", "content": "hello"}]
SECRET = "sk-e2e-serve-0123456789abcdef"


def chat(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}).encode()


@pytest.fixture(scope="module")
def upstream(upstream_of):
    return upstream_of(lambda asked: Answer(chat("Served.")))


def connection(url: str, secret: str = "keyward://openai") -> dict:
    return {"name": "openai", "kind": "openai", "upstream": url, "credential": {"secret": secret, "inject": "bearer"}}


def client(gateway: Gateway, token: str, **settings) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.data_url}/openai/v1", api_key=token, **{"max_retries": 0, **settings})


@pytest.fixture
def prepared(tmp_path, issuer, upstream):
    """A gateway that is configured, not started, and has no secret yet."""
    gateway = Gateway(tmp_path, {"issuers": [issuer], "connections": [connection(upstream.url)]})
    yield gateway
    gateway.stop()


def config(gateway: Gateway, *words: str, **more):
    return keyward(*words, "--config", str(gateway.file), **more)


def test_secrets_never_come_from_the_command_line_or_go_to_it(prepared):
    refused = config(prepared, "secrets", "put", "openai", SECRET)
    assert refused.returncode == 2 and b"process list" in refused.stderr
    assert SECRET.encode() not in refused.stderr + refused.stdout
    assert config(prepared, "secrets", "show", "openai").returncode == 3
    for version in (1, 2):
        put = config(prepared, "secrets", "put", "openai", "-o", "json", stdin=f"{SECRET}-{version}".encode())
        assert json.loads(put.stdout) == {"reference": "keyward://openai", "version": version}
    listed = config(prepared, "secrets", "ls", "-o", "json")
    shown = config(prepared, "secrets", "show", "openai", "-o", "json")
    checked = config(prepared, "secrets", "check")
    assert [row["reference"] for row in json.loads(listed.stdout)] == ["keyward://openai"]
    assert [v["version"] for v in json.loads(shown.stdout)["versions"]] == [2, 1]
    assert checked.returncode == 0
    for done in (listed, shown, checked):
        assert SECRET.encode() not in done.stdout + done.stderr


def test_a_broken_configuration_names_line_and_remedy(prepared):
    good = prepared.file.read_text()
    for broken, wanted in [
        (good.replace('"issuers"', '"isuers"'), "did you mean `issuers`"),
        (good.replace('"bearer"', '"baerer"'), "bearer"),
        (good.replace("keyward://openai", SECRET), "reference"),
        (good.replace("127.0.0.1:0", "0.0.0.0:0", 1), "loopback"),
        (good.replace("builtin:base", "builtin:bas"), "builtin:base"),
    ]:
        prepared.file.write_text(broken)
        for words in (["config", "validate"], ["serve"]):
            done = config(prepared, *words)
            text = done.stderr.decode()
            assert done.returncode == 1, text
            assert re.search(r"keyward\.yaml:\d+:\d+", text) and "help:" in text, text
            assert wanted in text, text
            assert SECRET not in text
    found = json.loads(config(prepared, "config", "validate", "-o", "json").stdout)
    assert found["valid"] is False and found["problems"]


def test_the_schema_and_the_origin_of_values(prepared):
    schema = json.loads(keyward("config", "schema").stdout)
    assert {"data_dir", "issuers", "connections", "policies"} <= schema["properties"].keys()
    assert schema["additionalProperties"] is False
    rows = json.loads(config(prepared, "config", "show", "--origin", "-o", "json").stdout)
    origin = {row["setting"]: row["origin"] for row in rows}
    assert re.search(r"keyward\.yaml:\d+", origin["drain"])
    assert origin["holding.wait"] == "default"
    assert all(row["setting"] for row in rows)


def test_a_missing_secret_refuses_calls_and_comes_without_a_restart(prepared, demo, upstream):
    before = len(upstream.asked)
    prepared.start()
    with client(prepared, demo.tokens["alice"]) as sdk:
        with pytest.raises(openai.InternalServerError) as caught:
            sdk.chat.completions.create(model="m", messages=HELLO)
        assert caught.value.status_code == 503 and caught.value.code == "secret_unavailable"
        assert len(upstream.asked) == before
        prepared.put_secret("openai", SECRET)

        def answered():
            try:
                return sdk.chat.completions.create(model="m", messages=HELLO).choices
            except openai.InternalServerError:
                return None

        eventually("the secret to be found", answered)


def test_an_unreachable_issuer_and_upstream(tmp_path, demo, issuer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}"
    gone = {**issuer, "name": "gone", "url": closed}
    gateway = Gateway(tmp_path, {"issuers": [gone, issuer], "connections": [connection(closed)]})
    gateway.put_secret("openai", SECRET)
    gateway.start()
    try:
        with client(gateway, demo.tokens["alice"]) as sdk, pytest.raises(openai.InternalServerError) as caught:
            sdk.chat.completions.create(model="m", messages=HELLO)
        assert (caught.value.status_code, caught.value.code) == (502, "upstream_unreachable")
        assert closed not in str(caught.value)
    finally:
        gateway.stop()


def test_a_port_in_use(prepared):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        prepared.file.write_text(prepared.file.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
        done = config(prepared, "serve")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: another process listens there" in done.stderr.decode()
    assert b"listen.data.address" in done.stderr


def test_a_corrupt_database_is_not_started_over(prepared):
    prepared.put_secret("openai", SECRET)
    (database,) = [path for path in (prepared.directory / "data").rglob("*.db")]
    for path in database.parent.glob(database.name + "-*"):
        path.unlink()
    broken = os.urandom(database.stat().st_size)
    database.write_bytes(broken)
    done = config(prepared, "serve")
    assert done.returncode == 1 and database.name in done.stderr.decode(), done.stderr
    assert database.read_bytes() == broken, "the database was changed"


def test_a_full_disk_is_said_at_the_start(tmp_path, issuer, upstream):
    settings = {"issuers": [issuer], "connections": [connection(upstream.url)], "journal": {"min_free_bytes": "1000TiB"}}
    gateway = Gateway(tmp_path, settings)
    gateway.put_secret("openai", SECRET)
    done = config(gateway, "serve")
    assert done.returncode == 1 and b"bytes free where the journal lives" in done.stderr, done.stderr


def test_a_kill_loses_no_acknowledged_call(prepared, demo):
    prepared.put_secret("openai", SECRET)
    prepared.start()
    with client(prepared, demo.tokens["alice"]) as sdk:
        answers = [sdk.chat.completions.with_raw_response.create(model="m", messages=HELLO) for _ in range(20)]
    requests = {answer.headers["keyward-request-id"] for answer in answers}
    prepared.child.stop(signal.SIGKILL)
    prepared.start()
    cli = prepared.cli(demo.tokens["alice"])
    recorded = set()
    for session in {answer.headers["keyward-session"] for answer in answers}:
        recorded |= {row["id"] for row in cli.json("sessions", "show", session)["requests"]}
    assert requests <= recorded
    prepared.stop()
    assert config(prepared, "verify").returncode == 0


def test_a_stop_lets_a_stream_finish(tmp_path, demo, issuer, upstream_of):
    """SIGTERM in the middle: the upstream goes on only after the gateway was asked to stop."""
    child_stopping = []

    def events():
        for number in range(4):
            if number == 2:
                eventually("the gateway to stop", lambda: child_stopping and b"keyward stops" in gateway.child.stderr)
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            delta = {"index": 0, "delta": {"content": f"{number} "}, "finish_reason": None}
            yield f"data: {json.dumps({**chunk, 'choices': [delta]})}\n\n".encode()
        yield b"data: [DONE]\n\n"

    slow = upstream_of(lambda asked: Answer(events(), headers={"content-type": "text/event-stream"}))
    gateway = Gateway(tmp_path, {"issuers": [issuer], "connections": [connection(slow.url)], "drain": "30s"})
    gateway.put_secret("openai", SECRET)
    gateway.start()
    with client(gateway, demo.tokens["alice"]) as sdk:
        stream = iter(sdk.chat.completions.create(model="m", messages=HELLO, stream=True))
        text = next(stream).choices[0].delta.content
        gateway.child.process.send_signal(signal.SIGTERM)
        child_stopping.append(True)
        text += "".join(chunk.choices[0].delta.content for chunk in stream)
    assert text == "0 1 2 3 "
    gateway.stop()


def test_a_reload_is_whole_or_not_at_all(prepared, demo, upstream):
    prepared.put_secret("openai", SECRET)
    prepared.start()
    good = prepared.file.read_text()

    def reload(text: str, says: str) -> None:
        prepared.file.write_text(text)
        prepared.child.process.send_signal(signal.SIGHUP)
        prepared.child.line("stderr", lambda line: says in line)

    reload(good.replace('"builtin:base"', '"missing.yaml"'), "the configuration was not reloaded")
    with client(prepared, demo.tokens["alice"]) as sdk:
        assert sdk.models.with_raw_response.list().status_code == 200
    reload(good.replace('"openai",\n', '"renamed",\n', 1), "the configuration was reloaded")
    with openai.OpenAI(base_url=f"{prepared.data_url}/renamed/v1", api_key=demo.tokens["alice"]) as sdk:
        assert sdk.models.with_raw_response.list().status_code == 200
    with client(prepared, demo.tokens["alice"]) as sdk, pytest.raises(openai.NotFoundError):
        sdk.models.list()
