"""Writes a small random checkpoint in the hub's layout."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import Qwen3OmniMoeConfig, Qwen3OmniMoeForConditionalGeneration

import configs
import inputs

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = {
    "endoftext": "<|endoftext|>", "im_start_token_id": "<|im_start|>", "im_end_token_id": "<|im_end|>", "vision_start_token_id": "<|vision_start|>",
    "vision_end": "<|vision_end|>", "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>", "audio_start_token_id": "<|audio_start|>",
    "audio_end": "<|audio_end|>", "audio_token_id": "<|audio_pad|>", "tts_pad_token_id": "<tts_pad>", "tts_bos_token_id": "<tts_text_bos>",
    "tts_eos_token_id": "<tts_text_eod>",
}
CHAT_TEMPLATE = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for content in message.content %}
            {%- if content.type == 'image' %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif content.type == 'audio' %}
                {{- '<|audio_start|><|audio_pad|><|audio_end|>' }}
            {%- elif 'text' in content %}
                {{- content.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def tokenizer() -> tuple[Tokenizer, dict[str, int]]:
    """A byte-level BPE with a handful of merges, and the ids a config.json names."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + 40, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, special_tokens=[]
    )
    made.train_from_iterator(["user", "assistant", "system"] * 50 + ["what is the in on a an ing er"], trainer)
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL.values()])
    ids = {name: made.token_to_id(token) for name, token in SPECIAL.items()}
    ids |= {f"{role}_token_id": made.token_to_id(role) for role in ("user", "assistant", "system")}
    assert all(i is not None for i in ids.values()), ids
    return made, ids


