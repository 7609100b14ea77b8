"""Texts that a machine may not have, made from a fixed seed: answers of JSON APIs, embeddings, images in base64, logs."""

import base64
import json
import random

# Bytes of each kind of text.
KIND_BYTES = 2_000_000
WORDS = (
    "account balance batch cache client cluster commit customer daemon default deploy device engine event export field"
    " filter gateway handler image import index invoice job kernel label ledger limit listener message metric model"
    " module network node object order packet page parser payment pipeline policy pool process profile project proxy"
    " query queue record region release report request resource response retry route sample scheduler schema server"
    " service session shard signal snapshot source status storage stream table task tenant test thread token topic trace"
    " transfer upload user value version volume worker"
).split()


class Maker:
    """What the texts are made of."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def hex(self, digits):
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def uuid(self):
        return f"{self.hex(8)}-{self.hex(4)}-4{self.hex(3)}-a{self.hex(3)}-{self.hex(12)}"

    def name(self, length, alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"):
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def sentence(self):
        return " ".join(self.random.choice(WORDS) for _ in range(self.random.randint(4, 14))).capitalize() + "."

    def time(self):
        r = self.random
        return f"2026-{r.randint(1, 12):02}-{r.randint(1, 28):02}T{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}.{r.randint(0, 999):03}Z"

    def completion(self):
        r = self.random
        prompt, answer = r.randint(9, 4000), r.randint(1, 900)
        return {
            "id": "chatcmpl-" + self.name(29),
            "object": "chat.completion",
            "created": r.randint(1_740_000_000, 1_790_000_000),
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": " ".join(self.sentence() for _ in range(r.randint(1, 9))),
                        "tool_calls": [{"id": "call_" + self.name(24), "type": "function", "function": {"name": "look_up", "arguments": json.dumps({"city": r.choice(WORDS), "days": r.randint(1, 9)})}}],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer},
            "system_fingerprint": "fp_" + self.hex(10),
        }

    def message(self):
        return {
            "id": "msg_01" + self.name(22),
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": self.sentence(), "signature": base64.b64encode(self.random.randbytes(180)).decode()},
                {"type": "text", "text": self.sentence()},
                {"type": "tool_use", "id": "toolu_01" + self.name(22), "name": "search", "input": {"query": self.sentence()}},
            ],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": self.random.randint(1, 9000), "output_tokens": self.random.randint(1, 900)},
        }

    def repository(self):
        r = self.random
        owner, name, sha = r.choice(WORDS), r.choice(WORDS), self.hex(40)
        return {
            "id": r.randint(1, 900_000_000),
            "node_id": "R_kgDO" + self.name(6),
            "full_name": f"{owner}/{name}",
            "git_url": f"git://code.example.net/{owner}/{name}.git",
            "sha": sha,
            "commit_url": f"https://code.example.net/{owner}/{name}/commit/{sha}",
            "pushed_at": self.time(),
            "etag": f'W/"{self.hex(64)}"',
            "next_cursor": base64.b64encode(f"cursor:v2:{r.randint(1, 1 << 40)}".encode()).decode(),
            "size": r.randint(1, 1 << 20),
            "topics": r.sample(WORDS, 4),
        }

    def pod(self):
        r = self.random
        name = f"{r.choice(WORDS)}-{self.name(10, 'bcdfghjklmnpqrstvwxz2456789')}-{self.name(5, 'bcdfghjklmnpqrstvwxz2456789')}"
        return {
            "kind": "Pod",
            "metadata": {"name": name, "uid": self.uuid(), "resourceVersion": str(r.randint(1, 1 << 31)), "creationTimestamp": self.time(), "annotations": {"checksum/config": self.hex(64)}},
            "spec": {"containers": [{"name": r.choice(WORDS), "image": f"registry.example.net/{r.choice(WORDS)}@sha256:{self.hex(64)}", "imagePullPolicy": "IfNotPresent"}], "serviceAccountName": "default"},
            "status": {"podIP": f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}", "phase": "Running", "containerID": f"containerd://{self.hex(64)}"},
        }

    def order(self):
        r = self.random
        return {
            "id": "ord_" + self.name(14),
            "customer": "cus_" + self.name(14),
            "invoice": "in_1" + self.name(23),
            "amount": r.randint(100, 900_000),
            "currency": "eur",
            "created": r.randint(1_740_000_000, 1_790_000_000),
            "lines": [{"sku": f"{self.name(3, 'ABCDEFGHKLMNP')}-{r.randint(1000, 99999)}", "ean": str(r.randint(10**12, 10**13 - 1)), "quantity": r.randint(1, 9)} for _ in range(3)],
            "tracking": self.name(18, "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"),
            "idempotency_key": self.uuid(),
        }

    def answers(self):
        kinds = [self.completion, self.message, self.repository, self.pod, self.order]
        return json.dumps(self.random.choice(kinds)(), indent=self.random.choice([None, 2]))

    def embeddings(self):
        vector = [round(self.random.gauss(0, 0.03), self.random.choice([7, 8, 16])) for _ in range(768)]
        return json.dumps({"object": "embedding", "index": 0, "embedding": vector})

    def images(self):
        data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + self.random.randbytes(self.random.randint(2_000, 20_000))).decode()
        return self.random.choice([f'<img src="data:image/png;base64,{data}">', json.dumps({"created": 1_760_000_000, "data": [{"b64_json": data}]}), f"![chart](data:image/png;base64,{data})"])

    def logs(self):
        r = self.random
        lines = [
            lambda: f'10.0.{r.randint(0, 255)}.{r.randint(1, 254)} - - [12/Mar/2026:08:{r.randint(0, 59):02}:11 +0000] "GET /v1/{r.choice(WORDS)}s/{self.uuid()}?page={r.randint(1, 99)} HTTP/1.1" 200 {r.randint(10, 99999)} "-" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"',
            lambda: f"{self.time()} INFO {r.choice(WORDS)}.{r.choice(WORDS)}: trace_id={self.hex(32)} span_id={self.hex(16)} took {r.random() * 90:.3f} ms",
            lambda: json.dumps({"ts": self.time(), "level": "warn", "msg": self.sentence(), "request_id": "req_" + self.name(24), "session_id": self.uuid(), "attempt": r.randint(1, 5)}),
            lambda: f"#{r.randint(4, 40)} sha256:{self.hex(64)} {r.randint(1, 90)}.{r.randint(0, 99)}MB / 91.20MB {r.random() * 9:.1f}s done",
            lambda: f"Mar 12 08:{r.randint(0, 59):02}:11 host-{r.randint(1, 99)} kernel: [{r.random() * 99999:12.6f}] eth0: {r.choice(WORDS)} at 0xffff{self.hex(12)}",
            lambda: f"   Compiling {r.choice(WORDS)}-{r.choice(WORDS)} v{r.randint(0, 9)}.{r.randint(0, 40)}.{r.randint(0, 40)}",
            lambda: f"commit {self.hex(40)} Merge {self.hex(7)} into {self.hex(7)}",
            lambda: f"authentication succeeded for user {r.choice(WORDS)} with key fingerprint SHA256:{base64.b64encode(r.randbytes(32)).decode().rstrip('=')}",
            lambda: f"max_tokens={r.randint(1, 9000)} token_count={r.randint(1, 9000)} cache_key={r.choice(WORDS)}:{r.randint(1, 1 << 30)} secret_name={r.choice(WORDS)}-{r.choice(WORDS)}",
        ]
        return "\n".join(r.choice(lines)() for _ in range(60))

    def locks(self):
        r = self.random
        parts = [
            lambda: f'[[package]]\nname = "{r.choice(WORDS)}-{r.choice(WORDS)}"\nversion = "{r.randint(0, 9)}.{r.randint(0, 40)}.{r.randint(0, 40)}"\nchecksum = "{self.hex(64)}"\n',
            lambda: f'    "node_modules/{r.choice(WORDS)}": {{\n      "version": "{r.randint(0, 9)}.{r.randint(0, 40)}.0",\n      "integrity": "sha512-{base64.b64encode(r.randbytes(64)).decode()}"\n    }},\n',
            lambda: f"{r.choice(WORDS)}=={r.randint(0, 9)}.{r.randint(0, 40)} \\\n    --hash=sha256:{self.hex(64)} \\\n    --hash=sha256:{self.hex(64)}\n",
            lambda: f"example.net/{r.choice(WORDS)}/{r.choice(WORDS)} v{r.randint(0, 9)}.{r.randint(0, 40)}.0 h1:{base64.b64encode(r.randbytes(32)).decode()}\n",
        ]
        return "".join(r.choice(parts)() for _ in range(60))


def made():
    """Names and texts, the same ones every time."""
    maker = Maker(20260312)
    for kind in ("answers", "embeddings", "images", "logs", "locks"):
        total = 0
        number = 0
        while total < KIND_BYTES:
            text = getattr(maker, kind)()
            yield f"made/{kind}/{number}", text
            total += len(text.encode())
            number += 1
