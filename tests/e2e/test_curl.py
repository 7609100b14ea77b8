"""curl, which shows what is really on the wire."""

import json
import socket
from http.client import HTTPResponse
from urllib.parse import urlsplit

import pytest
from kit.leaks import assert_clean

JSON = "content-type: application/json"


def bearer(token: str) -> list[str]:
    return ["-H", f"authorization: Bearer {token}"]


def chat(model: str, **more) -> list[str]:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}
    return ["-H", JSON, "--data", json.dumps(body)]


def events(body: bytes) -> list[str]:
    return [event.removeprefix("data: ") for event in body.decode().split("\n\n") if event]


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2-prior-knowledge"])
def test_chat(demo, curl, protocol):
    url = f"{demo.base_url('openai')}/chat/completions"
    status, headers, body = curl(url, protocol, *bearer(demo.tokens["alice"]), *chat("demo-aws"))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert headers["keyward-request-id"].startswith("req_")
    assert_clean(body.decode())
    assert "[REDACTED:aws_access_key]" in json.loads(body)["choices"][0]["message"]["content"]


def test_a_stream_keeps_its_frames(demo, curl):
    url = f"{demo.base_url('openai')}/chat/completions"
    clean, leaky = (
        curl(url, *bearer(demo.tokens["alice"]), *chat(model, stream=True)) for model in ("demo-chat", "demo-aws")
    )
    for status, headers, body in (clean, leaky):
        assert status == 200 and headers["content-type"].startswith("text/event-stream")
        *chunks, last = events(body)
        assert last == "[DONE]"
        assert len({json.loads(chunk)["id"] for chunk in chunks}) == 1
        assert "content-length" not in headers
    assert_clean(leaky[2].decode())


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-goog-api-key"])
def test_the_token_in_other_headers(demo, curl, header):
    status, _, _ = curl(f"{demo.base_url('openai')}/models", "-H", f"{header}: {demo.tokens['alice']}")
    assert status == 200


def test_the_token_as_basic_password(demo, curl):
    status, _, _ = curl(f"{demo.base_url('openai')}/models", "--user", f"alice:{demo.tokens['alice']}")
    assert status == 200


def test_two_credentials_are_ambiguous(demo, curl):
    alice = demo.tokens["alice"]
    models = f"{demo.base_url('openai')}/models"
    status, headers, _ = curl(models, *bearer(alice), "-H", f"x-api-key: {demo.tokens['olivia']}")
    assert (status, headers["x-should-retry"]) == (400, "false")
    # The very same text in both is one credential, as Claude Code sends it.
    assert curl(models, *bearer(alice), "-H", f"x-api-key: {alice}")[0] == 200


def test_a_missing_token(demo, curl):
    status, headers, body = curl(f"{demo.base_url('openai')}/models")
    assert (status, headers["www-authenticate"], headers["x-should-retry"]) == (401, 'Bearer realm="keyward"', "false")
    error = json.loads(body)["error"]
    assert (error["type"], error["code"]) == ("authentication_error", "unauthenticated")
    assert "No credential was sent" in error["message"]


def test_tokens_of_the_wrong_time_or_place(own_issuer, gateway_of, upstream_of, curl):
    upstream = upstream_of(lambda _: pytest.fail("a call without identity came through"))
    connection = {"name": "models", "kind": "openai", "upstream": upstream.url,
                  "credential": {"secret": "env://UPSTREAM_KEY", "inject": "bearer"}}  # fmt: skip
    config = {"issuers": [own_issuer.config], "connections": [connection]}
    gateway = gateway_of(config, env={"UPSTREAM_KEY": "sk-e2e-0123456789abcdef"})
    for token, why in [
        (own_issuer.token("alice", ["eng"], seconds=-120), "expired"),
        (own_issuer.token("alice", ["eng"], nbf=4_000_000_000), "not valid yet"),
        (own_issuer.token("alice", ["eng"], aud="other"), "another audience"),
    ]:
        status, headers, body = curl(f"{gateway.data_url}/models/v1/models", *bearer(token))
        assert (status, headers["x-should-retry"]) == (401, "false")
        assert why in json.loads(body)["error"]["message"]
    assert upstream.asked == []


def test_an_unknown_connection(demo, curl):
    status, headers, body = curl(f"{demo.data_url}/nothing/v1/models", *bearer(demo.tokens["alice"]))
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    problem = json.loads(body)
    assert (problem["code"], problem["request_id"]) == ("unknown_connection", headers["keyward-request-id"])


def test_a_block_says_which_rule(demo, curl):
    url = f"{demo.base_url('openai')}/load_lora_adapter"
    status, headers, body = curl(url, *bearer(demo.tokens["alice"]), "-H", JSON, "--data", "{}")
    assert (status, headers["keyward-rule"], headers["x-should-retry"]) == (403, "no-server-administration", "false")
    assert json.loads(body)["error"]["type"] == "permission_error"


def test_probes_and_metrics(demo, curl):
    for probe in ("healthz", "readyz"):
        assert curl(f"{demo.admin_url}/{probe}")[0] == 200
    status, _, metrics = curl(f"{demo.admin_url}/metrics")
    assert status == 200 and b"keyward_exchanges_total" in metrics
    assert_clean(metrics.decode())


def refused_early(demo, path: str, token: str) -> bytes:
    """The head of a call with a body of ten bytes, which no verdict waits for."""
    lines = [f"POST {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {token}", JSON, "content-length: 10"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [("/anthropic/v1/nothing", "alice", 403), ("/openai/v1/models", None, 401), ("/nothing/x", "alice", 404)],
)
def test_a_refusal_before_the_body_came_keeps_the_connection(demo, path, token, status):
    """Otherwise an SDK meets a closed connection, takes it for a broken network, and sends a refused call again."""
    address = urlsplit(demo.data_url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        for _ in range(2):
            connection.sendall(refused_early(demo, path, demo.tokens.get(token, "x.y.z")))
            answer = HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.headers["x-should-retry"]) == (status, "false")
            assert answer.headers["connection"] is None
            answer.read()
            connection.sendall(b'{"a":"bb"}')


def test_a_long_body_that_nobody_wants_is_not_read(demo):
    address = urlsplit(demo.data_url)
    head = refused_early(demo, "/nothing/x", demo.tokens["alice"]).replace(b"length: 10", b"length: 99999999999")
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(head)
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 404
        answer.read()
        assert connection.recv(1) == b"", "the connection stays open for a body of 100 GB"