def fill(model: torch.nn.Module, seed: int, eos_seed: int | None = None) -> None:
    """Random weights under which every part does something: unit gain, norms and biases away from one and zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        with torch.no_grad():
            r = torch.randn(p.shape, generator=generator)
            last = name.rsplit(".", 1)[-1]
            if last in ("alpha", "beta"):
                p.copy_(0.3 * r)
            elif last in ("scale", "gamma"):  # LayerScale
                p.copy_(0.5 + 0.1 * r)
            elif last == "bias":
                p.copy_(0.1 * r)
            elif p.dim() == 1:
                p.copy_(1 + 0.2 * r)
            elif "embed" in name and p.dim() == 2:
                p.copy_(0.3 * r)  # less than the layers add, or a tied head repeats its input
            else:
                transposed = re.search(r"upsample\.\d+\.0\.conv|decoder\.\d+\.block\.1\.conv", name)
                fan_in = p.shape[0] if transposed else math.prod(p.shape[1:]) if p.dim() != 3 or "conv" in name else p.shape[-1]
                gain = 3.0 if re.search(r"lm_head|codec_head", name) else 2.0 if re.search(r"o_proj|down_proj", name) else 1.3
                if name.startswith("code2wav.decoder"):
                    gain = 0.6  # the sines of large activations would make float32 itself the largest error
                p.copy_(gain / math.sqrt(fan_in) * r)
    with torch.no_grad():
        # An eos that never wins, so that 3 s of codes come out; or one that ends an answer.
        eos = model.talker.codec_head.weight[model.config.talker_config.codec_eos_token_id]
        eos.zero_()
        if eos_seed is not None:
            eos.copy_(3.9 / math.sqrt(len(eos)) * torch.randn(len(eos), generator=torch.Generator().manual_seed(eos_seed)))
        level_waveform(model.code2wav)


def level_waveform(code2wav: torch.nn.Module, rms: float = 0.25) -> None:
    """Scales the last convolution so that little of the waveform is clipped."""
    raw = []
    last = code2wav.decoder[-1]
    hook = last.register_forward_hook(lambda module, args, out: raw.append(out))
    config = code2wav.config
    code2wav(torch.from_numpy(inputs.whole_numbers(5, config.codebook_size, 1, config.num_quantizers, 30)))
    hook.remove()
    for p in last.parameters():
        p.mul_(rms / raw[0].square().mean().sqrt())


def fuse(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Experts one by one -> gate_up_proj and down_proj of all."""
    out, experts = {}, {}
    for name, value in tensors.items():
        if found := re.fullmatch(r"(.*\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name):
            experts.setdefault(found[1], {}).setdefault(found[3], {})[int(found[2])] = value
        else:
            out[name] = value
    for name, parts in experts.items():
        gate, up, down = (torch.stack([parts[x][i] for i in sorted(parts[x])]) for x in ("gate", "up", "down"))
        out[name + ".gate_up_proj"] = torch.cat([gate, up], dim=1).contiguous()
        out[name + ".down_proj"] = down
    return out


def split(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The other way round, as the hub has them."""
    out = {}
    for name, value in tensors.items():
        found = re.fullmatch(r"(.*\.experts)\.(gate_up_proj|down_proj)", name)
        if not found:
            out[name] = value
            continue
        for i, expert in enumerate(value):
            if found[2] == "down_proj":
                out[f"{found[1]}.{i}.down_proj.weight"] = expert.clone()
            else:
                gate, up = expert.chunk(2)
                out[f"{found[1]}.{i}.gate_proj.weight"], out[f"{found[1]}.{i}.up_proj.weight"] = gate.clone(), up.clone()
    return out


def save_shards(tensors: dict[str, torch.Tensor], folder: Path, shards: int) -> None:
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": {}}
    names = sorted(tensors)
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = {n: tensors[n] for n in names[i::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        index["weight_map"] |= {n: file for n in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def preprocessor_json(sizes: dict) -> dict:
    vision = sizes["vision"]
    return {
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": sizes["audio"]["mels"], "n_fft": 400, "hop_length": 160,
        "sampling_rate": 16000, "chunk_length": 300, "n_samples": 4800000, "nb_max_frames": 30000, "dither": 0.0, "padding_side": "right",
        "padding_value": 0.0, "return_attention_mask": True, "processor_class": "Qwen3OmniMoeProcessor",
        "image_processor_type": "Qwen2VLImageProcessor", "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "min_pixels": sizes["min_pixels"], "max_pixels": sizes["max_pixels"], "patch_size": vision["patch"], "merge_size": vision["merge"],
        "temporal_patch_size": vision["temporal"],
    }


def write(name: str, folder: Path) -> None:
    """The checkpoint of configs.CONFIGS[name]."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("model*.safetensors*"):
        old.unlink()
    sizes = configs.sizes(name)
    made, ids = tokenizer()
    config = configs.config_json(name, ids)
    model = Qwen3OmniMoeForConditionalGeneration(Qwen3OmniMoeConfig(**json.loads(json.dumps(config)))).float()
    fill(model, seed=sum(map(ord, name)), eos_seed=sizes["eos_seed"])
    # transformers knows the published names of the tensors; only the experts are laid out here.
    model.save_pretrained(folder)
    tensors = {}
    for file in folder.glob("model*.safetensors"):
        tensors |= load_file(file)
        file.unlink()
    tensors = {k: v.to(getattr(torch, sizes["dtype"])).contiguous() for k, v in split(tensors).items()}
    if sizes["head_despite_tied"]:
        tensors["thinker.lm_head.weight"] = tensors["thinker.model.embed_tokens.weight"].flip(0).contiguous()
    save_shards(fuse(tensors) if sizes["fused_experts"] else tensors, folder, sizes["shards"])

    def dump(file: str, value: dict) -> None:
        (folder / file).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    dump("config.json", configs.old_rope_fields(config) if sizes["old_rope"] else config)
    dump("generation_config.json", {"eos_token_id": [ids["im_end_token_id"], ids["endoftext"]], "do_sample": False,
                                    "talker_max_new_tokens": 39, "talker_do_sample": False})
    dump("preprocessor_config.json", preprocessor_json(sizes))
    dump("tokenizer_config.json", {"tokenizer_class": "Qwen2TokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                                   "model_max_length": 4096})
    made.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
