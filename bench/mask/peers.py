#!/usr/bin/env python3
"""Keyward's masker beside other scanners: peers.py [--keyward BINARY] [--corpus FOLDER] [--megabytes N]

In one run, on the same files: the share of the corpus's secrets that each finds (of keyward: masks), findings in benign
text per MB, and MB of benign text per CPU-second of the whole process. A scanner that is not installed is skipped with
a notice, and so is the corpus: both are no part of the project. Writes bench/results/mask.json. (Kingfisher is not in
cargo's registry: the crate of that name is another program.)

A secret counts as found when what was found covers it but for a run of max(3, 20 %) bytes; what a scanner says it
found is looked for in the text it found it in. CPU times are used, so that other work on the machine changes little.

  cargo install ripsecrets --root ~/.cache/keyward-kit/peers
  python3 -m venv ~/.cache/keyward-kit/peers/venv && ~/.cache/keyward-kit/peers/venv/bin/pip install detect-secrets
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile

from benign import ROOTS, texts

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, "../.."))
PEERS = os.path.expanduser("~/.cache/keyward-kit/peers")

DETECT_SECRETS = """
import json, sys
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
with default_settings():
    for path in sys.stdin.read().splitlines():
        for secret in scan_file(path):
            print(json.dumps([path, secret.secret_value]))
