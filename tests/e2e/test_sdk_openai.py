"""The unmodified OpenAI SDK: base URL and token are the only two values that change."""

import json

import httpx2
import openai
import pytest
from kit.leaks import assert_clean

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "deploy", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def client(demo):
    with openai.OpenAI(base_url=demo.base_url("openai"), api_key=demo.tokens["alice"], max_retries=0) as client:
        yield client


def client_that_counts(base_url: str, token: str):
    """A client with the SDK's own settings, and the list of the requests that it sent."""
    sent = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    return openai.OpenAI(base_url=base_url, api_key=token, http_client=http), sent


def streamed_text(stream) -> str:
    chunks = list(stream)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len(chunks) > 10, "the answer came in one piece"
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_chat(client):
    answer = client.chat.completions.with_raw_response.create(model="demo-chat", messages=HELLO)
    assert answer.headers["keyward-decision"] == "allow"
    assert answer.headers["keyward-rule"] == "chat-for-engineers"
    assert answer.headers["keyward-session"].startswith("ses_")
    completion = answer.parse()
    assert completion.choices[0].message.content.startswith("Hello!")
    assert completion.usage.total_tokens > 0


def test_chat_streamed_with_usage(client):
    chunks = list(
        client.chat.completions.create(
            model="demo-chat", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    plain = client.chat.completions.create(model="demo-chat", messages=HELLO)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].choices == [] and chunks[-1].usage == plain.usage


@pytest.mark.parametrize(
    ("model", "before", "placeholder", "after"),
    [
        ("demo-aws", "AWS_ACCESS_KEY_ID=", "[REDACTED:aws_access_key]", "\nKeep them safe!"),
        ("demo-pem", "the deploy host:\n\n", "[REDACTED:private_key]", "\n\nIt has no passphrase."),
        ("demo-echo", "called with the key ", "[REDACTED:secret:openai]", " and I should not tell you."),
    ],
)
def test_what_leaks_is_masked_plain_and_streamed(client, model, before, placeholder, after):
    plain = client.chat.completions.create(model=model, messages=HELLO).choices[0].message.content
    streamed = streamed_text(client.chat.completions.create(model=model, messages=HELLO, stream=True))
    assert streamed == plain
    assert_clean(plain)
    assert before + placeholder in plain and plain.endswith(after)


def test_the_injected_key_is_masked_in_headers(client):
    answer = client.models.with_raw_response.list()
    assert answer.headers["x-debug-upstream-key"] == "[REDACTED:secret:openai]"


def test_tool_calls(client):
    message = client.chat.completions.create(model="demo-tools", messages=HELLO, tools=[TOOL]).choices[0].message
    (call,) = message.tool_calls
    assert call.function.name == "deploy"
    plain = json.loads(call.function.arguments)

    with client.chat.completions.stream(model="demo-tools", messages=HELLO, tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    streamed = json.loads(call.function.arguments)
    wanted = {"repository": "acme/inference", "token": "[REDACTED:github_pat]", "dry_run": True}
    assert plain == wanted and streamed == wanted

    answered = [*HELLO, {"role": "tool", "tool_call_id": call.id, "content": "done"}]
    assert "the deployment is done" in client.chat.completions.create(
        model="demo-tools", messages=answered
    ).choices[0].message.content


def test_responses(client):
    plain = client.responses.create(model="demo-aws", input="hello")
    assert_clean(plain.output_text)
    assert "[REDACTED:aws_access_key]" in plain.output_text
    with client.responses.stream(model="demo-aws", input="hello") as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert deltas == final.output_text == plain.output_text


def test_responses_with_a_tool_call(client):
    with client.responses.stream(model="demo-tools", input="hello") as stream:
        events = list(stream)
    deltas = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    (call,) = events[-1].response.output
    assert json.loads(deltas) == json.loads(call.arguments)
    assert json.loads(deltas)["token"] == "[REDACTED:github_pat]"


def test_embeddings(client):
    answer = client.embeddings.create(model="demo-embed", input=["cat", "dog"], dimensions=256)
    floats = client.embeddings.create(model="demo-embed", input="cat", dimensions=256, encoding_format="float")
    assert [len(one.embedding) for one in answer.data] == [256, 256]
    assert answer.data[0].embedding == pytest.approx(floats.data[0].embedding)
    assert answer.data[0].embedding != answer.data[1].embedding


def test_models(client):
    assert "demo-chat" in [model.id for model in client.models.list()]


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_the_upstream_is_the_sdks_own_error(client, stream):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="demo-error", messages=HELLO, stream=stream)
    assert "the worker rejected key [REDACTED:secret:openai]" in str(caught.value)
    assert_clean(str(caught.value) + str(caught.value.response.headers))


def test_a_block_is_the_sdks_own_error_and_is_not_retried(demo):
    client, sent = client_that_counts(demo.base_url("openai"), demo.tokens["alice"])
    with client, pytest.raises(openai.PermissionDeniedError) as caught:
        client.post("/load_lora_adapter", body={"lora_name": "x"}, cast_to=httpx2.Response)
    assert len(sent) == 1
    assert caught.value.code == "blocked_by_policy"
    assert "Model servers are not administered through the gateway." in str(caught.value)
    headers = caught.value.response.headers
    assert headers["x-should-retry"] == "false"
    assert headers["keyward-decision"] == "block" and headers["keyward-rule"] == "no-server-administration"


def test_who_has_no_rule_is_blocked(demo):
    with openai.OpenAI(base_url=demo.base_url("openai"), api_key=demo.tokens["ci-bot"]) as client:
        assert client.chat.completions.create(model="demo-chat", messages=HELLO).choices
        with pytest.raises(openai.PermissionDeniedError):
            client.files.list()


def test_an_unknown_connection(demo):
    client, sent = client_that_counts(f"{demo.data_url}/nothing/v1", demo.tokens["alice"])
    with client, pytest.raises(openai.NotFoundError):
        client.models.list()
    assert len(sent) == 1


def test_a_token_that_does_not_hold(demo, own_issuer):
    for token in ["sk-something", demo.tokens["alice"][:-4] + "AAAA", own_issuer.token("alice", ["eng"])]:
        client, sent = client_that_counts(demo.base_url("openai"), token)
        with client, pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model="demo-chat", messages=HELLO)
        assert len(sent) == 1
        assert token not in str(caught.value)
