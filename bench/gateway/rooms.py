#!/usr/bin/env python3
"""Where Keyward's CPU time goes under one load, by room of the house. Needs perf, and a binary with symbols:
`cargo rustc --release -p keyward --bin keyward -- -C strip=none`."""

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import run
from loads import LOADS, REQUEST
from targets import House

# The first that a stack meets on its way from the leaf to the root is the room that pays; order breaks no ties.
ROOMS = [
    ("mask", r"keyward_mask|keyward_wire"),
    ("journal", r"keyward_journal"),
    ("policy", r"keyward_core::policy|\bcel::|cel_interpreter"),
    ("identify", r"gateway::identify"),
    ("understand", r"gateway::understand|gateway::call"),
    ("record", r"gateway::record|gateway::session"),
    ("forward", r"gateway::forward|gateway::inject|gateway::hold"),
    ("respond", r"gateway::respond|gateway::body"),
    ("exchange", r"keyward_gateway"),
    ("hyper client", r"hyper_util::client|hyper::client|hyper::proto::h1::dispatch::Client|hyper_rustls"),
    ("hyper server", r"hyper_util::server|hyper::server|hyper::proto::h1::dispatch::Server"),
    ("hyper", r"\bhyper(_util)?::|\bhttp(arse)?::"),
    ("tokio", r"\btokio(_util)?::|\bmio::"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", choices=[load.name for load in LOADS], default="json-small")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--binary", type=Path, default=run.BUILT / "release/keyward")
    parser.add_argument("--steady", action="store_true", help="at the load's fixed rate instead of as much as goes")
    parser.add_argument("--top", type=int, default=40)
    options = parser.parse_args()
    load = next(load for load in LOADS if load.name == options.load)
    tools = run.prepare(SimpleNamespace(no_build=True, binary=options.binary))
    with tempfile.TemporaryDirectory(prefix="keyward-profile-") as folder:
        with House(tools, Path(folder), run.cores()) as house:
            upstream = house.upstream()
            target = house.target("keyward", upstream)
            run.busy(house, target, load, 1)
            data = Path(folder, "perf.data")
            perf = subprocess.Popen(
                ["perf", "record", "-q", "-F", "499", "--call-graph", "dwarf,16384", "-o", data,
                 "-p", str(target.process.pid), "--", "sleep", str(options.seconds)],
            )  # fmt: skip
            if options.steady:
                body = Path(folder, "request.json")
                body.write_bytes(REQUEST)
                cell = run.steady(house, upstream, target, load, options.seconds, body)
            else:
                cell = run.busy(house, target, load, options.seconds)
            perf.wait()
            cost = cell.get("cpu_us") or cell["steady_cpu_us"]
            stacks = read(data)
    report(stacks, cost, options.top)


def read(data):
    """Stacks of samples, leaf first."""
    script = subprocess.run(
        ["perf", "script", "--no-inline", "-F", "comm,ip,sym,dso", "-i", data],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    ).stdout  # fmt: skip
    stacks = []
    for sample in script.split("\n\n"):
        frames = [match.groups() for match in re.finditer(r"^\s+[0-9a-f]+ (.+?) \((\S+)\)$", sample, re.M)]
        if frames:
            stacks.append([(clean(symbol), where) for symbol, where in frames])
    return stacks


def clean(symbol):
    return re.sub(r"::h[0-9a-f]{16}$|\+0x[0-9a-f]+$", "", symbol)


def room(stack):
    for symbol, _ in stack:
        for name, pattern in ROOMS:
            if re.search(pattern, symbol):
                return name
    return "other"


def kind(stack):
    symbol, where = stack[0]
    if "kernel" in where or where.startswith("[") and "vdso" not in where:
        return "kernel"
    if re.search(r"^_?mi_|malloc|free$|realloc|__rust_alloc", symbol):
        return "alloc"
    if re.search(r"mem(cpy|move|set|cmp)", symbol):
        return "copy"
    return "code"


def report(stacks, cost, top):
    each = cost / len(stacks)
    print(f"{len(stacks)} samples, {cost:.1f} µs of CPU per request\n\nµs per request by room (of it: kernel, alloc, copy)")
    rooms = {}
    for stack in stacks:
        rooms.setdefault(room(stack), Counter())[kind(stack)] += 1
    for name, kinds in sorted(rooms.items(), key=lambda item: -item[1].total()):
        rest = "  ".join(f"{what} {kinds[what] * each:.1f}" for what in ("kernel", "alloc", "copy") if kinds[what])
        print(f"{kinds.total() * each:8.1f}  {name:14} {rest}")
    for title, pick in (
        ("self", lambda stack: [stack[0][0]]),
        ("inclusive", lambda stack: {symbol for symbol, _ in stack}),
    ):
        count = Counter(symbol for stack in stacks for symbol in pick(stack))
        print(f"\nµs per request by function, {title}")
        for symbol, samples in count.most_common(top):
            print(f"{samples * each:8.1f}  {symbol[:150]}")


if __name__ == "__main__":
    main()
