"""Runs transformers and `calliope trace` on the same inputs and prints the relative error of every tensor.

usage: python compare.py MODEL [--calliope PROGRAM] [--prompts FILE | --request CHAT.json] [--max-tokens N] [--speak]

MODEL is any checkpoint folder. The conversations are those of tests/fixtures/prompts.json (see inputs.prompts), or one
chat-completions body with data: URLs. Exit status 1 when anything differs by more than the project allows.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import inputs
import reference

ROOT = Path(__file__).resolve().parents[2]
TIE = 1e-4  # the reference's two best this close may come out in either order


def own_voice(model) -> str:
    """The voice Calliope speaks with when none is asked for (Talker::speaker)."""
    names = sorted(model.config.talker_config.speaker_id)
    return next((name for name in ("default", "ethan") if name in names), names[0])


def limit(name: str) -> float:
    return 1e-3 if name in ("logits", "waveform") else 1e-4


def error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    if actual.shape != expected.shape or not actual.isfinite().all():
        return float("inf")
    size = expected.double().norm()
    return float((actual.double() - expected.double()).norm() / size) if size > 0 else float(actual.double().norm())


def same_choices(actual: torch.Tensor, expected: torch.Tensor, margins: torch.Tensor) -> tuple[bool, str]:
    """Equal up to the first choice that the reference found as good as a tie."""
    actual, expected, margins = actual.flatten(), expected.flatten(), margins.flatten()
    for i in range(min(len(actual), len(expected))):
        if actual[i] != expected[i]:
            return bool(margins[i] < TIE), f"differs at {i} of {len(expected)}; the reference's two best are {float(margins[i]):.1e} apart"
    return len(actual) == len(expected), f"{len(expected)} equal" if len(actual) == len(expected) else f"{len(actual)} instead of {len(expected)}"


def from_request(path: Path, processor: reference.Processor) -> dict[str, torch.Tensor]:
    """A chat-completions body with text, data: URLs of pictures, and 16 kHz mono WAV sounds."""
    import wave

    turns, pictures, sounds = [], [], []
    for message in json.loads(path.read_text())["messages"]:
        content = message["content"]
        parts = []
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                parts.append({"text": part["text"]})
            elif part["type"] == "image_url":
                data = base64.b64decode(part["image_url"]["url"].split(",", 1)[1])
                pictures.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
                parts.append({"image": None})
            elif part["type"] == "input_audio":
                with wave.open(io.BytesIO(base64.b64decode(part["input_audio"]["data"]))) as file:
                    if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (16000, 1, 2):
                        sys.exit("sounds must be WAV, 16 kHz, mono, 16 bits: anything else would compare resamplers")
                    sounds.append(np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / np.float32(32768))
                parts.append({"audio": None})
        turns.append({"role": {"developer": "system"}.get(message["role"], message["role"]), "parts": parts})
    media = (processor.sounds(sounds) if sounds else {}) | (processor.pictures(pictures) if pictures else {})
    return processor.expand(processor.tokenizer.encode(processor.text(turns), add_special_tokens=False).ids, media) | media


def eos_of(folder: Path) -> list[int]:
    config = json.loads((folder / "generation_config.json").read_text()) if (folder / "generation_config.json").exists() else {}
    eos = config.get("eos_token_id", json.loads((folder / "config.json").read_text()).get("im_end_token_id"))
    return eos if isinstance(eos, list) else [eos]


def talker_settings(folder: Path) -> tuple[int, float]:
    config = json.loads((folder / "generation_config.json").read_text()) if (folder / "generation_config.json").exists() else {}
    return config.get("talker_max_new_tokens", 4096), config.get("talker_repetition_penalty", 1.05)


class Comparison:
    def __init__(self, args: argparse.Namespace):
        self.args, self.worst, self.good = args, {}, True
        self.model, self.processor = reference.load(args.model), reference.Processor(args.model)

    def judge(self, prompt: str, name: str, good: bool, text: str) -> None:
        if not good or self.args.verbose:
            print(f"{'  ' if good else '! '}{prompt:12} {name:18} {text}")
        self.good &= good

    def run(self, prompt: str, batch: dict[str, torch.Tensor], request: Path | None = None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            given, out = Path(folder, "in.safetensors"), Path(folder, "out.safetensors")
            save_file({k: v.contiguous() for k, v in batch.items()}, given)
            command = [self.args.calliope, "trace", str(self.args.model), "--out", str(out), "--max-tokens", str(self.args.max_tokens)]
            command += ["--request", str(request)] if request else ["--inputs", str(given)]
            subprocess.run(command + (["--speak"] if self.args.speak else []), check=True, stdout=subprocess.DEVNULL)
            actual = load_file(out)
        expected = reference.trace(self.model, batch)
        for name, tensor in expected.items():
            if name not in actual:
                self.judge(prompt, name, False, "is missing")
            elif not tensor.is_floating_point():
                self.judge(prompt, name, torch.equal(actual[name], tensor.long()), "equal" if torch.equal(actual[name], tensor.long()) else "differs")
            else:
                e = error(actual[name], tensor)
                self.worst[name.split(".")[0]] = max(e, self.worst.get(name.split(".")[0], 0))
                self.judge(prompt, name, e <= limit(name), f"{e:.1e}")
        if self.args.max_tokens:
            ids, margins = reference.greedy(self.model, batch, self.args.max_tokens, eos_of(self.args.model))
            self.judge(prompt, "generated_ids", *same_choices(actual["generated_ids"], ids, margins))
        # transformers fails on an answer without a word in it.
        if self.args.speak and self.args.max_tokens and int(ids.flatten()[0]) not in eos_of(self.args.model):
            frames, penalty = talker_settings(self.args.model)
            ids, codes, margins, wave = reference.speak(self.model, batch, self.args.max_tokens, frames - 1, eos_of(self.args.model), penalty,
                                                          own_voice(self.model))
            self.judge(prompt, "codes", *same_choices(actual["codes"], codes, margins))
            if torch.equal(actual["codes"], codes):
                e = error(actual["waveform"], wave)
                self.worst["waveform"] = max(e, self.worst.get("waveform", 0))
                self.judge(prompt, "waveform", e <= limit("waveform"), f"{e:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--calliope", default=str(ROOT / "build" / "release" / "calliope"))
    parser.add_argument("--prompts", type=Path, default=ROOT / "tests" / "fixtures" / "prompts.json")
    parser.add_argument("--request", type=Path)
    parser.add_argument("--max-tokens", type=int, default=0)
    parser.add_argument("--speak", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="print every tensor, not only what differs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    comparison = Comparison(args)
    if args.request:
        comparison.run(args.request.name, from_request(args.request, comparison.processor), args.request)
    else:
        for i, turns in enumerate(inputs.prompts(args.prompts)):
            comparison.run(f"prompt {i}", comparison.processor(turns))
    for name, worst in comparison.worst.items():
        print(f"{name:18} largest relative error {worst:.1e} (allowed {limit(name):.0e})")
    print("parity holds" if comparison.good else "parity does not hold")
    sys.exit(not comparison.good)


if __name__ == "__main__":
    main()
