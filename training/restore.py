"""Turns a checkpoint folder back into the files that training goes on from, without the optimizers' state.

usage: python restore.py --model models/calliope-nano --understanding DIR --voice DIR --assets DIR
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "voice")]

import config as voice_config  # noqa: E402
from code2wav import Code2Wav  # noqa: E402
from talker import Talker  # noqa: E402
from understanding import tokenizer  # noqa: E402
from understanding.config import AUDIO, VISION  # noqa: E402
from understanding.model import Thinker  # noqa: E402


def fused(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Experts one by one, as published -> stacked, as the talker trains."""
    out, experts = {}, {}
    for name, value in tensors.items():
        found = re.fullmatch(r"(.*\.mlp\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name)
        if found:
            experts.setdefault(found[1], {}).setdefault(int(found[2]), {})[found[3]] = value
        else:
            out[name] = value
    for prefix, parts in experts.items():
        ordered = [parts[i] for i in range(len(parts))]
        out[f"{prefix}.gate_up_proj"] = torch.stack([torch.cat([p["gate"], p["up"]]) for p in ordered])
        out[f"{prefix}.down_proj"] = torch.stack([p["down"] for p in ordered])
    return out


def shipped(folder: Path) -> dict[str, torch.Tensor]:
    """The thinker of a checkpoint folder under this recipe's names: its DeepStack mergers are numbered as the recipe has them, and those of
    layers that the recipe has none for are left out."""
    tensors = {name.removeprefix("thinker."): value.float() for name, value in load_file(folder / "model.safetensors").items() if name.startswith("thinker.")}
    after = json.loads((folder / "config.json").read_text())["thinker_config"]["vision_config"]["deepstack_visual_indexes"]
    out = {}
    for name, value in tensors.items():
        if found := re.fullmatch(r"visual\.merger_list\.(\d+)\.(.*)", name):
            layer = after[int(found[1])]
            if layer not in VISION["deepstack_visual_indexes"]:
                continue
            name = f"visual.merger_list.{VISION['deepstack_visual_indexes'].index(layer)}.{found[2]}"
        out[name] = value
    return out


def narrowed(state: dict[str, torch.Tensor], width: int) -> dict[str, torch.Tensor]:
    """With the `width` units of every audio layer's feed-forward part that weigh most."""
    out = dict(state)
    for name in state:
        if found := re.fullmatch(r"(audio_tower\.layers\.\d+\.)fc1\.weight", name):
            first, bias, second = (f"{found[1]}{part}" for part in ("fc1.weight", "fc1.bias", "fc2.weight"))
            kept = (state[first].norm(dim=1) * state[second].norm(dim=0)).topk(min(width, len(state[first]))).indices.sort().values
            out[first], out[bias], out[second] = state[first][kept], state[bias][kept], state[second][:, kept]
    return out


def grown(model: Thinker, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of a model with fewer layers or tokens, which come first: layers added after them pass on what they are given, tokens added
    after its own are never said, until they learn better. Where this recipe's audio layers are narrower, the units that weigh least go."""
    state, out = narrowed(state, AUDIO["encoder_ffn_dim"]), {}
    for name, fresh in model.state_dict().items():
        if name == "model.embed_tokens.weight":
            value = fresh
        elif name not in state:
            silent = re.search(r"(attn\.proj|linear_fc2|out_proj|fc2|o_proj|down_proj)\.(weight|bias)$", name)
            value = torch.zeros_like(fresh) if silent else fresh
        elif state[name].shape != fresh.shape:
            value = torch.zeros_like(fresh)
            value[: len(state[name])] = state[name]
        else:
            value = state[name]
        out[name] = value
    if left := state.keys() - out.keys():
        raise SystemExit(f"the model has more than this recipe: {sorted(left)[:3]}")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "understanding", "voice", "assets"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    tensors = {name: value.float() for name, value in load_file(args.model / "model.safetensors").items()}

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    args.understanding.mkdir(parents=True, exist_ok=True)
    args.voice.mkdir(parents=True, exist_ok=True)
    # Trained anew, the tokenizer may break ties in another way: the weights know this one.
    (args.assets / "tokenizer").mkdir(parents=True, exist_ok=True)
    tokenizer.write(tokenizer.with_pieces(Tokenizer.from_file(str(args.model / "tokenizer.json"))), args.assets / "tokenizer")
    thinker, talker, code2wav = Thinker(), Talker(voice_config.TALKER), Code2Wav(voice_config.CODE2WAV)
    thinker.load_state_dict(grown(thinker, shipped(args.model)))
    talker.load_state_dict(fused(part("talker.")))
    code2wav.load_state_dict(part("code2wav."))
    heard = thinker.state_dict()
    torch.save({"model": heard, "ema": heard, "step": 0, "spent": 0.0, "taken": ["vision", "audio"]}, args.understanding / "thinker.pt")
    torch.save({"encoder": thinker.visual.state_dict(), "step": 0, "spent": 0.0}, args.understanding / "vision.pt")
    for name, model in (("talker", talker), ("code2wav", code2wav)):
        state = model.state_dict()
        torch.save({"model": state, "ema": state, "step": 0, "minutes": 0.0}, args.voice / f"{name}.pt")


if __name__ == "__main__":
    main()