"""


def installed(name):
    """Where a program is, or nothing."""
    own = os.path.join(PEERS, "bin", name)
    return own if os.path.exists(own) else shutil.which(name)


def timed(command, stdin=None, found=0):
    """What a command writes, and its CPU seconds. `found`: the code that it ends with when it finds something."""
    with tempfile.TemporaryFile() as out:
        before = os.times()
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL)
        process.communicate(stdin)
        after = os.times()
        if process.returncode not in (0, found):
            sys.exit(f"{command[0]} ended with {process.returncode}")
        out.seek(0)
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return out.read().decode(errors="replace"), cpu


class Keyward:
    """Finds what it would mask, with every shipped detector of credentials."""

    def __init__(self, binary):
        self.binary = binary

    def scan(self, files):
        with tempfile.TemporaryDirectory() as folder:
            report = os.path.join(folder, "report.json")
            command = [self.binary, "mask", "--detect", "credentials", "--format", "text", f"--report={report}", *files]
            _, cpu = timed(command)
            with open(report, encoding="utf-8") as text:
                return None, cpu, json.load(text)["findings"]

    def spans(self, files, texts):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        out, _ = timed([self.binary, "mask", "--detect", "credentials", "--jsonl", "text"], rows.encode())
        found = [json.loads(line)["findings"] for line in out.splitlines()]
        return [[(f["start"], f["end"]) for f in one] for one in found]


class Finder:
    """A scanner that says in which file it found what."""

    def scan(self, files):
        out, cpu = self.run(files)
        return list(self.found(out)), cpu, None

    def spans(self, files, texts):
        places = {path: [] for path in files}
        index = {path: text.encode() for path, text in zip(files, texts)}
        for path, value in self.scan(files)[0]:
            text, value = index.get(path), value.encode()
            at = text.find(value) if text and value else -1
            while at >= 0:
                places[path].append((at, at + len(value)))
                at = text.find(value, at + 1)
        return [places[path] for path in files]


class Ripsecrets(Finder):
    def __init__(self, binary):
        self.binary = binary

    def run(self, files):
        return timed([self.binary, "--only-matching", *files], found=1)

    def found(self, out):
        for line in out.splitlines():
            path, _number, value = line.split(":", 2)
            yield path, value


class Kingfisher(Finder):
    def __init__(self, binary):
        self.binary = binary

    def run(self, files):
        folder = os.path.commonpath(files)
        return timed([self.binary, "scan", folder, "--no-validate", "--no-update-check", "--format", "jsonl", "--git-history", "none"], found=200)

    def found(self, out):
        for line in out.splitlines():
            try:
                finding = json.loads(line)["finding"]
            except (ValueError, KeyError, TypeError):
                continue
            yield finding.get("path", ""), finding.get("snippet", "")


class DetectSecrets(Finder):
    def __init__(self, python):
        self.python = python

    def run(self, files):
        return timed([self.python, "-c", DETECT_SECRETS], "\n".join(files).encode())

    def found(self, out):
        for line in out.splitlines():
            path, value = json.loads(line)
            yield path, value or ""


def scanners(keyward):
    """Those that are installed."""
    yield "keyward", Keyward(keyward)
    for name, kind in (("ripsecrets", Ripsecrets), ("kingfisher", Kingfisher)):
        binary = installed(name)
        if binary:
            yield name, kind(binary)
        else:
            print(f"skipped: {name} is not installed", file=sys.stderr)
    python = os.path.join(PEERS, "venv/bin/python")
    if os.path.exists(python) and subprocess.run([python, "-c", "import detect_secrets"], stderr=subprocess.DEVNULL).returncode == 0:
        yield "detect-secrets", DetectSecrets(python)
    else:
        print("skipped: detect-secrets is not installed", file=sys.stderr)


def benign(folder, megabytes):
    """Copies benign text files, so that every scanner reads the same ones, and makes JSON answers beside them."""
    files, size = [], 0
    for root in ROOTS:
        for source, text in texts(root, megabytes * 1e6 / len(ROOTS)):
            target = os.path.join(folder, f"{len(files):05}{os.path.splitext(source)[1]}")
            with open(target, "w", encoding="utf-8") as file:
                size += file.write(text)
            files.append(target)
    words = "the model answers a question about weather and trains in a few plain sentences".split()
    for n in range(40):
        rows = [
            {"id": f"chatcmpl-{n:04}{m:06}", "created": 1_700_000_000 + m, "index": m, "embedding": [((n * m + k) % 997) / 997 for k in range(16)],
             "message": {"role": "assistant", "content": " ".join(words[(n + m + k) % len(words)] for k in range(60))}}
            for m in range(60)
        ]
        target = os.path.join(folder, f"answer{n:03}.json")
        with open(target, "w", encoding="utf-8") as file:
            size += file.write(json.dumps({"data": rows}))
        files.append(target)
    return files, size / 1e6


def covered(row, spans):
    """Whether the row's secret is found; nothing when the row says of none."""
    core = (row.get("core") or row.get("secret") or "").encode()
    text = row["text"].encode()
    if not core or row.get("must_mask") is False or row["kind"] == "pii" or core not in text:
        return None
    cover = bytearray(len(text))
    for start, end in spans:
        cover[start:end] = b"\1" * (min(end, len(text)) - start)
    limit, at = max(3, len(core) // 5), text.find(core)
    while at >= 0:
        run = 0
        for byte in cover[at : at + len(core)]:
            run = 0 if byte else run + 1
            if run > limit:
                return False
        at = text.find(core, at + len(core))
    return True


def measure(scanner, files, megabytes, rows, texts):
    """One line of the table."""
    found, cpu, count = scanner.scan(files)
    row = {
        "findings_per_mb": round((len(found) if count is None else count) / megabytes, 2),
        "mb_per_cpu_second": round(megabytes / max(cpu, 1e-3), 2),
    }
    if rows:
        outcomes = [covered(one, spans) for one, spans in zip(rows, scanner.spans(texts, [r["text"] for r in rows]))]
        asked = [outcome for outcome in outcomes if outcome is not None]
        row["secrets_found"] = round(sum(asked) / max(len(asked), 1), 4)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(TOP, "target"))
    parser.add_argument("--keyward", default=os.path.join(target, "release/keyward"))
    parser.add_argument("--corpus", default=os.path.join(TOP, "../shared/corpora/dev"))
    parser.add_argument("--megabytes", type=float, default=12)
    parser.add_argument("--out", default=os.path.join(TOP, "bench/results/mask.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("benign", "corpus"):
            os.mkdir(os.path.join(folder, name))
        files, megabytes = benign(os.path.join(folder, "benign"), arguments.megabytes)
        rows, texts = [], []
        positives = os.path.join(arguments.corpus, "positives.jsonl")
        if os.path.exists(positives):
            with open(positives, encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines]
            for n, row in enumerate(rows):
                texts.append(os.path.join(folder, "corpus", f"{n:05}.txt"))
                with open(texts[-1], "w", encoding="utf-8", newline="") as file:
                    file.write(row["text"])
        else:
            print("skipped: no corpus, so the share of secrets is not measured", file=sys.stderr)
        table = {}
        for name, scanner in scanners(arguments.keyward):
            table[name] = measure(scanner, files, megabytes, rows, texts)
            shown = table[name]
            share = f"{shown['secrets_found']:.1%}" if "secrets_found" in shown else "-"
            print(f"{name:16} {share:>8} of secrets  {shown['findings_per_mb']:>9} findings/MB  {shown['mb_per_cpu_second']:>8} MB/CPU-s", flush=True)
    result = {
        "at": datetime.date.today().isoformat(),
        "machine": {"cpus": os.cpu_count(), "arch": platform.machine()},
        "benign_mb": round(megabytes, 1),
        "corpus_secrets": sum(covered(row, []) is not None for row in rows),
        "scanners": table,
    }
    with open(arguments.out, "w", encoding="utf-8") as out:
        json.dump(result, out, indent=2)
        out.write("\n")


main()
