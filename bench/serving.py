#!/usr/bin/env python3
"""Tokens a second and the wait for the first one when many ask at once: `calliope serve` beside llama.cpp's llama-server,
on the same text model, with the same threads, one after the other in every round.

Each of N clients sends its requests one after the other, each with a prompt of its own of about 128 tokens, and reads 64
tokens of every answer as a stream. The middle round of each figure counts. llama-server is named by a folder that holds
it, as an option or as CALLIOPE_LLAMA_CPP. Needs Python alone; a model file that is missing is written by
tools/reference/random_gguf.py, which needs numpy.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from server_process import Server

HOME = Path(__file__).resolve().parent.parent
PROMPT_CHARACTERS, ANSWER_TOKENS = 110, 64


@dataclass
class Load:
    tokens: int = 0
    seconds: float = 0
    first_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def one(self, port: int, prompt: str) -> None:
        body = {
            "messages": [{"role": "user", "content": prompt}], "max_tokens": ANSWER_TOKENS, "temperature": 0, "stream": True,
            "stream_options": {"include_usage": True}, "ignore_eos": True, "cache_prompt": False,
        }  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        start = time.monotonic()
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {response.read(500).decode(errors='replace')}")
        first, tokens = 0.0, 0
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            deltas = [choice.get("delta") or {} for choice in chunk.get("choices", [])]
            if not first and any(delta.get("content") is not None for delta in deltas):
                first = time.monotonic() - start
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        connection.close()
        with self.lock:
            self.tokens += tokens
            self.first_s.append(first)

    def client(self, port: int, prompts: list[str]) -> None:
        try:
            for prompt in prompts:
                self.one(port, prompt)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            with self.lock:
                self.failures.append(str(error))

    def run(self, port: int, streams: int, requests: int, rng: random.Random) -> None:
        texts = [["".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=PROMPT_CHARACTERS)) for _ in range(requests)] for _ in range(streams)]
        threads = [threading.Thread(target=self.client, args=(port, prompts)) for prompts in texts]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds = time.monotonic() - start
        if self.failures:
            raise SystemExit(f"{len(self.failures)} of {streams} clients failed; the first: {self.failures[0]}")


def p95(values: list[float]) -> float:
    values = sorted(values)
    return values[min(len(values) - 1, int(0.95 * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", metavar="DIR", default=os.environ.get("CALLIOPE_LLAMA_CPP"), help="llama.cpp's programs (CALLIOPE_LLAMA_CPP)")
    parser.add_argument("--models", default=os.environ.get("CALLIOPE_BENCH_MODELS", str(HOME / "build/bench-models")), help="folder of the file (CALLIOPE_BENCH_MODELS; default build/bench-models)")
    parser.add_argument("--model", default="0.6b-q8_0")
    parser.add_argument("--streams", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--requests", type=int, default=2, help="of each client")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    file = Path(options.models) / f"qwen3-{options.model}.gguf"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, HOME / "tools/reference/random_gguf.py", *options.model.split("-"), file], check=True)

    def ours(_: int) -> list[str]:
        return [str(HOME / "build/release/calliope"), "serve", "--model", str(file), "--host", "127.0.0.1", "--port", "{port}", "--threads", str(options.threads)]

    def theirs(streams: int) -> list[str]:
        return [str(Path(options.llama_cpp) / "llama-server"), "-m", str(file), "--host", "127.0.0.1", "--port", "{port}", "-t", str(options.threads),
                "-tb", str(options.threads), "-np", str(streams), "-c", str(512 * streams)]  # fmt: skip

    servers = {"calliope": (ours, "/healthz")}
    if options.llama_cpp and (Path(options.llama_cpp) / "llama-server").is_file():
        servers["llama-server"] = (theirs, "/health")
    else:
        print("without llama-server: not given (--llama-cpp or CALLIOPE_LLAMA_CPP)", file=sys.stderr)
    print("| streams | server | tokens a second | first token, p50 | p95 |\n|---|---|---|---|---|")
    for streams in options.streams:
        results: dict[str, list[Load]] = {}
        for round_ in range(options.rounds):
            for name in sorted(servers, reverse=round_ % 2 == 1):
                command, probe = servers[name]
                with Server(command(streams), probe) as server:
                    rng = random.Random(round_)
                    Load().run(server.port, 1, 1, rng)  # warms up
                    load = Load()
                    load.run(server.port, streams, options.requests, rng)
                    results.setdefault(name, []).append(load)
        speeds = {}
        for name, loads in results.items():
            speeds[name] = statistics.median(load.tokens / load.seconds for load in loads)
            first = statistics.median(statistics.median(load.first_s) for load in loads)
            late = statistics.median(p95(load.first_s) for load in loads)
            print(f"| {streams} | {name} | {speeds[name]:.1f} | {first:.2f} s | {late:.2f} s |", flush=True)
        if len(speeds) == 2:
            print(f"\n{streams} streams: {speeds['calliope'] / speeds['llama-server']:.2f} x llama-server\n", flush=True)


if __name__ == "__main__":
    main()
