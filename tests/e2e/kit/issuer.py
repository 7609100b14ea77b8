"""An issuer whose tokens a test writes itself, signed by openssl: for tokens that no honest issuer gives."""

import base64
import json
import pathlib
import subprocess
import time

from .upstream import Answer, Upstream

AUDIENCE = "keyward"


def _openssl(*args: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=True).stdout


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Issuer:
    """Discovery, one RS256 key, and tokens with any claims."""

    def __init__(self, directory: pathlib.Path):
        self._key = str(directory / "issuer.pem")
        _openssl("genrsa", "-out", self._key, "2048")
        modulus = _openssl("rsa", "-in", self._key, "-noout", "-modulus").split(b"=")[1].strip()
        jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "e": "AQAB", "n": _part(bytes.fromhex(modulus.decode()))}
        pages = {"/jwks": {"keys": [jwk]}}
        self.server = Upstream(lambda asked: Answer(json.dumps(pages[asked.path]).encode()))
        self.url = self.server.url
        pages["/.well-known/openid-configuration"] = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}
        self.config = {"name": "own", "url": self.url, "audiences": [AUDIENCE], "algorithms": ["RS256"]}

    def token(self, subject: str, groups: list[str], seconds: int = 600, **claims) -> str:
        now = int(time.time())
        payload = {
            "iss": self.url, "sub": subject, "aud": AUDIENCE, "client_id": "e2e", "groups": groups,
            "iat": now - 3600, "nbf": now - 3600, "exp": now + seconds, "jti": f"{subject}-{now}", **claims,
        }  # fmt: skip
        head = {"alg": "RS256", "typ": "at+jwt", "kid": "one"}
        signed = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(payload).encode())}"
        signature = _openssl("dgst", "-sha256", "-sign", self._key, stdin=signed.encode())
        return f"{signed}.{_part(signature)}"
