#!/usr/bin/env python3
"""Writes a Qwen3-shaped GGUF file of random weights that llama.cpp, ik_llama.cpp and calliope all load, to time them on
one and the same file. Needs numpy alone and memory for a piece of one tensor.

    random_gguf.py 0.6b q8_0 qwen3-0.6b-q8_0.gguf
    random_gguf.py 1.7b q4_0 qwen3-1.7b-q4_0.gguf --embeddings q8_0
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

ALIGNMENT = 32
PIECE = 1 << 24  # elements


@dataclass
class Size:
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int = 151936
    tied: bool = True
    experts: int = 0
    experts_used: int = 0


SIZES = {
    "tiny": Size(2, 256, 4, 2, 64, 512, vocabulary=512),
    "tiny-moe": Size(2, 256, 4, 2, 64, 256, vocabulary=512, tied=False, experts=4, experts_used=2),
    "0.6b": Size(28, 1024, 16, 8, 128, 3072),
    "1.7b": Size(28, 2048, 16, 8, 128, 6144),
    "4b": Size(36, 2560, 32, 8, 128, 9728),
    "30b-a3b": Size(48, 2048, 32, 4, 128, 768, tied=False, experts=128, experts_used=8),
}


@dataclass
class Kind:
    """A tensor type: ggml's number, elements and bytes of a block, llama.cpp's number for a file of it."""

    number: int
    elements: int
    size: int
    file_type: int


KINDS = {
    "f32": Kind(0, 1, 4, 0),
    "f16": Kind(1, 1, 2, 1),
    "bf16": Kind(30, 1, 2, 32),
    "q8_0": Kind(8, 32, 34, 7),
    "q4_0": Kind(2, 32, 18, 2),
    "q4_k": Kind(12, 256, 144, 15),
    "q5_k": Kind(13, 256, 176, 17),
    "q6_k": Kind(14, 256, 210, 18),
}


def random_blocks(rng: np.random.Generator, kind: str, elements: int, spread: float) -> np.ndarray:
    """Random weights of that standard deviation, roughly, as bytes."""
    if KINDS[kind].elements == 1:
        values = rng.standard_normal(elements, dtype=np.float32) * np.float32(spread)
        if kind == "f32":
            return values.view(np.uint8)
        if kind == "f16":
            return values.astype(np.float16).view(np.uint8)
        return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    count = elements // KINDS[kind].elements
    blocks = rng.integers(0, 256, (count, KINDS[kind].size), dtype=np.uint8)

    def scale(at: int, size: float) -> None:
        values = (rng.random(count, dtype=np.float32) * 0.5 + 0.75) * np.float32(size * spread)
        blocks[:, at : at + 2] = values.astype(np.float16).view(np.uint8).reshape(count, 2)

    # The standard deviation of uniform quants: 74 of eight bits, 18.5 of six, 9.2 of five, 4.6 of four.
    if kind == "q8_0":
        scale(0, 1 / 74)
    elif kind == "q4_0":
        scale(0, 1 / 4.6)
    elif kind in ("q4_k", "q5_k"):
        steps, middle = (4.6, 7.5) if kind == "q4_k" else (9.2, 15.5)
        blocks[:, 4:16] = 0x20 | (blocks[:, 4:16] & 0x0F)  # scales and mins near their middle
        scale(0, 1 / (40 * steps))
        blocks[:, 2:4] = (blocks[:, 0:2].copy().view(np.float16).astype(np.float32) * middle).astype(np.float16).view(np.uint8)
    else:
        scale(208, 1 / (74 * 18.5))
    return blocks.reshape(-1)


class RandomBlocks:
    """Pieces of one long run of random blocks for each type and spread, each beginning somewhere else: as fast as a disk."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.runs: dict[tuple[str, float], np.ndarray] = {}

    def piece(self, kind: str, elements: int, spread: float) -> np.ndarray:
        if elements < PIECE or KINDS[kind].elements == 1:
            return random_blocks(self.rng, kind, elements, spread)
        run = self.runs.get((kind, spread))
        if run is None:
            run = random_blocks(self.rng, kind, PIECE, spread)
            self.runs[kind, spread] = run = np.concatenate([run, run])
        start = int(self.rng.integers(0, PIECE // KINDS[kind].elements)) * KINDS[kind].size
        return run[start : start + elements // KINDS[kind].elements * KINDS[kind].size]

    def near(self, middle: float, spread: float, kind: str, elements: int) -> np.ndarray:
        """Values of a plain type around another middle than zero: norms, scales."""
        values = (middle + spread * self.rng.standard_normal(elements, dtype=np.float32)).astype(np.float32)
        return values.view(np.uint8) if kind == "f32" else (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)


def byte_characters() -> list[str]:
    """GPT-2's characters for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte if byte in printable else 256 + others.index(byte)) for byte in range(256)]


def vocabulary(size: int) -> tuple[list[str], list[int], list[str]]:
    """Tokens, their types and merges: bytes, a few words, made-up words that no merge gives, so that an answer drawn from
    random weights is text, and Qwen's control tokens where Qwen has them."""
    merges = ["Ġ t", "h e", "Ġt he", "i n", "e r", "Ġ a", "o n", "r e", "Ġ s", "Ġ w", "o u", "Ġ c", "a t", "Ġ o", "n d"]
    tokens = byte_characters() + [merge.replace(" ", "") for merge in merges]
    types = [1] * len(tokens)
    controls = size - 293 if size > 1000 else size - 5  # 151643 of 151936
    tokens += [f"\u0120w{i}" for i in range(len(tokens), controls)]
    types += [1] * (controls - len(types))
    tokens += ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    types += [3] * 3
    tokens += [f"[PAD{i}]" for i in range(len(tokens), size)]
    types += [5] * (size - len(types))
    return tokens, types, merges


CHAT_TEMPLATE = (
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"
)


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def field(key: str, value: object) -> bytes:
    """One metadata value: bool, int (u32), float (f32), str, or a list of str or int (i32)."""
    if isinstance(value, bool):
        return text(key) + struct.pack("<IB", 7, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    assert isinstance(value, list)
    if isinstance(value[0], str):
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    return text(key) + struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def metadata(size: Size, kind: str, name: str) -> list[bytes]:
    arch = "qwen3moe" if size.experts else "qwen3"
    tokens, types, merges = vocabulary(size.vocabulary)
    end, start, stop = (tokens.index(token) for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    assert (start, stop) == (end + 1, end + 2)
    values: dict[str, object] = {
        "general.architecture": arch,
        "general.name": name,
        "general.file_type": KINDS[kind].file_type,
        "general.quantization_version": 2,
        f"{arch}.block_count": size.layers,
        f"{arch}.context_length": 40960,
        f"{arch}.embedding_length": size.hidden,
        f"{arch}.feed_forward_length": size.ffn,
        f"{arch}.attention.head_count": size.heads,
        f"{arch}.attention.head_count_kv": size.kv_heads,
        f"{arch}.attention.key_length": size.head_dim,
        f"{arch}.attention.value_length": size.head_dim,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-6,
        f"{arch}.rope.freq_base": 1e6,
    }
    if size.experts:
        values[f"{arch}.expert_count"] = size.experts
        values[f"{arch}.expert_used_count"] = size.experts_used
        values[f"{arch}.expert_feed_forward_length"] = size.ffn
    values |= {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.eos_token_id": stop,
        "tokenizer.ggml.padding_token_id": end,
        "tokenizer.ggml.bos_token_id": end,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
    return [field(key, value) for key, value in values.items()]


def tensors(size: Size, kind: str, embeddings: str) -> Iterator[tuple[str, list[int], str]]:
    """Name, shape (innermost first, as GGUF has it) and type of every tensor."""
    q, kv = size.heads * size.head_dim, size.kv_heads * size.head_dim
    yield "token_embd.weight", [size.hidden, size.vocabulary], embeddings
    for layer in range(size.layers):
        at = f"blk.{layer}."
        yield at + "attn_norm.weight", [size.hidden], "f32"
        yield at + "attn_q.weight", [size.hidden, q], kind
        yield at + "attn_k.weight", [size.hidden, kv], kind
        yield at + "attn_v.weight", [size.hidden, kv], kind
        yield at + "attn_output.weight", [q, size.hidden], kind
        yield at + "attn_q_norm.weight", [size.head_dim], "f32"
        yield at + "attn_k_norm.weight", [size.head_dim], "f32"
        yield at + "ffn_norm.weight", [size.hidden], "f32"
        if size.experts:
            yield at + "ffn_gate_inp.weight", [size.hidden, size.experts], "f32"
        suffix, experts = ("_exps", [size.experts]) if size.experts else ("", [])
        yield at + f"ffn_gate{suffix}.weight", [size.hidden, size.ffn, *experts], kind
        yield at + f"ffn_up{suffix}.weight", [size.hidden, size.ffn, *experts], kind
        yield at + f"ffn_down{suffix}.weight", [size.ffn, size.hidden, *experts], kind
    yield "output_norm.weight", [size.hidden], "f32"
    if not size.tied:
        yield "output.weight", [size.hidden, size.vocabulary], embeddings


def padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


Info = tuple[str, list[int], str]  # name, shape (innermost first) and type of a tensor


def write_file(out: BinaryIO, fields: list[bytes], infos: list[Info], draw: Callable[[Info, int], np.ndarray]) -> None:
    """A whole GGUF file; draw(info, count) gives the next `count` elements of a tensor as bytes."""
    header = [b"GGUF", struct.pack("<IQQ", 3, len(infos), len(fields)), *fields]
    offset = 0
    for tensor, shape, stored in infos:
        elements = int(np.prod(shape))
        header += [text(tensor), struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, KINDS[stored].number, offset)]
        offset += padded(elements // KINDS[stored].elements * KINDS[stored].size)
    start = b"".join(header)
    out.write(start.ljust(padded(len(start)), b"\0"))
    for info in infos:
        elements, written = int(np.prod(info[1])), 0
        for begin in range(0, elements, PIECE):
            written += out.write(draw(info, min(PIECE, elements - begin)).data)
        out.write(b"\0" * (padded(written) - written))


def write(out: BinaryIO, size: Size, kind: str, embeddings: str, name: str, seed: int) -> None:
    blocks = RandomBlocks(seed)

    def draw(info: Info, count: int) -> np.ndarray:
        tensor, shape, stored = info
        return blocks.near(1, 0.1, stored, count) if tensor.endswith("norm.weight") else blocks.piece(stored, count, shape[0] ** -0.5)

    write_file(out, metadata(size, kind, name), list(tensors(size, kind, embeddings)), draw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("type", choices=KINDS)
    parser.add_argument("out")
    parser.add_argument("--embeddings", choices=KINDS, help="type of the embeddings and the head (default: as the rest)")
    parser.add_argument("--layers", type=int, help="fewer layers than the model has")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    size = SIZES[options.size] if options.layers is None else replace(SIZES[options.size], layers=options.layers)
    with open(options.out, "wb") as out:
        write(out, size, options.type, options.embeddings or options.type, f"random {options.size}", options.seed)


if __name__ == "__main__":
    main()
