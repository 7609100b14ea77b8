#!/usr/bin/env python3
"""False findings per megabyte of benign text: benign.py BINARY [--show DETECTOR] [ROOT ...]

Reads text files below each root (without one: the Rust toolchain, crate sources, the system's docs, headers and script
libraries, up to 14 MB of each, and what made.py makes: answers of JSON APIs, embeddings, images in base64, logs, lock
files), masks each file as one text with `keyward mask --jsonl text`, and counts findings by detector. Mail addresses in
such files are real, so that they are counted apart.
"""

import collections
import itertools
import json
import os
import subprocess
import sys
import tempfile

from made import made

ROOTS = ["~/.rustup", "~/.cargo/registry/src", "/usr/share/doc", "/usr/lib/python3", "/usr/share/perl", "/usr/include"]
ENDINGS = tuple(".rs .toml .md .lock .txt .json .yaml .yml .py .h .pl .pm .html .c .cfg .js .css .sh .log".split())
ROOT_BYTES_MAX = 14_000_000
FILE_BYTES_MAX = 400_000


def texts(root, bytes_max=ROOT_BYTES_MAX):
    """Paths and texts below a root, in a fixed order, up to some bytes and the rest of the text that passes them."""
    total = 0
    for folder, folders, names in os.walk(os.path.expanduser(root)):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not name.endswith(ENDINGS) or os.path.islink(path) or os.path.getsize(path) > FILE_BYTES_MAX:
                continue
            try:
                with open(path, encoding="utf-8") as file:
                    text = file.read()
            except (OSError, UnicodeDecodeError):
                continue
            yield path, text
            total += len(text.encode())
            if total > bytes_max:
                return


def personal_detectors():
    """Ids of the detectors of personal data."""
    pack = os.path.join(os.path.dirname(__file__), "../../detectors/pii.yaml")
    with open(pack, encoding="utf-8") as lines:
        return {line.split("id:")[1].strip() for line in lines if line.startswith("  - id:")}


def main():
    arguments = sys.argv[1:]
    if not arguments:
        sys.exit(__doc__)
    binary, *roots = arguments
    show = None
    if "--show" in roots:
        at = roots.index("--show")
        show = roots[at + 1]
        del roots[at : at + 2]
    size = 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as rows:
        sources = [texts(root) for root in roots] if roots else [made(), *map(texts, ROOTS)]
        for path, text in itertools.chain.from_iterable(sources):
            size += len(text.encode())
            rows.write(json.dumps({"path": path, "text": text}) + "\n")
        rows.seek(0)
        personal = personal_detectors()
        masked = subprocess.Popen([binary, "mask", "--jsonl", "text"], stdin=rows, stdout=subprocess.PIPE)
        counts = collections.Counter()
        for line in masked.stdout:
            row = json.loads(line)
            raw = row["text"].encode()
            for finding in row["findings"]:
                counts[finding["detector"]] += 1
                if show == finding["detector"]:
                    start, end = finding["start"], finding["end"]
                    print(row["path"], repr(raw[max(0, start - 60) : end + 15].decode(errors="replace")))
        if masked.wait() != 0:
            sys.exit("mask failed")
    mail = counts.pop("email_address", 0)
    for detector, count in counts.most_common():
        print(f"{detector:40s} {count:6d}{'  personal data' if detector in personal else ''}")
    megabytes = max(size, 1) / 1e6
    about_people = sum(count for detector, count in counts.items() if detector in personal)
    credentials = sum(counts.values()) - about_people
    print(
        f"{megabytes:.1f} MB: {credentials / megabytes:.2f} credentials and {about_people / megabytes:.2f} personal data"
        f" found per MB, and {mail} mail addresses"
    )


if __name__ == "__main__":
    main()
