#!/usr/bin/env python3
"""Writes a GGUF file of random weights in Qwen3-Omni's released shapes, as `calliope quantize` would write the checkpoint:
talker, code predictor and code2wav at their true sizes; a thinker of two layers (--thinker small), or at its true size.
Encoders, tokenizer and chat template are calliope-nano's. To time speech, and to see what fits; needs numpy alone.

    random_omni_gguf.py q4_0 speech.gguf                 # 2.4 GB, half a minute
    random_omni_gguf.py q4_0 omni.gguf --thinker true    # 20 GB, as fast as the disk
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import random_gguf
from random_gguf import KINDS, Info, RandomBlocks, field

NANO = Path(__file__).resolve().parents[2] / "models" / "calliope-nano"

THINKER = {
    "small": {"num_hidden_layers": 2, "num_experts": 0, "intermediate_size": 2048, "vocab_size": 1024},
    "true": {"num_hidden_layers": 48, "num_experts": 128, "intermediate_size": 768, "vocab_size": 152064},
}
SECTIONS = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [24, 20, 20], "interleaved": True}
# What the released config.json says.
TEXT = {"hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "max_position_embeddings": 65536,
        "num_experts_per_tok": 8, "moe_intermediate_size": 768, "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [],
        "rope_parameters": SECTIONS | {"mrope_interleaved": True}}
TALKER = {"vocab_size": 3072, "hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 20, "num_attention_heads": 16,
          "num_key_value_heads": 2, "head_dim": 128, "max_position_embeddings": 65536, "num_experts": 128, "num_experts_per_tok": 6,
          "moe_intermediate_size": 384, "shared_expert_intermediate_size": 768, "norm_topk_prob": True, "rope_parameters": SECTIONS}
PREDICTOR = {"vocab_size": 2048, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 5, "num_attention_heads": 16,
             "num_key_value_heads": 8, "head_dim": 128, "num_code_groups": 16, "max_position_embeddings": 32768,
             "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
CODE2WAV = {"codebook_size": 2048, "num_quantizers": 16, "hidden_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 16,
            "num_key_value_heads": 16, "head_dim": 64, "intermediate_size": 3072, "sliding_window": 72, "upsample_rates": [8, 5, 4, 3],
            "upsampling_ratios": [2, 2], "decoder_dim": 1536}
CODES = {"codec_pad_id": 2148, "codec_bos_id": 2149, "codec_eos_token_id": 2150, "codec_nothink_id": 2155, "codec_think_bos_id": 2156,
         "codec_think_eos_id": 2157, "speaker_id": {"ethan": 2302, "chelsie": 2301}, "num_code_groups": 16}


def config(thinker: str) -> dict:
    c = json.loads((NANO / "config.json").read_text())
    c["thinker_config"]["text_config"] |= TEXT | THINKER[thinker]
    c["thinker_config"]["audio_config"]["output_dim"] = c["thinker_config"]["vision_config"]["out_hidden_size"] = TEXT["hidden_size"]
    talker = c["talker_config"]
    talker |= CODES | {"thinker_hidden_size": TEXT["hidden_size"], "accept_hidden_layer": min(24, THINKER[thinker]["num_hidden_layers"])}
    talker["text_config"] |= TALKER
    talker["code_predictor_config"] |= PREDICTOR
    c["code2wav_config"] |= CODE2WAV
    if thinker == "small":
        c["thinker_config"]["vision_config"]["deepstack_visual_indexes"] = [0, 1]
    return c


Shaped = tuple[str, list[int]]  # name and shape, outermost first


def encoders(c: dict) -> Iterator[Shaped]:
    """calliope-nano's, but for the sizes of what they hand to the thinker."""
    with open(NANO / "model.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    ends = ("audio_tower.proj2", "mlp.2")
    for name, info in header.items():
        if name.startswith(("thinker.audio_tower.", "thinker.visual.")):
            last = name.rsplit(".", 1)[0].endswith(ends)
            yield name, [c["thinker_config"]["audio_config"]["output_dim"], *info["shape"][1:]] if last else info["shape"]


def mlp(at: str, hidden: int, inner: int) -> Iterator[Shaped]:
    yield at + "gate_proj.weight", [inner, hidden]
    yield at + "up_proj.weight", [inner, hidden]
    yield at + "down_proj.weight", [hidden, inner]


def decoder(prefix: str, c: dict) -> Iterator[Shaped]:
    hidden, dim = c["hidden_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * dim, c["num_key_value_heads"] * dim
    for layer in range(c["num_hidden_layers"]):
        at = f"{prefix}layers.{layer}."
        yield at + "input_layernorm.weight", [hidden]
        for name, shape in {"q": [q, hidden], "k": [kv, hidden], "v": [kv, hidden], "o": [hidden, q]}.items():
            yield f"{at}self_attn.{name}_proj.weight", shape
        yield at + "self_attn.q_norm.weight", [dim]
        yield at + "self_attn.k_norm.weight", [dim]
        yield at + "post_attention_layernorm.weight", [hidden]
        if not c.get("num_experts"):
            yield from mlp(at + "mlp.", hidden, c["intermediate_size"])
            continue
        yield at + "mlp.gate.weight", [c["num_experts"], hidden]
        for expert in range(c["num_experts"]):
            yield from mlp(f"{at}mlp.experts.{expert}.", hidden, c["moe_intermediate_size"])
        if shared := c.get("shared_expert_intermediate_size"):
            yield from mlp(at + "mlp.shared_expert.", hidden, shared)
            yield at + "mlp.shared_expert_gate.weight", [1, hidden]
    yield prefix + "norm.weight", [hidden]


def layer(name: str, weight: list[int], bias: int) -> Iterator[Shaped]:
    yield name + ".weight", weight
    yield name + ".bias", [bias]


def speaking(c: dict) -> Iterator[Shaped]:
    talker = c["talker_config"]
    text, predictor = talker["text_config"], talker["code_predictor_config"]
    hidden, inner = text["hidden_size"], text["intermediate_size"]
    yield "talker.model.codec_embedding.weight", [text["vocab_size"], hidden]
    yield "talker.codec_head.weight", [text["vocab_size"], hidden]
    for name in ("text_projection", "hidden_projection"):
        yield from layer(f"talker.{name}.linear_fc1", [inner, talker["thinker_hidden_size"]], inner)
        yield from layer(f"talker.{name}.linear_fc2", [hidden, inner], hidden)
    yield from decoder("talker.model.", text)
    at = "talker.code_predictor."
    yield from decoder(at + "model.", predictor)
    for group in range(predictor["num_code_groups"] - 1):
        yield f"{at}model.codec_embedding.{group}.weight", [predictor["vocab_size"], hidden]
        yield f"{at}lm_head.{group}.weight", [predictor["vocab_size"], hidden]


def code2wav(c: dict) -> Iterator[Shaped]:
    hidden, heads, kv = c["hidden_size"], c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
    at = "code2wav."
    yield at + "code_embedding.weight", [c["codebook_size"] * c["num_quantizers"], hidden]
    for number in range(c["num_hidden_layers"]):
        one = f"{at}pre_transformer.layers.{number}."
        for name in ("input_layernorm.weight", "self_attn_layer_scale.scale", "post_attention_layernorm.weight", "mlp_layer_scale.scale"):
            yield one + name, [hidden]
        for name, shape in {"q": [heads, hidden], "k": [kv, hidden], "v": [kv, hidden], "o": [hidden, heads]}.items():
            yield f"{one}self_attn.{name}_proj.weight", shape
        yield from mlp(one + "mlp.", hidden, c["intermediate_size"])
    yield at + "pre_transformer.norm.weight", [hidden]
    for number, ratio in enumerate(c["upsampling_ratios"]):
        one = f"{at}upsample.{number}."
        yield from layer(one + "0.conv", [hidden, hidden, ratio], hidden)
        yield from layer(one + "1.dwconv.conv", [hidden, 1, 7], hidden)
        yield from layer(one + "1.norm", [hidden], hidden)
        yield from layer(one + "1.pwconv1", [4 * hidden, hidden], 4 * hidden)
        yield from layer(one + "1.pwconv2", [hidden, 4 * hidden], hidden)
        yield one + "1.gamma", [hidden]
    channels = c["decoder_dim"]
    yield from layer(at + "decoder.0.conv", [channels, hidden, 7], channels)
    for number, rate in enumerate(c["upsample_rates"]):
        one = f"{at}decoder.{number + 1}.block."
        yield one + "0.alpha", [channels]
        yield one + "0.beta", [channels]
        yield from layer(one + "1.conv", [channels, channels // 2, 2 * rate], channels // 2)
        channels //= 2
        for unit in range(2, 5):
            for act in ("act1", "act2"):
                yield f"{one}{unit}.{act}.alpha", [channels]
                yield f"{one}{unit}.{act}.beta", [channels]
            yield from layer(f"{one}{unit}.conv1.conv", [channels, channels, 7], channels)
            yield from layer(f"{one}{unit}.conv2.conv", [channels, channels, 1], channels)
    last = len(c["upsample_rates"]) + 1
    yield f"{at}decoder.{last}.alpha", [channels]
    yield f"{at}decoder.{last}.beta", [channels]
    yield from layer(f"{at}decoder.{last + 1}.conv", [1, channels, 7], 1)


def checkpoint(c: dict) -> Iterator[Shaped]:
    text = c["thinker_config"]["text_config"]
    yield "thinker.model.embed_tokens.weight", [text["vocab_size"], text["hidden_size"]]
    yield "thinker.lm_head.weight", [text["vocab_size"], text["hidden_size"]]
    yield from encoders(c)
    yield from decoder("thinker.model.", text)
    yield from speaking(c)
    yield from code2wav(c["code2wav_config"])


def stored(name: str, shape: list[int], kind: str) -> str:
    """As docs/quantisation.md has it, of a checkpoint published in bf16."""
    plain = ("norm", "pos_embed", "mlp.gate.", "shared_expert_gate", "code_embedding")
    if len(shape) != 2 or any(part in name for part in plain) or np.prod(shape) < 4096 or shape[-1] % KINDS[kind].elements:
        return "bf16"
    return "q8_0" if kind == "q4_0" and any(part in name for part in ("embed_tokens", "codec_embedding", "lm_head", "codec_head")) else kind


def spread(name: str, shape: list[int]) -> tuple[float, float]:
    """Middle and standard deviation of a tensor's values, so that activations stay of the order of one."""
    if name.endswith(("norm.weight", "layernorm.weight", "layer_norm.weight", "ln_q.weight", "norm1.weight", "norm2.weight")):
        return 1, 0.1
    if name.endswith((".alpha", ".beta", ".bias")):
        return 0, 0.1
    if name.endswith((".scale", ".gamma")):
        return 0.05, 0.01
    inputs = shape[0] * 2 if ".block.1.conv" in name else int(np.prod(shape[1:]))  # a transposed convolution has its inputs first
    return 0, max(inputs, 1) ** -0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("type", choices=["q8_0", "q4_0", "bf16"])
    parser.add_argument("out")
    parser.add_argument("--thinker", choices=THINKER, default="small")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    c = config(options.thinker)
    fields = [field("general.architecture", "calliope-omni"), field("general.file_type", KINDS[options.type].file_type),
              field("general.quantization_version", 2), field("calliope.version", 1), field("calliope.config_json", json.dumps(c))]
    for key, name in {"calliope.generation_config_json": "generation_config.json", "calliope.preprocessor_config_json": "preprocessor_config.json",
                      "calliope.tokenizer_json": "tokenizer.json", "tokenizer.chat_template": "chat_template.jinja"}.items():
        fields.append(field(key, (NANO / name).read_text()))
    if options.type != "bf16":
        fields.append(field("calliope.convolutions", "bf16"))
    infos: list[Info] = []
    values: dict[str, tuple[float, float]] = {}
    for name, shape in checkpoint(c):
        values[name] = spread(name, shape)
        kind = stored(name, shape, options.type)
        if len(shape) > 4:
            fields.append(field("calliope.shape." + name, shape))
            shape = [int(np.prod(shape))]
        infos.append((name, shape[::-1], kind))
    blocks = RandomBlocks(options.seed)

    def draw(info: Info, count: int) -> np.ndarray:
        middle, deviation = values[info[0]]
        if middle == 0:
            return blocks.piece(info[2], count, deviation)
        return blocks.near(middle, deviation, info[2], count)

    with open(options.out, "wb") as out:
        random_gguf.write_file(out, fields, infos, draw)


if __name__ == "__main__":
    main()
