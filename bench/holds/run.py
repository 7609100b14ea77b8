#!/usr/bin/env python3
"""What waiting for a human costs: memory for each held call, time from a decision to the upstream. See README.md."""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import re
import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/keyward-target"))
os.environ.setdefault("KEYWARD_BIN", str(BUILT / "release/keyward"))
sys.path += [str(ROOT / "tests/e2e"), str(ROOT / "bench/gateway")]

from kit.gateway import Gateway  # noqa: E402
from kit.issuer import Issuer  # noqa: E402
from lines import Line, Model, call  # noqa: E402
from loads import REQUEST, headers  # noqa: E402

PENDING_PER_PERSON = 100  # the gateway's quota
PARTS = ["idle", "streams", "decisions", "memory"]
# Each asks the database for the one right to write; who waits for it for more than five seconds gets 503.
ASKED_AT_ONCE = 50
STARTS = 7
POLICY = """
apiVersion: keyward/v1
kind: Policy
metadata: {name: holds}
rules:
  - id: held
    effect: approve
    when: 'operation.resource.model.startsWith("held")'
    reason: Somebody has to look
    approval: {approvers: ["group:model-owners"], min: 1, bind: request, ttl: 2h}
"""
AIMS = {
    "idle_mb": 30, "first_request_ms": 200, "thousand_streams_mb": 100, "held_call_kb": 20, "decision_p99_ms": 10,
}  # fmt: skip


