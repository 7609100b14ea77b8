"""Callers and a model server on raw sockets in one event loop, so that both ends of a call are read off one clock."""

import asyncio
import contextlib
import re
import time

MODEL = re.compile(rb'"model": ?"([^"]+)"')
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
WHOLE = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}'
EVENT = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'


def split(received: bytearray):
    """The first whole message of what was received, and how long it is; none while it is not there."""
    head = received.find(b"\r\n\r\n") + 4
    if head < 4:
        return None
    if CHUNKED.search(received, 0, head):
        end = received.find(b"0\r\n\r\n", head) + 5
        return (received[:head], received[head:end], end) if end >= 5 else None
    length = LENGTH.search(received, 0, head)
    end = head + (int(length.group(1)) if length else 0)
    return (received[:head], received[head:end], end) if len(received) >= end else None


class Call(asyncio.Protocol):
    """One call on a connection of its own, which closes after the answer."""

    def __init__(self, request: bytes):
        self._request, self._received = request, bytearray()
        self.began: asyncio.Future = asyncio.get_running_loop().create_future()
        # Status, or None when the connection closed without an answer.
        self.ended: asyncio.Future = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.sent = time.perf_counter()
        transport.write(self._request)

    def data_received(self, data):
        self._received += data
        if b"data: " in self._received and not self.began.done():
            self.began.set_result(None)
        if message := split(self._received):
            self.ended.set_result(int(message[0][9:12]))
            self.transport.close()

    def connection_lost(self, error):
        for future in (self.began, self.ended):
            if not future.done():
                future.set_result(None)


async def call(address, request: bytes) -> Call:
    _, made = await asyncio.get_running_loop().create_connection(lambda: Call(request), *address)
    return made


class Line:
    """Requests one after the other on a connection that stays open."""

    def __init__(self, address):
        self._address, self._reader, self._writer = address, None, None

    async def ask(self, request: bytes):
        """Status and body, when it was sent and when it was answered."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._address, limit=1 << 24)
        sent = time.perf_counter()
        self._writer.write(request)
        received = bytearray()
        while not (message := split(received)):
            piece = await self._reader.read(1 << 20)
            assert piece, "the connection closed"
            received += piece
        head, body, _ = message
        return int(head[9:12]), bytes(body), sent, time.perf_counter()


class Model:
    """A model server: notes when each model's call arrived, answers at once, or streams until it is stopped."""

    def __init__(self):
        self.arrived: dict[str, float] = {}
        self.runs: dict[str, int] = {}
        self.streams: list[asyncio.Transport] = []

    async def start(self):
        model = self

        class Serving(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport, self.received = transport, bytearray()

            def data_received(self, data):
                at = time.perf_counter()
                self.received += data
                while message := split(self.received):
                    del self.received[: message[2]]
                    model.answer(self.transport, message[1], at)

        self._server = await asyncio.get_running_loop().create_server(Serving, "127.0.0.1", 0, backlog=4096)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    def answer(self, transport, body, at):
        name = MODEL.search(body).group(1).decode()
        self.arrived[name] = at
        self.runs[name] = self.runs.get(name, 0) + 1
        if name.startswith("stream"):
            transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            self.streams.append(transport)
            self.event(transport)
        else:
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(WHOLE)}\r\n\r\n"
            transport.write(head.encode() + WHOLE)

    def event(self, transport):
        transport.write(b"%x\r\n%s\r\n" % (len(EVENT), EVENT))

    async def stream(self, seconds: float, every: float):
        """An event on each open stream, now and then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for transport in self.streams:
                self.event(transport)
            await asyncio.sleep(every)

    def end_streams(self):
        for transport in self.streams:
            transport.write(b"0\r\n\r\n")
        self.streams.clear()

    async def stop(self):
        self._server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), 1)
