#!/usr/bin/env python3
"""How long calliope takes from the end of a spoken question to the first sample of its answer, how soon `calliope serve`
is ready, and what it takes when idle.

The question is three seconds long: something the model says itself, with silence before it. Every run sends it with other
noise of an amplitude of 1 in 32768, so that no cache knows it; it goes to a running server in one streamed request, and
the clock runs from before it is sent until the first samples have arrived and are decoded. Needs Python alone.
"""

from __future__ import annotations

import argparse
import array
import base64
import io
import random
import statistics
import time
import wave
from pathlib import Path

from server_process import Server, stream_chat

HOME = Path(__file__).resolve().parent.parent
RATE = 24000


def spoken(port: int, text: str) -> array.array:
    """The model's own voice, answering `text`."""
    samples = array.array("h")
    body = {"messages": [{"role": "user", "content": text}], "modalities": ["text", "audio"], "audio": {"voice": "default", "format": "pcm16"}, "temperature": 0}
    for delta in stream_chat(port, body):
        samples.frombytes(delta.audio)
    return samples


def question(voice: array.array, seconds: float, rng: random.Random) -> str:
    """A WAV file of exactly that length, in base64."""
    count = int(seconds * RATE)
    samples = (array.array("h", bytes(2 * count)) + voice)[-count:]
    noisy = array.array("h", (max(-32768, min(32767, value + rng.choice((-1, 0, 1)))) for value in samples))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(noisy.tobytes())
    return base64.b64encode(file.getvalue()).decode()


def ask(port: int, data: str) -> tuple[float, float]:
    """Milliseconds to the first text and to the first sample."""
    content = [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]
    body = {"messages": [{"role": "user", "content": content}], "modalities": ["text", "audio"], "audio": {"voice": "default", "format": "pcm16"}}
    text = sound = 0.0
    for delta in stream_chat(port, body):
        if delta.text and not text:
            text = delta.at_s
        if delta.audio and not sound:
            sound = delta.at_s
    return 1000 * text, 1000 * sound


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench question", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(HOME / "models/calliope-nano"))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of the question")
    parser.add_argument("--idle-seconds", type=float, default=10.0)
    options = parser.parse_args()
    command = [str(HOME / "build/release/calliope"), "serve", "--model", options.model, "--host", "127.0.0.1", "--port", "{port}"]
    starts = []
    for _ in range(4):
        with Server(command, "/healthz") as server:
            starts.append(server.ready_s)
    with Server(command, "/healthz") as server:
        starts.append(server.ready_s)
        time.sleep(1)
        before = server.cpu_s()
        time.sleep(options.idle_seconds)
        idle = server.cpu_s() - before
        rng = random.Random(1)
        voice = spoken(server.port, "What is the capital of France?")
        ask(server.port, question(voice, options.seconds, rng))  # warms up
        times = [ask(server.port, question(voice, options.seconds, rng)) for _ in range(options.runs)]
        before = server.cpu_s()
        time.sleep(options.idle_seconds)
        idle_after = server.cpu_s() - before
    print(f"ready after {1000 * statistics.median(starts):.0f} ms (median of {len(starts)} starts)")
    print(f"idle: {1000 * idle:.0f} ms of processor time in {options.idle_seconds:.0f} s; after the questions {1000 * idle_after:.0f} ms")
    for name, values in (("first text", [t for t, _ in times if t]), ("first sample", [s for _, s in times if s])):
        values.sort()
        if not values:
            print(f"{name}: none came")
            continue
        print(f"{name}: p50 {statistics.median(values):.0f} ms, p95 {values[min(len(values) - 1, int(0.95 * len(values)))]:.0f} ms, "
              f"from {values[0]:.0f} to {values[-1]:.0f} ms ({len(values)} answers to {options.seconds:.0f} s of speech)")  # fmt: skip


if __name__ == "__main__":
    main()
