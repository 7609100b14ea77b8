#!/usr/bin/env python3
"""The table of letter pairs in crates/mask/src/detector/random.rs: pairs.py [ROOT ...]

Counts which letter follows which in the words of program sources and manuals (without a root: those that benign.py reads),
each distinct word once for each doubling of how often it occurs, and prints for each letter a row of 26: how much likelier
than by chance each letter follows it, `a` for 2^-4 and each letter behind it for 2^0.3 more.
"""

import collections
import math
import re
import sys

from benign import ROOTS, texts

WORD = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{3,}")
OCCURRENCES_MIN = 3
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main():
    words = collections.Counter()
    for root in sys.argv[1:] or ROOTS:
        for _, text in texts(root):
            words.update(word.lower() for word in WORD.findall(text))
    counts = {first: dict.fromkeys(LETTERS, 0.5) for first in LETTERS}
    for word, times in words.items():
        if times >= OCCURRENCES_MIN and 3 <= len(word) <= 20:
            for first, second in zip(word, word[1:]):
                counts[first][second] += math.log2(1 + times)
    for first in LETTERS:
        total = sum(counts[first].values())
        likelier = (math.log2(counts[first][second] / total * 26) for second in LETTERS)
        print("".join(chr(ord("a") + round((min(3.2, max(-4, value)) + 4) / 0.3)) for value in likelier))


if __name__ == "__main__":
    main()
