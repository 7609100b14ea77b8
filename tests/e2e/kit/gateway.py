"""The demo, and gateways with a configuration of their own."""

import json
import os
import pathlib
import signal

import httpx

from .process import PATIENCE, Child, binary, clean_env, keyward


class Cli:
    """The command line as one person, against one gateway."""

    def __init__(self, admin_url: str, token: str):
        self._env = {"KEYWARD_SERVER": admin_url, "KEYWARD_TOKEN": token}

    def run(self, *args: str):
        """The command as it ended, whatever its code."""
        return keyward(*args, env=self._env)

    def text(self, *args: str) -> str:
        done = self.run(*args)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def json(self, *args: str):
        return json.loads(self.text(*args, "-o", "json"))

    def pending(self) -> list[dict]:
        """Approvals that wait for this person."""
        return [row for row in self.json("approvals", "ls") if row["state"] == "pending" and row["may_i_decide"]]


class Api:
    """The admin API as one person: for tests that ask often, where a process for each question takes long."""

    def __init__(self, admin_url: str, token: str):
        headers = {"authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=admin_url, headers=headers, timeout=PATIENCE)

    def approvals(self, state: str = "all") -> list[dict]:
        """The newest 200."""
        answer = self._http.get("/api/v1/approvals", params={"state": state, "limit": 200})
        return answer.raise_for_status().json()["approvals"]

    def decide(self, approval: str, verb: str, reason: str = "") -> httpx.Response:
        return self._http.post(f"/api/v1/approvals/{approval}/{verb}", json={"reason": reason})

    def metric(self, name: str) -> int:
        """The value of a metric; 0 while there is none."""
        lines = self._http.get("/metrics").text.splitlines()
        return sum(int(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


class Demo:
    """`keyward demo --json`: the gateway, an issuer, and a model server that leaks."""

    def __init__(self, **env: str):
        self.child = Child([binary(), "demo", "--json"], clean_env(**env))
        self.facts = json.loads(self.child.line("stdout", lambda line: line.startswith("{")))
        self.data_url = self.facts["data_url"]
        self.admin_url = self.facts["admin_url"]
        self.tokens = self.facts["tokens"]

    def base_url(self, connection: str) -> str:
        return self.facts["connections"][connection]["base_url"]

    def cli(self, person: str) -> Cli:
        return Cli(self.admin_url, self.tokens[person])


class Gateway:
    """`keyward serve` with a configuration of its own, on ports that the kernel chooses."""

    def __init__(self, directory: pathlib.Path, config: dict, env: dict[str, str] | None = None):
        self.directory = directory
        self.file = directory / "keyward.yaml"
        key = directory / "master.key"
        key.touch(mode=0o600)
        key.write_text(os.urandom(32).hex())
        loopback = {"address": "127.0.0.1:0"}
        complete = {
            "data_dir": str(directory / "data"),
            "master_key": f"file://{key}",
            "listen": {"data": loopback, "admin": loopback},
            "policies": ["builtin:base"],
            "journal": {"min_free_bytes": "16MiB"},
            "drain": "2s",
            **config,
        }
        # JSON is YAML.
        self.file.write_text(json.dumps(complete, indent=1))
        self.env = env or {}
        self.child = None
        self.data_url = self.admin_url = ""

    def put_secret(self, name: str, value: str) -> None:
        done = keyward("secrets", "put", name, "--config", str(self.file), stdin=value.encode(), env=self.env)
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> "Gateway":
        self.child = Child([binary(), "serve", "--config", str(self.file)], clean_env(**self.env), cwd=self.directory)
        ready = json.loads(self.child.line("stderr", lambda line: '"keyward serves"' in line))
        self.data_url = f"http://{ready['data']}"
        self.admin_url = f"http://{ready['admin']}"
        return self

    def cli(self, token: str) -> Cli:
        return Cli(self.admin_url, token)

    def api(self, token: str) -> Api:
        return Api(self.admin_url, token)

    def kill(self) -> None:
        """Without a chance to say or keep anything."""
        assert self.child.stop(signal.SIGKILL) == -signal.SIGKILL
        self.child = None

    def stop(self) -> None:
        if self.child is not None:
            code = self.child.stop()
            assert code == 0, f"ended with {code}:\n{self.child.tail()}"
            self.child = None
