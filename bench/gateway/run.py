#!/usr/bin/env python3
"""Keyward beside nginx and Envoy: one interleaved run, a table, and bench/results/gateway.json. See README.md."""

import argparse
import json
import os
import subprocess
import tempfile
from datetime import date
from pathlib import Path
from statistics import median

from loads import LOADS, REQUEST, headers
from targets import TARGETS, House, Tools, call

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KIT = Path(os.environ.get("KIT", Path.home() / ".cache/keyward-kit"))
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/keyward-target"))
WRK_CONNECTIONS = 16


def main():
    options = arguments()
    tools = prepare(options)
    with tempfile.TemporaryDirectory(prefix="keyward-bench-") as folder:
        os.chmod(folder, 0o700)
        with House(tools, Path(folder), cores()) as house:
            upstream = house.upstream()
            targets = [house.target(name, upstream) for name in options.targets]
            for target in targets:
                check(target, upstream)
            idle = {target.name: target.memory_kib("VmRSS") for target in targets}
            before = os.getloadavg()[0]
            rounds = measure(house, upstream, targets, options)
            result = {
                "date": date.today().isoformat(),
                "machine": {"cores": os.cpu_count(), "load_before": before, "load_after": os.getloadavg()[0]},
                "rounds": options.rounds,
                "seconds": {"busy": options.busy, "steady": options.steady},
                "request_bytes": len(REQUEST),
                "targets": {target.name: about(target, idle) for target in targets},
                "loads": {load.name: summary(load, targets, rounds) for load in options.loads},
            }
            journal = Path(folder, "keyward/journal")
            if journal.is_dir() and any(rounds):
                requests = sum(cell["requests"] for (_, name), cells in rounds.items() if name == "keyward"
                               for cell in cells)  # fmt: skip
                size = sum(file.stat().st_size for file in journal.rglob("*") if file.is_file())
                result["journal_bytes_per_request"] = round(size / max(requests, 1))
    print(table(result))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works; writes no file")
    parser.add_argument("--rounds", type=int, help="rounds over all targets (5)")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--loads", nargs="+", choices=[load.name for load in LOADS])
    parser.add_argument("--out", type=Path, help="where the JSON goes (bench/results/gateway.json)")
    parser.add_argument("--binary", type=Path, help="the keyward to measure (the release build)")
    parser.add_argument("--no-build", action="store_true", help="take what is built already")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.busy, options.steady = (1, 1) if options.quick else (2, 2)
    options.loads = [load for load in LOADS if not options.loads or load.name in options.loads]
    if not options.quick and options.targets == TARGETS and len(options.loads) == len(LOADS):
        options.out = options.out or ROOT / "bench/results/gateway.json"
    return options


def prepare(options):
    """Builds what is measured and installs what it is compared with."""
    subprocess.run([HERE / "install.sh"], check=True, env={**os.environ, "KIT": str(KIT)})
    if not options.no_build:
        build("-p", "keyward", folder=ROOT, into=BUILT)
        build(folder=HERE / "programs", into=BUILT / "bench")
    os.environ["PATH"] += ":/usr/sbin"
    return Tools(
        keyward=options.binary or BUILT / "release/keyward",
        upstream=BUILT / "bench/release/bench_upstream",
        load=BUILT / "bench/release/bench_load",
        nginx="nginx",
        envoy=next(KIT.glob("bench/lib/python3*/site-packages/envoy/_bin/envoy")),
        wrk="wrk",
    )


def build(*package, folder, into):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(into)}
    subprocess.run(["cargo", "build", "--release", "--locked", *package], check=True, cwd=folder, env=environment)


def cores():
    """One core for the proxy, one for the load and the upstream, so that neither takes the other's time."""
    usable = sorted(os.sched_getaffinity(0))
    return {"load": usable[0], "proxy": usable[-1]} if len(usable) > 1 else {}


def check(target, upstream):
    """Holds that a target does what its row says: the figures of one that does less would mean nothing."""

    def hold(what, condition):
        if not condition:
            raise SystemExit(f"{target.name}: {what} does not hold")

    for load in LOADS:
        status, body = call(target, load.answer)
        hold(f"a good answer to {load.name}", status == 200 and (b"[DONE]" if load.streams else b"usage") in body)
    if target.process:
        status, body = call(target, "leak")
        hold("injection", status == 200)
        hold("masking" if target.masks else "passing what it does not mask",
             (upstream.key.encode() in body) != target.masks)  # fmt: skip
        for token, refusal in ((upstream.stranger, 403), (upstream.token[:-6] + "AAAAAA", 401)):
            hold("identity", call(target, "small", token)[0] == (refusal if target.checks_identity else 200))


def measure(house, upstream, targets, options):
    """All rounds: a list of cells by load and target."""
    cells = {}
    body = house.folder / "request.json"
    body.write_bytes(REQUEST)
    for number in range(options.rounds):
        for load in options.loads:
            # Another one goes first each time, so that a neighbour's noise does not always meet the same one.
            turn = number % len(targets)
            for target in targets[turn:] + targets[:turn]:
                if number == 0:
                    busy(house, target, load, 1)
                cell = busy(house, target, load, options.busy)
                cell |= steady(house, upstream, target, load, options.steady, body)
                cells.setdefault((load.name, target.name), []).append(cell)
                print(f"round {number + 1}: {load.name:10} {target.name:9} {cell}", flush=True)
    return cells


