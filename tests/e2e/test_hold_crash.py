"""`kill -9` while fifty calls of ten people wait: whoever sends again goes on waiting, and each runs once or not at all."""

import json
import socket
import time
from datetime import UTC, datetime

import anthropic
import httpx
import httpx2
import openai
import pytest
import requests
from kit import model
from kit.process import PATIENCE, Background, eventually
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

KEY = "sk-e2e-crash-0123456789abcdef"
KINDS = ["openai", "anthropic", "requests", "stream", "poll"]
PEOPLE = [f"person-{number}" for number in range(10)]
HELLO = [{"role": "user", "content": "hello"}]
POLICY = """
apiVersion: keyward/v1
kind: Policy
metadata: {name: crash}
rules:
  - id: everything
    effect: approve
    when: '!operation.resource.model.startsWith("short")'
    reason: Somebody has to look
    approval: {approvers: ["group:owners"], min: 1, bind: request, ttl: 15m}
  - id: short
    effect: approve
    when: 'operation.resource.model.startsWith("short")'
    reason: Somebody has to look soon
    approval: {approvers: ["group:owners"], min: 1, bind: request, ttl: 3s}
"""


@pytest.fixture(scope="module")
def upstream(upstream_of):
    return upstream_of(model.answer)


@pytest.fixture
def ports():
    """Two ports that nobody else gets while the gateway is down: bound, but not listened on."""
    kept = [socket.socket() for _ in range(2)]
    for port in kept:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("127.0.0.1", 0))
    yield [port.getsockname()[1] for port in kept]
    for port in kept:
        port.close()


@pytest.fixture
def gateway(tmp_path, gateway_of, own_issuer, upstream, ports):
    policy = tmp_path / "crash.yaml"
    policy.write_text(POLICY)
    kinds = {"openai": "bearer", "anthropic": {"header": "x-api-key"}}
    config = {
        "issuers": [own_issuer.config],
        "policies": [str(policy)],
        "listen": {name: {"address": f"127.0.0.1:{port}"} for name, port in zip(["data", "admin"], ports)},
        "connections": [
            {"name": kind, "kind": kind, "upstream": upstream.url, "credential": {"secret": "keyward://key", "inject": how}}
            for kind, how in kinds.items()
        ],
    }
    return gateway_of(config, secrets={"key": KEY})


class Person:
    """Somebody with five clients, each with a call of its own."""

    def __init__(self, gateway, name: str, token: str):
        self.name, self._url = name, f"{gateway.data_url}/openai/v1"
        self._bearer = {"authorization": f"Bearer {token}"}
        self._openai = openai.OpenAI(base_url=self._url, api_key=token, max_retries=9)
        self._anthropic = anthropic.Anthropic(base_url=f"{gateway.data_url}/anthropic", api_key=token, max_retries=9)

    def openai(self) -> str:
        chat = self._openai.chat.completions.create(model=f"openai.{self.name}", messages=HELLO)
        return chat.choices[0].message.content

    def anthropic(self) -> str:
        message = self._anthropic.messages.create(model=f"anthropic.{self.name}", max_tokens=9, messages=HELLO)
        return message.content[0].text

    def requests(self) -> str:
        """Sends again by the rules of its library, on 409 and when the line breaks."""
        session = requests.Session()
        again = Retry(total=20, backoff_factor=0.2, status_forcelist=[409], allowed_methods=None)
        session.mount(self._url, HTTPAdapter(max_retries=again))
        body = {"model": f"requests.{self.name}", "messages": HELLO}
        answer = session.post(f"{self._url}/chat/completions", headers=self._bearer, json=body)
        return answer.json()["choices"][0]["message"]["content"]

    def stream(self) -> str:
        """No SDK begins a stream again that broke off after its head; people do."""
        try:
            return self._stream()
        except (openai.APIError, httpx2.TransportError):
            return self._stream()

    def _stream(self) -> str:
        chunks = self._openai.chat.completions.create(model=f"stream.{self.name}", messages=HELLO, stream=True)
        return "".join(chunk.choices[0].delta.content for chunk in chunks)

    def poll(self, asked: str = "poll") -> httpx.Response:
        body = {"model": f"{asked}.{self.name}", "messages": HELLO}
        prefer = {**self._bearer, "prefer": "respond-async"}
        return httpx.post(f"{self._url}/chat/completions", headers=prefer, json=body, timeout=PATIENCE)


def all_of(owner) -> dict[str, dict]:
    """Every approval there is, by its id."""
    return {row["id"]: row for row in owner.approvals()}


def test_catalogue_112_fifty_pending_calls_survive_a_kill(gateway, own_issuer, upstream):
    owner = gateway.api(own_issuer.token("owner", ["owners"], 3600))
    people = [Person(gateway, name, own_issuer.token(name, ["eng"], 3600)) for name in PEOPLE]
    waiting = [
        Background(call) for person in people for call in (person.openai, person.anthropic, person.requests, person.stream)
    ]
    polled = [person.poll().json()["approval"] for person in people]
    eventually("all to wait", lambda: owner.metric("keyward_held") == len(waiting))
    before = all_of(owner)
    assert len(before) == 50 and {row["state"] for row in before.values()} == {"pending"}
    short = [person.poll("short").json()["approval"] for person in people[:5]]
    ends = max(all_of(owner)[asked]["expires_at"] for asked in short)

    gateway.kill()
    while datetime.now(UTC) <= datetime.fromisoformat(ends):
        time.sleep(0.1)
    gateway.start()

    eventually("all to wait again", lambda: owner.metric("keyward_held") == len(waiting))
    assert [person.poll().json()["approval"] for person in people] == polled
    eventually("the short ones to end", lambda: all(all_of(owner)[asked]["state"] == "expired" for asked in short))
    after = all_of(owner)
    assert after.keys() == {*before, *short}, "a call was asked for twice"
    assert {after[asked]["state"] for asked in before} == {"pending"}
    assert upstream.asked == []

    for asked in before:
        owner.decide(asked, "approve").raise_for_status()
    assert [call.result() for call in waiting] == [model.TEXT] * len(waiting)
    assert [person.poll().status_code for person in people] == [200] * len(people)
    assert all(owner.decide(asked, "approve").is_client_error for asked in short)
    ran = sorted(json.loads(asked.body)["model"] for asked in upstream.asked)
    assert ran == sorted(f"{kind}.{name}" for kind in KINDS for name in PEOPLE)
    ended = all_of(owner)
    assert ended.keys() == after.keys()
    assert {ended[asked]["state"] for asked in before} == {"consumed"}
