"""An upstream that answers with the credential it was called with, in every place and spelling."""

import gzip
import json

from kit.canary import escaped_json, whole_spellings
from kit.upstream import Answer, Asked

MARK = "left alone"


def credential(asked: Asked) -> str:
    """What the gateway put on."""
    (sent,) = asked.header("authorization") + asked.header("x-api-key")
    return sent.removeprefix("Bearer ")


def texts(key: str) -> list[str]:
    """A text for each spelling, with something around it."""
    return [f"{MARK} {name}: <{text}> {MARK}" for name, text in whole_spellings(key).items()]


def document(key: str) -> bytes:
    """A JSON document with all of them, as values, names and nothing but escapes."""
    escaped = f'"escaped": {escaped_json(key)}, {escaped_json(key)}: "name", "mark": "{MARK}"'
    return f'{{"texts": {json.dumps(texts(key))}, {json.dumps(key)}: 1, {escaped}}}'.encode()


def pieces(text: str, size: int = 3) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def sse(events: list[dict], names: bool) -> list[bytes]:
    return [
        (f"event: {event['type']}\n" if names else "").encode() + b"data: " + json.dumps(event).encode() + b"\n\n"
        for event in events
    ]


def openai_stream(key: str) -> list[bytes]:
    deltas = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces("\n".join(texts(key)))]
    return [*sse(deltas, names=False), b"data: [DONE]\n\n"]


def anthropic_stream(key: str) -> list[bytes]:
    def delta(piece: str) -> dict:
        return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}

    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    stop = {"type": "content_block_stop", "index": 0}
    return sse([start, *map(delta, pieces("\n".join(texts(key)))), stop], names=True)


def plain_stream(key: str) -> list[bytes]:
    return [f"data: {text}\n\n".encode() for text in texts(key)]


def header_safe(key: str) -> dict[str, str]:
    spelled = {name: text for name, text in whole_spellings(key).items() if text.isascii()}
    return {f"x-echo-{number}": f"a{text}b" for number, text in enumerate(spelled.values())}


def respond(asked: Asked) -> Answer:
    """The place is chosen by the request's `place` header."""
    key = credential(asked)
    (place,) = asked.header("x-place")
    json_type = {"content-type": "application/json"}
    stream_type = {"content-type": "text/event-stream"}
    text_type = {"content-type": "text/plain; charset=utf-8"}
    match place:
        case "json":
            return Answer(document(key), headers=json_type)
        case "json in pieces":
            return Answer([bytes([byte]) for byte in document(key)[:2000]] + [document(key)[2000:]], headers=json_type)
        case "text":
            return Answer("\n".join(texts(key)).encode(), headers=text_type)
        case "gzip":
            return Answer(gzip.compress(document(key)), headers={**json_type, "content-encoding": "gzip"})
        case "gzip stream":
            body = gzip.compress(b"".join(openai_stream(key)))
            return Answer([body[:50], body[50:]], headers={**stream_type, "content-encoding": "gzip"})
        case "error":
            return Answer(document(key), status=500, headers=json_type, reason="key in " + whole_spellings(key)["hex"])
        case "unauthorized":
            return Answer(json.dumps({"error": f"bad key {key}"}).encode(), status=401, headers=json_type)
        case "headers":
            cookie = f"session={whole_spellings(key)['percent']}; Path=/"
            return Answer(b"{}", headers={**json_type, **header_safe(key), "set-cookie": cookie})
        case "redirect":
            location = f"https://example.com/?key={whole_spellings(key)['percent']}"
            return Answer(b"", status=302, headers={"location": location, "link": f"<{location}>; rel=next"})
        case "trailers":
            return Answer([b"body ", b"end"], headers={**text_type, "trailer": "x-echo-0"}, trailers=header_safe(key))
        case "openai stream":
            return Answer(openai_stream(key), headers=stream_type)
        case "anthropic stream":
            return Answer(anthropic_stream(key), headers=stream_type)
        case "plain stream":
            return Answer(plain_stream(key), headers=stream_type)
    raise AssertionError(place)
