"""The reference: transformers' processors and model, put together without the parts that need torchvision."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL import Image
from tokenizers import Tokenizer
from transformers import Qwen3OmniMoeForConditionalGeneration, WhisperFeatureExtractor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import _get_feat_extract_output_lengths

import inputs


def load(folder: Path) -> Qwen3OmniMoeForConditionalGeneration:
    """The checkpoint in float32. The grouped kernels that transformers prefers refuse odd sizes."""
    model = Qwen3OmniMoeForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager").eval()
    if model.has_talker:
        # transformers 5.23 asks the talker's config for the audio encoder's n_window, which only the thinker's has.
        model.talker.config.audio_config = model.config.thinker_config.audio_config
    return model


class Processor:
    """What Qwen3OmniMoeProcessor does with text, pictures and sounds of one conversation."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())["thinker_config"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        fields = json.loads((folder / "preprocessor_config.json").read_text())
        self.feature_extractor = WhisperFeatureExtractor(**{k: v for k, v in fields.items() if k in (
            "feature_size", "n_fft", "hop_length", "sampling_rate", "chunk_length", "padding_value", "dither")})
        self.image_processor = Qwen2VLImageProcessorPil(**{k: v for k, v in fields.items() if k in (
            "min_pixels", "max_pixels", "size", "patch_size", "merge_size", "temporal_patch_size", "image_mean", "image_std")})
        self.template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
            (folder / "chat_template.jinja").read_text())

    def sounds(self, sounds: list[np.ndarray]) -> dict[str, torch.Tensor]:
        out = self.feature_extractor(sounds, sampling_rate=16000, padding=True, truncation=False, return_attention_mask=True, return_tensors="pt")
        return {"input_features": out["input_features"], "feature_attention_mask": out["attention_mask"]}

    def pictures(self, pictures: list[np.ndarray]) -> dict[str, torch.Tensor]:
        out = self.image_processor([Image.fromarray(p) for p in pictures], return_tensors="pt")
        return {"pixel_values": out["pixel_values"], "image_grid_thw": out["image_grid_thw"]}

    def __call__(self, turns: list[dict]) -> dict[str, torch.Tensor]:
        """`turns` as in tests/fixtures/prompts.json -> what the model's forward takes."""
        parts = [p for t in turns for p in t["parts"]]
        out = {}
        if sounds := [inputs.sound(p["audio"][1], p["audio"][0]) for p in parts if "audio" in p]:
            out |= self.sounds(sounds)
        if pictures := [inputs.picture(p["image"][2], *p["image"][:2]) for p in parts if "image" in p]:
            out |= self.pictures(pictures)
        ids = self.tokenizer.encode(self.text(turns), add_special_tokens=False).ids
        return self.expand(ids, out) | out

    def text(self, turns: list[dict]) -> str:
        messages = []
        for turn in turns:
            content = [{"type": "text", "text": p["text"]} if "text" in p else {"type": "image" if "image" in p else "audio"} for p in turn["parts"]]
            messages.append({"role": turn["role"], "content": content})
        return self.template.render(messages=messages, add_generation_prompt=True)

    def expand(self, ids: list[int], media: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        counts = {"audio_token_id": [], "image_token_id": []}
        if "image_grid_thw" in media:
            counts["image_token_id"] = (media["image_grid_thw"].prod(-1) // self.image_processor.merge_size**2).tolist()
        if "feature_attention_mask" in media:
            counts["audio_token_id"] = _get_feat_extract_output_lengths(
                media["feature_attention_mask"].sum(-1), self.config["audio_config"]["n_window"]).tolist()
        queues = {self.config[k]: list(v) for k, v in counts.items()}
        expanded = [i for id in ids for i in [id] * (queues[id].pop(0) if queues.get(id) else 1)]
        input_ids = torch.tensor([expanded])
        return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}


def positions(model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """[3, T]"""
    lengths = batch["feature_attention_mask"].sum(-1) if "feature_attention_mask" in batch else None
    return model.thinker.get_rope_index(batch["input_ids"], batch.get("image_grid_thw"), None, batch["attention_mask"],
                                        audio_seqlens=lengths)[0][:, 0].long()


@torch.no_grad()
def trace(model, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every intermediate tensor of one prompt, named as `calliope trace` names them."""
    thinker = model.thinker
    out = {"input_ids": batch["input_ids"][0], "position_ids": positions(model, batch)}
    if "input_features" in batch:
        out["audio_features"] = thinker.get_audio_features(batch["input_features"], batch["feature_attention_mask"], return_dict=True).last_hidden_state
    if "pixel_values" in batch:
        seen = thinker.get_image_features(batch["pixel_values"], batch["image_grid_thw"], return_dict=True)
        out["image_features"] = torch.cat(list(seen.pooler_output))
        for i, feature in enumerate(seen.deepstack_features):
            out[f"deepstack.{i}"] = torch.cat(list(feature)) if isinstance(feature, (list, tuple)) else feature
    result = thinker(**batch, output_hidden_states=True, use_cache=False)
    out |= {f"hidden_states.{i}": h[0] for i, h in enumerate(result.hidden_states)}
    out["logits"] = result.logits[0]
    return out


def margins(scores: torch.Tensor) -> torch.Tensor:
    """How far the best of [..., V] is ahead of the second."""
    best = scores.topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]


@torch.no_grad()
def greedy(model, batch: dict[str, torch.Tensor], tokens: int, eos: list[int] | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Greedy ids [tokens] and their margins; without `eos` nothing ends it."""
    result = model.thinker.generate(**batch, max_new_tokens=tokens, do_sample=False, eos_token_id=eos, return_dict_in_generate=True,
                                    output_logits=True, pad_token_id=0)
    return result.sequences[0, batch["input_ids"].shape[1]:], margins(torch.stack(result.logits, 1))[0]


@torch.no_grad()
def speak(model, batch: dict[str, torch.Tensor], text_tokens: int, frames: int, eos: list[int], penalty: float = 1.05, speaker: str = "ethan"):
    """Greedy text, codes [frames, groups], their margins, and the waveform of all codes at once."""
    seen = []
    residual = model.talker.code_predictor.register_forward_hook(lambda m, a, out: seen.append(margins(out.logits[0, -1])))
    first = []
    kept = model.talker.generate

    def generate(*args, **kwargs):
        result = kept(*args, **kwargs, output_scores=True)
        first.append(result)
        return result

    model.talker.generate = generate
    try:
        ids, _ = model.generate(**batch, speaker=speaker, thinker_max_new_tokens=text_tokens, thinker_do_sample=False, thinker_eos_token_id=eos,
                                talker_max_new_tokens=frames + 1, talker_do_sample=False, talker_temperature=None, talker_top_k=None,
                                talker_top_p=None, talker_repetition_penalty=penalty)
    finally:
        residual.remove()
        model.talker.generate = kept
    codes = torch.stack([h[-1] for h in first[0].hidden_states if h[-1] is not None], dim=1)[0]
    groups = codes.shape[1]
    code_margins = torch.cat([margins(torch.stack(first[0].scores, 1))[0, : len(codes), None],
                              torch.stack(seen).reshape(-1, groups - 1)[: len(codes)]], dim=1)
    return ids[0, batch["input_ids"].shape[1]:], codes, code_margins, model.code2wav(codes.T[None])[0, 0]
