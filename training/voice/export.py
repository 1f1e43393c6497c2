"""Writes voice.safetensors (names as on the hub, float16), voice_config.json and voice_generation.json."""

from __future__ import annotations

import json
import os
import re

import torch
from safetensors.torch import save_file

import config
from code2wav import Code2Wav
from talker import Talker


def rounded(model: torch.nn.Module, dtype=torch.float16) -> torch.nn.Module:
    """The model with its weights rounded to `dtype` and held in float32."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.to(dtype).float())
    return model


def hub_names(talker: Talker, code2wav: Code2Wav) -> dict[str, torch.Tensor]:
    """Every tensor under its published name; fused experts are split as the hub has them."""
    tensors = {}
    for name, value in talker.state_dict().items():
        fused = re.fullmatch(r"(.*\.mlp\.experts)\.(gate_up_proj|down_proj)", name)
        if not fused:
            tensors["talker." + name] = value
            continue
        for expert, weight in enumerate(value):
            if fused[2] == "down_proj":
                tensors[f"talker.{fused[1]}.{expert}.down_proj.weight"] = weight
            else:
                gate, up = weight.chunk(2)
                tensors[f"talker.{fused[1]}.{expert}.gate_proj.weight"] = gate
                tensors[f"talker.{fused[1]}.{expert}.up_proj.weight"] = up
    for name, value in code2wav.state_dict().items():
        tensors["code2wav." + name] = value
    return {k: v.detach().to(torch.float16).contiguous().clone() for k, v in tensors.items()}


def export(talker: Talker, code2wav: Code2Wav, folder: str) -> None:
    """Rounds the models in place, then writes them."""
    rounded(talker), rounded(code2wav)
    path = os.path.join(folder, "voice.safetensors")
    save_file(hub_names(talker, code2wav), path + ".new", metadata={"format": "pt"})
    os.replace(path + ".new", path)
    with open(os.path.join(folder, "voice_config.json"), "w") as f:
        json.dump(config.voice_config(), f, indent=2)
    with open(os.path.join(folder, "voice_generation.json"), "w") as f:
        json.dump(config.GENERATION, f, indent=2)
    print(f"{path}: {os.path.getsize(path) / 1e6:.1f} MB")