def main():
    options = arguments()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < options.held + 1_000:
        raise SystemExit(f"{options.held} held calls need more than the {most} open files that are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()
    with tempfile.TemporaryDirectory(prefix="keyward-bench-") as folder:
        result = asyncio.run(measure(Path(folder), options))
    print(json.dumps(result, indent=1))
    print(table(result["figures"]))
    if not options.quick and options.parts == PARTS:
        out = ROOT / "bench/results/holds.json"
        out.write_text(json.dumps(result, indent=1) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it works; writes no file")
    parser.add_argument("--held", type=int, help="calls held at once (10,000)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="some of it; writes no file")
    options = parser.parse_args()
    tenth = 10 if options.quick else 1
    options.held = options.held or 10_000 // tenth
    options.decisions, options.streams = 1_000 // tenth, 1_000 // tenth
    return options


async def measure(folder, options):
    before = os.getloadavg()[0]
    model = await Model().start()
    issuer = Issuer(folder)
    try:
        house, figures = House(folder, issuer, model), {}
        for name in options.parts:
            figures |= await globals()[name](house, options)
    finally:
        await model.stop()
        issuer.server.stop()
    return {
        "date": date.today().isoformat(),
        "machine": {"cores": os.cpu_count(), "load_before": before, "load_after": os.getloadavg()[0]},
        "request_bytes": len(REQUEST),
        "figures": figures,
    }


class House:
    """What every part needs: people, their requests, and gateways."""

    def __init__(self, folder, issuer, model):
        self.folder, self.issuer, self.model, self._gateways = folder, issuer, model, 0
        (folder / "holds.yaml").write_text(POLICY)
        self.owner = issuer.token("olivia", ["model-owners"], 7200)
        self._tokens = {}

    @contextlib.contextmanager
    def gateway(self):
        """A gateway with empty data, and how to reach it; stopped at the end."""
        self._gateways += 1
        directory = self.folder / f"gateway-{self._gateways}"
        directory.mkdir()
        credential = {"secret": "env://BENCH_KEY", "inject": "bearer"}
        connection = {"name": "openai", "kind": "openai", "upstream": self.model.url, "credential": credential}
        config = {
            "issuers": [self.issuer.config],
            "policies": ["builtin:base", str(self.folder / "holds.yaml")],
            "connections": [connection],
            "holding": {"wait": "10m"},
        }
        gateway = Gateway(directory, config, {"BENCH_KEY": "bench-key-0123456789abcdef"})
        try:
            yield gateway
        finally:
            gateway.stop()

    def request(self, model: str, person: int = 0) -> bytes:
        """A chat completion of 1 KB with an SDK's headers, of a call that no other is like."""
        if person not in self._tokens:
            self._tokens[person] = self.issuer.token(f"person-{person}", ["eng"], 7200)
        body = REQUEST.replace(b'"bench-1"', json.dumps(model).encode())
        if model.startswith("stream"):
            body = body.replace(b"{", b'{"stream": true, ', 1)
        return message("POST", "/openai/v1/chat/completions", headers(self._tokens[person], "small"), body)


class Admin:
    """The admin API of a gateway."""

    def __init__(self, gateway, token):
        self._line, self._token = Line(at(gateway.admin_url)), {"authorization": f"Bearer {token}"}

    async def held(self) -> int:
        _, body, _, _ = await self._line.ask(message("GET", "/metrics", {}))
        return int(re.search(rb"^keyward_held (\d+)$", body, re.MULTILINE).group(1))

    async def until_held(self, calls):
        while await self.held() != len(calls):
            ended = {name: made.ended.result() for name, made in calls.items() if made.ended.done()}
            assert not ended, f"did not wait: {ended}"
            await asyncio.sleep(0.02)

    async def pending(self) -> dict[str, str]:
        """All that is pending: the approval of each model."""
        found, before = {}, ""
        while before is not None:
            query = f"state=pending&limit=200{before and '&before=' + before}"
            page = json.loads(await self._ok(message("GET", f"/api/v1/approvals?{query}", self._token)))
            found |= {row["operation"]["model"]: row["id"] for row in page["approvals"]}
            before = page.get("next")
        return found

    async def decide(self, approval: str, verb: str):
        """When it was sent and when it was answered."""
        head = {**self._token, "content-type": "application/json"}
        status, body, sent, answered = await self._line.ask(
            message("POST", f"/api/v1/approvals/{approval}/{verb}", head, b'{"reason": ""}')
        )
        assert status == 200, body
        return sent, answered

    async def _ok(self, request):
        status, body, _, _ = await self._line.ask(request)
        assert status == 200, body
        return body


def message(method, path, head, body=b"") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    length = f"content-length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nhost: bench\r\n{lines}{length}\r\n".encode() + body


def at(url):
    parts = urlsplit(url)
    return parts.hostname, parts.port


def resident(gateway, which="VmRSS") -> int:
    """Bytes."""
    status = Path(f"/proc/{gateway.child.pid}/status").read_text()
    return int(re.search(rf"{which}:\s+(\d+)", status).group(1)) * 1024


async def answered(gateway, request) -> float:
    """A call that goes through, to its last byte; when that was."""
    made = await call(at(gateway.data_url), request)
    status = await made.ended
    assert status == 200, status
    return time.perf_counter()


async def idle(house, _):
    """From nothing to the answer of the first governed call, and what the process then takes."""
    starts, sizes = [], []
    for number in range(STARTS):
        with house.gateway() as gateway:
            request = house.request(f"plain-first-{number}")
            began = time.perf_counter()
            gateway.start()
            starts.append(await answered(gateway, request) - began)
            await asyncio.sleep(1)  # what only a start needs is given back
            sizes.append(resident(gateway))
    return {"first_request_ms": round(median(starts) * 1e3, 1), "idle_mb": mb(median(sizes))}


async def streams(house, options):
    count = options.streams
    with house.gateway() as gateway:
        gateway.start()
        await answered(gateway, house.request("plain-streams"))
        before = resident(gateway)
        calls = []
        for number in range(count):
            calls.append(await call(at(gateway.data_url), house.request(f"stream-{number}", number % 10)))
        await asyncio.gather(*(made.began for made in calls))
        assert len(house.model.streams) == count
        await house.model.stream(seconds=5, every=0.5)
        open_now = resident(gateway)
        house.model.end_streams()
        assert {await made.ended for made in calls} == {200}
    name = "thousand_streams_mb" if count == 1_000 else f"{count}_streams_mb"
    return {name: mb(open_now), "stream_kb": kb((open_now - before) / count)}


async def hold(house, gateway, admin, count):
    """Calls that wait, by the name of their model, and the process's size on the way."""
    calls, sizes = {}, {}
    step = min(count, ASKED_AT_ONCE)
    for first in range(0, count, step):
        for number in range(first, min(first + step, count)):
            name = f"held-{number:06}"
            calls[name] = await call(at(gateway.data_url), house.request(name, number // PENDING_PER_PERSON))
        await admin.until_held(calls)
        if len(calls) % 500 == 0 or len(calls) == count:
            sizes[len(calls)] = resident(gateway)
    return calls, sizes


async def decisions(house, options):
    """Decides one after the other, 20 in a second; between two, a call that nobody has to decide."""
    with house.gateway() as gateway:
        gateway.start()
        admin = Admin(gateway, house.owner)
        await answered(gateway, house.request("plain-decisions"))
        calls, _ = await hold(house, gateway, admin, options.decisions)
        approvals = await admin.pending()
        assert approvals.keys() == calls.keys()
        line = Line(at(gateway.data_url))
        from_sent, from_answered, plain = [], [], []
        for number, (name, approval) in enumerate(approvals.items()):
            turn = asyncio.create_task(asyncio.sleep(0.025))
            sent, told = await admin.decide(approval, "approve")
            assert await calls[name].ended == 200
            from_sent.append(house.model.arrived[name] - sent)
            from_answered.append(house.model.arrived[name] - told)
            await turn
            turn = asyncio.create_task(asyncio.sleep(0.025))
            status, _, sent, _ = await line.ask(house.request(f"plain-{number}", 1))
            assert status == 200
            plain.append(house.model.arrived[f"plain-{number}"] - sent)
            await turn
        assert all(house.model.runs[name] == 1 for name in calls)
        assert await admin.held() == 0
        disk = synced(gateway.directory)
    return {
        **spread("decision", from_sent), **spread("decision_answered", from_answered), **spread("plain", plain),
        **spread("disk_sync", disk),
    }  # fmt: skip


def synced(directory, times=200):
    """What it costs here to make a page of a file durable: a decision does so, and so does using it up."""
    costs = []
    with open(directory / "sync", "wb") as file:
        for _ in range(times):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            costs.append(time.perf_counter() - began)
    return costs


async def memory(house, options):
    """Holds many, decides some, stops with the rest, and sees after a start that these still wait."""
    count = options.held
    with house.gateway() as gateway:
        gateway.start()
        admin = Admin(gateway, house.owner)
        house.model.runs.clear()
        await answered(gateway, house.request("plain-memory"))
        before = resident(gateway)
        began = time.perf_counter()
        calls, sizes = await hold(house, gateway, admin, count)
        asked_in = time.perf_counter() - began
        approvals = await admin.pending()
        assert approvals.keys() == calls.keys()
        names = list(calls)
        approved, denied, rest = names[: count // 20], names[count // 20 : count // 10], names[count // 10 :]
        for name in approved:
            await admin.decide(approvals[name], "approve")
        for name in denied:
            await admin.decide(approvals[name], "deny")
        assert {await calls[name].ended for name in approved} == {200}
        assert {await calls[name].ended for name in denied} == {403}
        await asyncio.to_thread(gateway.stop)
        assert {await calls[name].ended for name in rest} == {None}
        del house.model.runs["plain-memory"]
        assert house.model.runs == dict.fromkeys(approved, 1)
        gateway.start()
        assert (await Admin(gateway, house.owner).pending()).keys() == set(rest)
    return {
        "held_calls": count,
        "held_call_kb": kb((sizes[count] - before) / count),
        "held_mb": {held: mb(size) for held, size in {0: before, **sizes}.items()},
        "asked_per_s": round(count / asked_in),
    }


def spread(name, seconds):
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {f"{name}_p50_ms": round(median(seconds) * 1e3, 2), f"{name}_p99_ms": round(cuts[98] * 1e3, 2)}


def mb(size):
    return round(size / 1e6, 1)


def kb(size):
    return round(size / 1e3, 1)


def table(figures):
    lines = []
    for name, value in figures.items():
        if not isinstance(value, dict):
            aim = f"  (aim: at most {AIMS[name]})" if name in AIMS else ""
            lines.append(f"{name.replace('_', ' '):>28}  {value}{aim}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
