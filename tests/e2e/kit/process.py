"""Child processes: output read as it comes, waited for by what they say, ended by their own pid."""

import concurrent.futures
import os
import signal
import subprocess
import threading
import time

# How long anything may take on a busy machine before a test gives up. Nothing is asserted about speed.
PATIENCE = 60.0


def binary() -> str:
    """The program under test: $KEYWARD_BIN, or the development build in the target directory."""
    if named := os.environ.get("KEYWARD_BIN"):
        return named
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.expanduser("~/.cache/keyward-target")
    return os.path.join(target, "debug", "keyward")


def clean_env(**extra: str) -> dict[str, str]:
    """The environment without anything that would steer Keyward or a client."""
    clients = ("OPENAI_", "ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_")
    steering = ("KEYWARD_", *clients, "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return {**kept, "NO_COLOR": "1", "NO_PROXY": "127.0.0.1", **extra}


def keyward(*args: str, env: dict[str, str] | None = None, stdin: bytes = b"") -> subprocess.CompletedProcess:
    """Runs a command to its end; output as bytes."""
    return subprocess.run(
        [binary(), *args], input=stdin, capture_output=True, timeout=PATIENCE, env=clean_env(**(env or {})), check=False
    )


class Child:
    """A process with everything that it wrote so far."""

    def __init__(self, command: list[str], env: dict[str, str], stdin=subprocess.DEVNULL, cwd=None):
        self.process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd
        )
        self._changed = threading.Condition()
        self._written = {"stdout": b"", "stderr": b""}
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._written
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stdout(self) -> bytes:
        return self._written["stdout"]

    @property
    def stderr(self) -> bytes:
        return self._written["stderr"]

    def _read(self, name: str) -> None:
        pipe = getattr(self.process, name)
        while piece := os.read(pipe.fileno(), 65536):
            with self._changed:
                self._written[name] += piece
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def line(self, stream: str, wanted) -> str:
        """The first whole line of `stream` that `wanted` accepts; waits for it."""
        end = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                for line in self._written[stream].split(b"\n")[:-1]:
                    text = line.decode()
                    if wanted(text):
                        return text
                left = end - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise AssertionError(f"{self.process.args} did not say it:\n{self.tail()}")
                self._changed.wait(min(left, 0.2))

    def tail(self) -> str:
        return (self.stdout + self.stderr)[-4000:].decode(errors="replace")

    def stop(self, by: int = signal.SIGTERM) -> int:
        """Asks it to stop, waits, and says how it ended. Killed when it does not stop."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.process.args} did not stop:\n{self.tail()}") from None
        for reader in self._readers:
            reader.join(PATIENCE)
        return code


def eventually(what: str, look):
    """What `look` finds, as soon as it finds anything."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never seen: {what}")


class Background:
    """A call in a thread of its own, which does not outlive the tests."""

    def __init__(self, call, *args):
        self._done: concurrent.futures.Future = concurrent.futures.Future()
        threading.Thread(target=self._run, args=(call, args), daemon=True).start()

    def _run(self, call, args) -> None:
        try:
            self._done.set_result(call(*args))
        except BaseException as error:  # it belongs to whoever asks for the result
            self._done.set_exception(error)

    def result(self):
        """What the call returned or raised, once it has."""
        return self._done.result(PATIENCE)
