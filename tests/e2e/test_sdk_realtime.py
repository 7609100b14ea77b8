"""The unmodified OpenAI SDK's realtime client, against a realtime server that is fake: it speaks the events of OpenAI's
API as its documentation has them, and no model stands behind it."""

import json
import ssl
import subprocess
import threading

import openai
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.server import serve

KEY = "talk-" + "credential-0123456789abcdef"
LEAKED = "ghp_" + "Zk3vTq8Wn1LsYb6Rd0HxGm4Jc7Pf2AeUi9Ko"


class FakeRealtime:
    """Answers each `response.create` with the last words of the caller, letter by letter."""

    def __init__(self, tls: ssl.SSLContext | None):
        self.heads = []
        self.events = []
        self._server = serve(self._talk, "127.0.0.1", 0, ssl=tls)
        port = self._server.socket.getsockname()[1]
        self.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()

    def _talk(self, socket):
        self.heads.append((socket.request.path, dict(socket.request.headers)))

        def say(kind, **more):
            socket.send(json.dumps({"type": kind, "event_id": "e", **more}))

        say("session.created", session={"type": "realtime", "id": "s", "model": "gpt-realtime"})
        words = ""
        for message in socket:
            event = json.loads(message)
            self.events.append(event)
            if event["type"] == "conversation.item.create":
                words = event["item"]["content"][0]["text"]
            elif event["type"] == "response.create":
                at = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
                text = f"You said {words} and my key is {KEY}, I think."
                for letter in text:
                    say("response.output_text.delta", delta=letter, **at)
                say("response.output_text.done", text=text, **at)
                say("response.done", response={"id": "r", "status": "completed", "output": []})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The files of a key and of its certificate for localhost."""
    made = tmp_path_factory.mktemp("tls")
    key, pem = made / "key.pem", made / "certificate.pem"
    subject = ["-subj", "/CN=localhost"]
    for extension in ["subjectAltName=DNS:localhost", "basicConstraints=critical,CA:FALSE"]:
        subject += ["-addext", extension]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", pem]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return key, pem


@pytest.fixture(params=["plain", "tls"])
def realtime(request, certificate):
    tls = None
    if request.param == "tls":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate[1], certificate[0])
        # As many servers do: what is agreed on must not be HTTP/2, which has no such upgrade.
        tls.set_alpn_protocols(["h2", "http/1.1"])
    server = FakeRealtime(tls)
    yield server
    server.stop()


@pytest.fixture
def client(realtime, certificate, demo, issuer, gateway_of, tmp_path):
    rules = tmp_path / "policy.yaml"
    rules.write_text(
        "apiVersion: keyward/v1\nkind: Policy\nmetadata: {name: talk}\nrules:\n"
        "  - {id: mask-prompts, effect: mask, when: 'true', mask: {detect: [credentials], where: [request], style: redact}}\n"
    )
    connection = {
        "name": "openai",
        "kind": "openai",
        "upstream": realtime.url + "/v1",
        "credential": {"secret": "keyward://openai", "inject": "bearer"},
    }
    if realtime.url.startswith("https"):
        connection["ca"] = str(certificate[1])
    config = {"issuers": [issuer], "connections": [connection], "policies": ["builtin:base", str(rules)]}
    gateway = gateway_of(config, secrets={"openai": KEY})
    with openai.OpenAI(base_url=f"{gateway.data_url}/openai", api_key=demo.tokens["alice"]) as client:
        yield client


def item(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_a_conversation(client, realtime):
    with client.realtime.connect(model="gpt-realtime") as connection:
        assert connection.recv().type == "session.created"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        connection.conversation.item.create(item=item(f"that my token is {LEAKED}"))
        connection.response.create()
        text = ""
        for event in connection:
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.output_text.done":
                assert event.text == text
            elif event.type == "response.done":
                break
    assert text.startswith("You said that my token is [REDACTED:") and text.endswith(", I think.")
    assert KEY not in text and LEAKED not in text
    ((path, headers),) = realtime.heads
    assert path == "/v1/realtime?model=gpt-realtime"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "sec-websocket-extensions" not in headers
    assert [event["type"] for event in realtime.events] == [
        "session.update",
        "conversation.item.create",
        "response.create",
    ]
    assert LEAKED not in json.dumps(realtime.events)


def test_a_blocked_message_is_an_error_event_and_a_close(client, realtime):
    call = {"type": "function_call", "name": "read", "arguments": '{"path": "/root/.aws/credentials"}'}
    with client.realtime.connect(model="gpt-realtime") as connection:
        assert connection.recv().type == "session.created"
        connection.conversation.item.create(item=call)
        error = connection.recv()
        assert error.type == "error" and error.error.code == "blocked_by_policy"
        assert "no-secret-files" in error.error.message
        with pytest.raises(ConnectionClosedError) as closed:
            connection.recv()
    assert closed.value.rcvd.code == 1008 and "no-secret-files" in closed.value.rcvd.reason
    assert realtime.events == []
