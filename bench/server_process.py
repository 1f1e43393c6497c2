"""A server on a free port of this machine, and streamed chat requests to it. Python alone."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """Starts `command` with {port} filled in; ready_s tells how long until GET `probe` gave 200."""

    def __init__(self, command: list[str], probe: str, limit_s: float = 300) -> None:
        self.port = free_port()
        self.log = tempfile.TemporaryFile("w+")
        start = time.monotonic()
        words = [word.replace("{port}", str(self.port)) for word in command]
        self.process = subprocess.Popen(words, stdout=self.log, stderr=subprocess.STDOUT)
        while not self._answers(probe):
            if self.process.poll() is not None or time.monotonic() - start > limit_s:
                self.log.seek(0)
                raise SystemExit(f"{' '.join(words)} does not serve:\n{self.log.read()[-2000:]}")
            time.sleep(0.005)
        self.ready_s = time.monotonic() - start

    def _answers(self, path: str) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False

    def cpu_s(self) -> float:
        """Seconds of processor time so far (Linux)."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


@dataclass
class Delta:
    at_s: float  # since the request was sent
    text: str
    audio: bytes


def stream_chat(port: int, body: dict) -> Iterator[Delta]:
    """The pieces of a streamed answer as they come."""
    data = json.dumps(body | {"stream": True}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    start = time.monotonic()
    connection.request("POST", "/v1/chat/completions", data, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"the server answers {response.status}: {response.read(2000).decode(errors='replace')}")
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        for choice in json.loads(line[6:]).get("choices", []):
            delta = choice.get("delta") or {}
            audio = delta.get("audio") or {}
            text = delta.get("content") or delta.get("reasoning_content") or audio.get("transcript") or ""
            yield Delta(time.monotonic() - start, text, base64.b64decode(audio.get("data") or b""))
    connection.close()
