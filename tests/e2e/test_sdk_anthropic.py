"""The unmodified Anthropic SDK: base URL and token are the only two values that change."""

import anthropic
import httpx2
import pytest
from kit.leaks import assert_clean

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"name": "deploy", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def client(demo):
    client = anthropic.Anthropic(base_url=demo.base_url("anthropic"), api_key=demo.tokens["alice"], max_retries=0)
    with client:
        yield client


def client_that_counts(base_url: str, token: str):
    """A client with the SDK's own settings, and the list of the requests that it sent."""
    sent = []
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    return anthropic.Anthropic(base_url=base_url, api_key=token, http_client=http), sent


def ask(model: str, **more):
    return {"model": model, "max_tokens": 256, "messages": HELLO, **more}


def test_messages(client):
    answer = client.messages.with_raw_response.create(**ask("demo-chat"))
    assert answer.headers["keyward-decision"] == "allow"
    assert answer.headers["x-debug-upstream-key"] == "[REDACTED:secret:anthropic]"
    message = answer.parse()
    assert message.content[0].text.startswith("Hello!") and message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("model", "before", "placeholder", "after"),
    [
        ("demo-aws", "AWS_ACCESS_KEY_ID=", "[REDACTED:aws_access_key]", "\nKeep them safe!"),
        ("demo-pem", "the deploy host:\n\n", "[REDACTED:private_key]", "\n\nIt has no passphrase."),
        ("demo-echo", "called with the key ", "[REDACTED:secret:anthropic]", " and I should not tell you."),
    ],
)
def test_what_leaks_is_masked_plain_and_streamed(client, model, before, placeholder, after):
    plain = client.messages.create(**ask(model)).content[0].text
    with client.messages.stream(**ask(model)) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 10, "the answer came in one piece"
    assert "".join(pieces) == final.content[0].text == plain
    assert_clean(plain)
    assert before + placeholder in plain and plain.endswith(after)


def test_tool_calls(client):
    plain = client.messages.create(**ask("demo-tools", tools=[TOOL]))
    with client.messages.stream(**ask("demo-tools", tools=[TOOL])) as stream:
        streamed = stream.get_final_message()
    wanted = {"repository": "acme/inference", "token": "[REDACTED:github_pat]", "dry_run": True}
    for message in (plain, streamed):
        (block,) = message.content
        assert (block.name, block.input, message.stop_reason) == ("deploy", wanted, "tool_use")


def test_models(client):
    assert "demo-chat" in [model.id for model in client.models.list()]


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_the_upstream_is_the_sdks_own_error(client, stream):
    with pytest.raises(anthropic.InternalServerError) as caught:
        client.messages.create(**ask("demo-error", stream=stream))
    assert "the worker rejected key [REDACTED:secret:anthropic]" in str(caught.value)
    assert_clean(str(caught.value) + str(caught.value.response.headers))


def test_a_block_is_the_sdks_own_error_and_is_not_retried(demo):
    client, sent = client_that_counts(demo.base_url("anthropic"), demo.tokens["alice"])
    with client, pytest.raises(anthropic.PermissionDeniedError) as caught:
        client.post("/v1/nobody/knows/this", body={}, cast_to=httpx2.Response)
    assert len(sent) == 1
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "permission_error"
    assert "no-unknown-calls" in caught.value.body["error"]["message"]
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_a_token_that_does_not_hold(demo):
    client, sent = client_that_counts(demo.base_url("anthropic"), "sk-ant-something")
    with client, pytest.raises(anthropic.AuthenticationError):
        client.messages.create(**ask("demo-chat"))
    assert len(sent) == 1


def test_the_token_as_bearer(demo):
    with anthropic.Anthropic(base_url=demo.base_url("anthropic"), auth_token=demo.tokens["alice"]) as client:
        assert client.messages.create(**ask("demo-chat")).content[0].text.startswith("Hello!")
