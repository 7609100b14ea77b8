"""What is asked, and how fast."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """One kind of call."""

    name: str
    says: str
    answer: str
    rate: float  # per second, where latency is measured
    connections: int = 16
    gap_ms: int = 0  # between the deltas of a stream, where latency is measured

    @property
    def streams(self):
        return self.answer == "stream"


LOADS = [
    Load("json-small", "JSON answer of 0.6 KB", "small", 1000),
    Load("json-large", "JSON answer of 10 KB", "large", 1000),
    Load("stream", "stream of 64 deltas", "stream", 40, connections=32, gap_ms=2),
]

ASKED = [
    ("system", "You answer questions about our warehouse. Be brief, name your sources, say so when you do not know."),
    ("user", "How many pallets of the blue boxes came in last week, and who signed for them?"),
    ("assistant", "Fourteen pallets came in on two days. The delivery notes name the shift lead of dock three."),
    ("user", "And how many of them are still here? Please list them by aisle, with the date each was put there, "
             "and mark those that were opened. If an aisle is closed for the count, write when it opens again."),
]  # fmt: skip

REQUEST = json.dumps({
    "model": "bench-1",
    "messages": [{"role": role, "content": content} for role, content in ASKED],
    "temperature": 0.2,
    "max_completion_tokens": 800,
    "top_p": 1,
    "user": "warehouse-frontend",
}).encode()  # fmt: skip


def headers(token, answer, gap_ms=0):
    """Those that an SDK sends, and the bench's own."""
    return {
        "authorization": f"Bearer {token}",
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": "OpenAI/Python 2.8.0",
        "x-stainless-lang": "python",
        "x-stainless-package-version": "2.8.0",
        "x-stainless-os": "Linux",
        "x-stainless-arch": "x64",
        "x-stainless-runtime": "CPython",
        "x-stainless-runtime-version": "3.12.4",
        "x-stainless-async": "false",
        "x-stainless-retry-count": "0",
        "x-bench-answer": answer,
        **({"x-bench-gap-ms": str(gap_ms)} if gap_ms else {}),
    }
