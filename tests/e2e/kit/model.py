"""What a model server answers: OpenAI's chat completions and Anthropic's messages, whole and streamed."""

import json

from .upstream import Answer, Asked

WORDS = ["These ", "words ", "were ", "worth ", "waiting ", "for."]
TEXT = "".join(WORDS)
EVENTS = {"content-type": "text/event-stream"}


def event(value: dict, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


def chat_chunks(model: str):
    for word in WORDS:
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        yield event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]})
    yield b"data: [DONE]\n\n"


def chat(asked: Asked) -> Answer:
    request = json.loads(asked.body)
    if request.get("stream"):
        return Answer(list(chat_chunks(request["model"])), headers=EVENTS)
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": request["model"], "choices": [choice]}
    return Answer(json.dumps(answer).encode())


def message_events(message: dict):
    def named(kind: str, **more) -> bytes:
        return event({"type": kind, **more}, kind)

    yield named("message_start", message={**message, "content": [], "stop_reason": None})
    yield named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in WORDS:
        yield named("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield named("content_block_stop", index=0)
    yield named("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 6})
    yield named("message_stop")


def message(asked: Asked) -> Answer:
    request = json.loads(asked.body)
    usage = {"input_tokens": 1, "output_tokens": 6}
    answer = {
        "id": "m", "type": "message", "role": "assistant", "model": request["model"], "usage": usage,
        "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": None,
    }  # fmt: skip
    if request.get("stream"):
        return Answer(list(message_events(answer)), headers=EVENTS)
    return Answer(json.dumps(answer).encode())


def answer(asked: Asked) -> Answer:
    """In the dialect of the path."""
    return message(asked) if asked.path.endswith("/messages") else chat(asked)
