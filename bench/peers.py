#!/usr/bin/env python3
"""Times calliope beside llama.cpp and ik_llama.cpp on one and the same file, in one run, round by round in turn.

Each round runs every program once per line of the table, in another order than the round before, with the same threads;
each program warms up by itself. The middle round of each figure counts. The machine's read bandwidth and 8-bit peak are
measured in every round, too. Needs Python alone; a model file that is missing is written with random weights by
tools/reference/random_gguf.py, which needs numpy.

The peers are folders that hold their programs (llama-bench, llama-batched-bench), as options or environment variables.
What is not given is left out of the table. To build them, in their checkouts:

    cmake -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON
    cmake --build build -j --target llama-bench llama-batched-bench
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
MODELS = ("0.6b-q8_0", "0.6b-q4_0", "1.7b-q8_0", "1.7b-q4_0")
OURS = "calliope"


@dataclass
class Line:
    """One line of the table: tokens a second of every program, a value a round."""

    model: str
    what: str  # prefill, decode, decode 8
    tokens: dict[str, list[float]] = field(default_factory=dict)
    weight_bytes: float = 0  # that one pass reads
    multiply_adds: float = 0  # a token


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.missing: list[str] = []
        self.peers: dict[str, Path] = {}
        for name, given, variable in (
            ("llama.cpp", options.llama_cpp, "CALLIOPE_LLAMA_CPP"),
            ("ik_llama.cpp", options.ik_llama_cpp, "CALLIOPE_IK_LLAMA_CPP"),
        ):
            folder = given or os.environ.get(variable)
            if not folder:
                self.missing.append(f"{name}: not given (--{name.replace('.', '-').replace('_', '-')} or {variable})")
            elif not (Path(folder) / "llama-bench").is_file():
                self.missing.append(f"{name}: no llama-bench in {folder}")
            else:
                self.peers[name] = Path(folder)

    def run(self, *command: object) -> str:
        words = [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)}\nended with {done.returncode}:\n{(done.stderr or done.stdout)[-2000:]}")
        return done.stdout

    def machine(self) -> dict[str, float] | None:
        program = HOME / "build/release/calliope_kernel_bench"
        if not program.is_file():
            return None
        done = subprocess.run([program, "--machine", str(self.options.threads)], capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def ours(self, line: Line, file: Path) -> float:
        batch, prompt, generated = self.counts(line.what)
        out = json.loads(
            self.run(
                HOME / "build/release/calliope", "bench", file, "--prompt-tokens", prompt, "--gen-tokens", generated,
                "--batch", batch, "--threads", self.options.threads, "--repeat", 1, "--json",
            )
        )  # fmt: skip
        line.weight_bytes, line.multiply_adds = out["weight_bytes"], out["multiply_adds"]
        return out["prefill_tokens_per_s" if line.what == "prefill" else "decode_tokens_per_s"]

    def peer(self, name: str, line: Line, file: Path) -> float | None:
        batch, prompt, generated = self.counts(line.what)
        threads, folder = self.options.threads, self.peers[name]
        if batch == 1:
            flags = self.options.ik_llama_cpp_flags if name == "ik_llama.cpp" else self.options.llama_cpp_flags
            counts = ("-p", prompt, "-n", 0) if line.what == "prefill" else ("-p", 0, "-n", generated)
            out = self.run(folder / "llama-bench", "-m", file, "-t", threads, "-r", 1, "-o", "json", *counts, *flags.split())
            return json.loads(out[out.index("[") :])[-1]["avg_ts"]
        if not (folder / "llama-batched-bench").is_file():
            return None
        out = self.run(
            folder / "llama-batched-bench", "-m", file, "-c", batch * (prompt + generated), "-npp", prompt, "-ntg", generated,
            "-npl", batch, "-t", threads, "-tb", threads,
        )  # fmt: skip
        rows = [row.split("|") for row in out.splitlines() if re.match(r"\|\s*\d+ \|", row)]
        return float(rows[-1][8]) if rows else None

    def counts(self, what: str) -> tuple[int, int, int]:
        """Sequences, prompt tokens and tokens to generate."""
        return {"prefill": (1, 512, 1), "decode": (1, 1, 64), "decode 8": (8, 128, 64)}[what]

    def file(self, model: str) -> Path:
        path = Path(self.options.models) / f"qwen3-{model}.gguf"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            print(f"writing {path}", file=sys.stderr)
            self.run(sys.executable, HOME / "tools/reference/random_gguf.py", *model.split("-"), unfinished)
            unfinished.rename(path)
        return path

    def lines(self) -> list[Line]:
        lines = []
        for model in self.options.only or MODELS:
            lines += [Line(model, "prefill"), Line(model, "decode")]
            if model == "0.6b-q8_0":
                lines.append(Line(model, "decode 8"))
        return [line for line in lines if line.what in self.options.what]

    def measure(self) -> tuple[list[Line], dict[str, list[float]]]:
        lines = self.lines()
        machine: dict[str, list[float]] = {"read_bytes_per_s": [], "int8_ops_per_s": []}
        files = {line.model: self.file(line.model) for line in lines}
        for round_ in range(self.options.rounds):
            for line in lines:
                names = [OURS, *self.peers]
                for i in range(len(names)):
                    name = names[(i + round_) % len(names)]
                    file = files[line.model]
                    speed = self.ours(line, file) if name == OURS else self.peer(name, line, file)
                    if speed is not None:
                        line.tokens.setdefault(name, []).append(speed)
                for key, value in (self.machine() or {}).items():
                    machine[key].append(value)
            print(f"round {round_ + 1} of {self.options.rounds}", file=sys.stderr)
        return lines, machine


def table(lines: list[Line], machine: dict[str, list[float]], peers: list[str]) -> str:
    bandwidth = statistics.median(machine["read_bytes_per_s"]) if machine["read_bytes_per_s"] else 0
    peak = statistics.median(machine["int8_ops_per_s"]) if machine["int8_ops_per_s"] else 0
    out = [["model", "tokens a second", OURS, *peers, *(f"x {peer}" for peer in peers), "of what the machine can do"]]
    for line in lines:
        speed = {name: statistics.median(values) for name, values in line.tokens.items()}
        ours = speed[OURS]
        share = ""
        if line.what != "prefill" and bandwidth:
            passes = ours / (8 if line.what == "decode 8" else 1)
            share = f"{100 * passes * line.weight_bytes / bandwidth:.0f} % of read bandwidth"
        elif line.what == "prefill" and peak:
            share = f"{100 * ours * 2 * line.multiply_adds / peak:.0f} % of int8 peak"
        what = {"prefill": "prefill 512", "decode": "decode, one", "decode 8": "decode, 8 together"}[line.what]
        out.append(
            [line.model, what, f"{ours:.1f}"]
            + [f"{speed[peer]:.1f}" if peer in speed else "-" for peer in peers]
            + [f"{ours / speed[peer]:.2f}" if peer in speed else "-" for peer in peers]
            + [share]
        )
    rows = ["| " + " | ".join(row) + " |" for row in out]
    rows.insert(1, "|---|---|" + "---|" * (len(out[0]) - 2))
    if bandwidth:
        rows.append(f"\nreads {bandwidth * 1e-9:.1f} GB/s, int8 peak {peak * 1e-9:.0f} GOPS (medians of {len(machine['read_bytes_per_s'])})")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", metavar="DIR", help="llama.cpp's programs (CALLIOPE_LLAMA_CPP)")
    parser.add_argument("--ik-llama-cpp", metavar="DIR", help="ik_llama.cpp's programs (CALLIOPE_IK_LLAMA_CPP)")
    parser.add_argument("--llama-cpp-flags", default="", help="more options for its llama-bench")
    parser.add_argument("--ik-llama-cpp-flags", default="", help="more options for its llama-bench")
    parser.add_argument("--models", default=os.environ.get("CALLIOPE_BENCH_MODELS", str(HOME / "build/bench-models")), help="folder of the files, written when missing (CALLIOPE_BENCH_MODELS; default build/bench-models)")
    parser.add_argument("--only", nargs="+", choices=MODELS, help="these models alone")
    parser.add_argument("--what", nargs="+", choices=("prefill", "decode", "decode 8"), default=("prefill", "decode", "decode 8"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="every value instead of the table")
    options = parser.parse_args()
    bench = Bench(options)
    for line in bench.missing:
        print(f"without {line}", file=sys.stderr)
    lines, machine = bench.measure()
    if options.json:
        print(json.dumps({"lines": [vars(line) for line in lines], "machine": machine, "threads": options.threads}))
    else:
        print(table(lines, machine, list(bench.peers)))


if __name__ == "__main__":
    main()
