"""An upstream on loopback whose answers a test chooses, and which remembers what it was asked."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Answer:
    """What is answered: a body in one piece with its length, or pieces as they are, chunked, with trailers."""

    body: bytes | list[bytes] = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    reason: str | None = None
    trailers: dict[str, str] = field(default_factory=dict)


class Upstream:
    """Answers each request by `respond(asked) -> Answer`."""

    def __init__(self, respond):
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                length = int(self.headers.get("content-length") or 0)
                body = self._chunked() if self.headers.get("transfer-encoding") else self.rfile.read(length)
                asked = Asked(self.command, self.path, self.headers.items(), body)
                with upstream._lock:
                    upstream.asked.append(asked)
                self._send(respond(asked))

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def _chunked(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status, answer.reason)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if isinstance(answer.body, bytes):
                    self.send_header("content-length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                    return
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for piece in answer.body:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.flush()
                trailers = "".join(f"{name}: {value}\r\n" for name, value in answer.trailers.items())
                self.wfile.write(f"0\r\n{trailers}\r\n".encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        with self._lock:
            return sum(asked.path == path for asked in self.asked)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