def busy(house, target, load, seconds):
    """As much as goes: requests per second, and the proxy's CPU time for each."""
    script = house.folder / "wrk.lua"
    quoted = "\n".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}"
                       for name, value in headers(target.token, load.answer).items())  # fmt: skip
    script.write_text(f"""
wrk.method = "POST"
wrk.body = {json.dumps(REQUEST.decode())}
{quoted}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout))
end
""")
    command = [house.tools.wrk, "-t1", f"-c{WRK_CONNECTIONS}", f"-d{seconds}s", "-s", script, target.url]
    before = target.cpu_ns()
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, text=True, preexec_fn=house.pinned("load")
    )
    out = process.communicate()[0]
    spent = target.cpu_ns() - before
    requests, duration, errors = map(int, out.split("RESULT ")[1].split())
    if errors or not requests:
        raise SystemExit(f"{target.name}, {load.name}: {errors} of {requests} requests failed")
    return {"requests": requests, "rps": requests / duration * 1e6, "cpu_us": spent / requests / 1e3}


def steady(house, upstream, target, load, seconds, body):
    """At a fixed rate: latencies in microseconds, and the proxy's CPU time for each request."""
    command = [house.tools.load, target.url, "--body", body, "--rate", load.rate, "--seconds", seconds,
               "--connections", load.connections]  # fmt: skip
    for name, value in headers(target.token, load.answer, load.gap_ms).items():
        command += ["--header", f"{name}: {value}"]
    if load.streams:
        command += ["--sent", upstream.url]
    before = target.cpu_ns()
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, preexec_fn=house.pinned("load"))
    spent = target.cpu_ns() - before
    if done.returncode:
        raise SystemExit(f"{target.name}, {load.name}: the load generator failed")
    found = json.loads(done.stdout)
    cell = {"steady_cpu_us": spent / found["requests"] / 1e3, "late": found["late"]}
    for what in ("first", "event") if load.streams else ("whole",):
        for quantile in ("p50", "p99"):
            cell[f"{what}_{quantile}_us"] = found[what][quantile]
    return cell


def about(target, idle):
    peak = target.memory_kib("VmHWM")
    told = {"does": target.says}
    if target.process:
        told |= {"idle_mib": round(idle[target.name] / 1024, 1), "peak_mib": round(peak / 1024, 1)}
    if target.start_ms:
        told["first_answer_ms"] = round(target.start_ms)
    return told


def summary(load, targets, rounds):
    """Medians over the rounds; ratios and added latency are made within a round, where both met the same noise."""
    names = [target.name for target in targets]
    result = {"says": load.says, "rate": load.rate, "targets": {}}
    for name in names:
        cells = rounds[load.name, name]
        row = {"requests_per_s": round(median(cell["rps"] for cell in cells))}
        if name != "direct":
            for key, what in (("cpu_us", "cpu_us"), ("steady_cpu_us", "cpu_us_at_rate")):
                row[what] = round(median(cell[key] for cell in cells), 1)
        for peer in ("nginx", "envoy", "envoy-gov"):
            if peer in names and name not in (peer, "direct"):
                pairs = list(zip(cells, rounds[load.name, peer]))
                row[f"cpu_over_{peer}"] = round(median(a["cpu_us"] / b["cpu_us"] for a, b in pairs), 2)
        for key in (key for key in cells[0] if key.endswith(("p50_us", "p99_us"))):
            row[key] = round(median(cell[key] for cell in cells))
            if "direct" in names and name != "direct":
                pairs = zip(cells, rounds[load.name, "direct"])
                row[f"added_{key}"] = round(median(a[key] - b[key] for a, b in pairs))
        result["targets"][name] = row
    return result


def table(result):
    lines = []
    for name, load in result["loads"].items():
        rows = load["targets"]
        columns = ["requests_per_s", "cpu_us", "cpu_us_at_rate", "cpu_over_nginx", "cpu_over_envoy",
                   "cpu_over_envoy-gov"]  # fmt: skip
        columns += [key for key in list(rows.values())[-1] if key.startswith("added_")]
        lines += ["", f"{name}: {load['says']} (latency at {load['rate']} per second)"]
        head = ["", *(column.replace("_us", "").replace("_", " ") + (" µs" if "_us" in column else "")
                      for column in columns)]  # fmt: skip
        body = [[target, *("" if row.get(column) is None else f"{row[column]}" for column in columns)]
                for target, row in rows.items()]  # fmt: skip
        widths = [max(len(line[place]) for line in [head, *body]) for place in range(len(head))]
        lines += ["  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in [head, *body]]
    lines.append("")
    for name, told in result["targets"].items():
        rest = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in told.items() if key != "does")
        lines.append(f"{name}: {told['does']}" + (f"; {rest}" if rest else ""))
    machine = result["machine"]
    lines.append(f"load average {machine['load_before']:.1f} to {machine['load_after']:.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
