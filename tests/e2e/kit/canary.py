"""Secrets that must never come out, in every spelling in which they could."""

import base64
import json
import random
import secrets
import string
from urllib.parse import quote, quote_plus

LETTERS = string.ascii_letters + string.digits
# What JSON, URLs, HTML and shells escape; no blank at an end, as files and headers lose it.
AWKWARD = "\"\\/+%&<>'=:@!$*,;~ "


def canary(number: int) -> str:
    """A secret, different each time: letters alone, hexadecimal, base64 with its signs, or everything awkward."""
    core = secrets.token_hex(16)
    match number % 4:
        case 0:
            return "".join(secrets.choice(LETTERS) for _ in range(32))
        case 1:
            return core
        case 2:
            return "+/" + base64.b64encode(secrets.token_bytes(24)).decode() + "/+"
        case _:
            signs = random.sample(AWKWARD, len(AWKWARD))
            return core[:8] + "".join(signs) + core[8:16]


def base64_inner(value: bytes, lead: int, alphabet: bytes) -> str:
    """The part of a base64 text that depends on `value` alone when `lead` bytes (mod 3) stand before it."""
    text = base64.b64encode(b"\0" * lead + value, alphabet).decode()
    whole = (lead + len(value)) * 8 // 6  # digits without a bit of what comes after
    return text[-(-lead * 8 // 6) : whole]


def spellings(value: str) -> dict[str, str]:
    """Every way in which `value` may stand in a text, by name."""
    raw = value.encode()
    found = {
        "raw": value,
        "json": json.dumps(value)[1:-1],
        "json with escaped slashes": json.dumps(value)[1:-1].replace("/", "\\/"),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "\\x": "".join(f"\\x{byte:02x}" for byte in raw),
        "percent": quote(value, safe=""),
        "percent, all": "".join(f"%{byte:02X}" for byte in raw),
        "form": quote_plus(value),
    }
    for lead in range(3):
        found[f"base64 {lead}"] = base64_inner(raw, lead, b"+/")
        found[f"base64url {lead}"] = base64_inner(raw, lead, b"-_")
    return found


def whole_spellings(value: str) -> dict[str, str]:
    """What an upstream would write: the spellings, the base64 ones with something around them."""
    found = {name: text for name, text in spellings(value).items() if not name.startswith("base64")}
    for lead in range(3):
        padded = b"abc"[:lead] + value.encode() + b":xyz"[: 4 - lead]
        found[f"base64 {lead}"] = base64.b64encode(padded).decode()
        found[f"base64url {lead}"] = base64.urlsafe_b64encode(padded).decode()
    return found


def escaped_json(value: str) -> str:
    """A JSON string of nothing but escapes."""
    return '"' + "".join(f"\\u{ord(letter):04x}" for letter in value) + '"'


class Canaries:
    """All of them, and the search for any."""

    def __init__(self, count: int):
        self.values = [canary(number) for number in range(count)]
        self._needles = [
            (number, name, text.encode())
            for number, value in enumerate(self.values)
            for name, text in spellings(value).items()
        ]

    def assert_none(self, where: str, content: bytes | str) -> None:
        content = content.encode() if isinstance(content, str) else content
        found = [f"canary {number} ({name})" for number, name, needle in self._needles if needle in content]
        assert not found, f"{where} holds {', '.join(found[:6])}, {len(found)} in all"
