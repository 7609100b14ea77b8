"""Fixtures of the end-to-end tests: the real binary, started as a user would start it."""

import os
import pathlib
import shutil
import subprocess

import pytest
from kit.gateway import Demo, Gateway
from kit.issuer import Issuer
from kit.process import binary
from kit.upstream import Upstream

# A client that finds a proxy or a key in the environment would not test what it should.
for _name in [n for n in os.environ if n.startswith(("OPENAI_", "ANTHROPIC_")) or n.lower().endswith("_proxy")]:
    del os.environ[_name]


def pytest_configure():
    if not os.access(binary(), os.X_OK):
        pytest.exit(f"{binary()} is not there: cargo build -p keyward, or set KEYWARD_BIN", returncode=2)


@pytest.fixture(scope="session")
def demo():
    """One demo for all tests that only look; its issuer vouches for the callers of other gateways too."""
    demo = Demo()
    yield demo
    demo.child.stop()


@pytest.fixture(scope="session")
def issuer(demo):
    """The demo's issuer as a configuration names it."""
    return {"name": "demo", "url": demo.facts["issuer"], "audiences": ["keyward"], "algorithms": ["ES256"]}


@pytest.fixture(scope="session")
def own_issuer(tmp_path_factory):
    """An issuer for tokens that the demo's does not give."""
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    yield issuer
    issuer.server.stop()


@pytest.fixture(scope="module")
def gateway_of(tmp_path_factory):
    """Makes gateways by configuration; all are stopped at the end of the module."""
    made = []

    def make(config: dict, env: dict[str, str] | None = None, secrets: dict[str, str] | None = None) -> Gateway:
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), config, env)
        made.append(gateway)
        for name, value in (secrets or {}).items():
            gateway.put_secret(name, value)
        return gateway.start()

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture(scope="module")
def upstream_of():
    """Makes upstreams by what they answer; all are stopped at the end of the module."""
    made = []

    def make(respond) -> Upstream:
        made.append(Upstream(respond))
        return made[-1]

    yield make
    for upstream in made:
        upstream.stop()


@pytest.fixture(scope="session")
def curl():
    """Runs curl; gives status, headers (lower-case names) and body."""
    program = shutil.which("curl")
    if program is None:
        pytest.fail("curl is not installed")

    def run(url: str, *args: str):
        command = [program, "--silent", "--show-error", "--include", "--no-buffer", "--max-time", "60", *args, url]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        return int(first.split()[1]), headers, body

    return run


REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    return REPOSITORY
