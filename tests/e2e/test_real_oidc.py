"""A certified OpenID provider from npm: its client's token, a call, and what the records say about it."""

import json
import os
import shutil
import subprocess

import httpx
import openai
import pytest
from kit.process import Child, clean_env
from kit.upstream import Answer

HELLO = [{"role": "user", "content": "hello"}]
SECRET = "sk-e2e-oidc-0123456789abcdef"


@pytest.fixture(scope="module")
def provider(repository):
    home = repository / "tests" / "oidc"
    missing = [what for what, there in {
        "node": shutil.which("node"), "tests/oidc/node_modules": (home / "node_modules").is_dir(),
    }.items() if not there]  # fmt: skip
    if missing:
        why = f"not installed: {', '.join(missing)} (`make kit` installs it)"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    child = Child(["node", "server.mjs"], clean_env(), stdin=subprocess.PIPE, cwd=home)
    yield json.loads(child.line("stdout", lambda line: line.startswith("{")))
    child.process.stdin.close()
    child.stop()


def token(provider, client: str, algorithm: str) -> str:
    answer = httpx.post(
        f"{provider['issuer']}/token",
        auth=(client, provider["clients"][client]),
        data={"grant_type": "client_credentials", "scope": "infer", "resource": f"urn:keyward:{algorithm}"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


@pytest.fixture(scope="module")
def gateway(provider, gateway_of, upstream_of):
    message = {"role": "assistant", "content": "The quick brown fox."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    chat = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    upstream = upstream_of(lambda _: Answer(json.dumps(chat).encode()))
    config = {
        "issuers": [{"name": "provider", "url": provider["issuer"], "audiences": [provider["audience"]]}],
        "connections": [
            {
                "name": "models",
                "kind": "openai",
                "upstream": upstream.url,
                "credential": {"secret": "keyward://models", "inject": "bearer"},
            }
        ],
        "roles": {"auditor": ["group:agents"]},
    }
    gateway = gateway_of(config, secrets={"models": SECRET})
    gateway.upstream = upstream
    return gateway


@pytest.mark.parametrize("algorithm", ["rs256", "es256"])
def test_a_service_calls_and_the_records_tell(provider, gateway, algorithm):
    service = token(provider, "svc-ci", algorithm)
    client = openai.OpenAI(base_url=f"{gateway.data_url}/models/v1", api_key=service)
    answer = client.chat.completions.with_raw_response.create(model="m", messages=HELLO)
    assert answer.parse().choices[0].message.content == "The quick brown fox."
    assert gateway.upstream.asked[-1].header("authorization") == [f"Bearer {SECRET}"]

    mine, auditor = gateway.cli(service), gateway.cli(token(provider, "svc-agent", algorithm))
    session, request = answer.headers["keyward-session"], answer.headers["keyward-request-id"]
    listed = mine.json("sessions", "ls", "--mine")
    assert session in [row["id"] for row in listed]
    shown = mine.json("sessions", "show", session)
    (exchange,) = [row for row in shown["requests"] if row["id"] == request]
    assert exchange["operation"]["class"] == "chat.completions"
    assert (exchange["status"], exchange["end"], exchange["rule"]) == (200, "completed", "chat-for-services")
    assert "The quick brown fox." in mine.text("sessions", "play", session, request, "--speed", "0")
    raw = mine.text("sessions", "play", session, request, "--raw", "--speed", "0")
    assert json.loads(raw)["object"] == "chat.completion"

    used = auditor.json("audit", "who-used", "keyward://models")
    (row,) = [row for row in used if row["request"] == request]
    assert row["principal"]["subject"] == "svc-ci"
    assert (row["secret"], row["connection"], row["decision"]) == ("keyward://models", "models", "allow")
    assert mine.run("audit", "who-used", "keyward://models").returncode == 5


def test_a_token_for_somebody_else_does_not_hold(provider, gateway):
    service = token(provider, "svc-ci", "rs256")
    head, claims, signature = service.split(".")
    before = len(gateway.upstream.asked)
    for forged in (f"{head}.{claims}.{signature[:-8]}AAAAAAAA", f"{head}.{claims}."):
        with openai.OpenAI(base_url=f"{gateway.data_url}/models/v1", api_key=forged) as client:
            with pytest.raises(openai.AuthenticationError):
                client.chat.completions.create(model="m", messages=HELLO)
    assert len(gateway.upstream.asked) == before
