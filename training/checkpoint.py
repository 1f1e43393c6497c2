"""Joins the trained halves into a checkpoint folder in the hub's layout: models/calliope-nano.

usage: python checkpoint.py --understanding DIR [DIR...] --voice DIR --assets DIR --out models/calliope-nano [--audio DIR...] [--blend MODEL SHARE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "voice")]

import config as voice_config  # noqa: E402
import export as voice_export  # noqa: E402
from code2wav import Code2Wav  # noqa: E402
from restore import grown, shipped  # noqa: E402
from talker import Talker  # noqa: E402
from understanding import config as understanding_config  # noqa: E402
from understanding import orders  # noqa: E402
from understanding.model import Thinker  # noqa: E402


def model_config(ids) -> dict:
    """config.json, with the token ids of the tokenizer."""
    media = {"audio_token_id": ids("<|audio_pad|>"), "image_token_id": ids("<|image_pad|>"), "video_token_id": ids("<|video_pad|>"),
             "audio_start_token_id": ids("<|audio_start|>"), "vision_start_token_id": ids("<|vision_start|>"),
             "vision_end_token_id": ids("<|vision_end|>")}
    talker = {**voice_config.TALKER, **{k: v for k, v in media.items() if k != "vision_end_token_id"}}
    talker["audio_end_token_id"] = ids("<|audio_end|>")
    return {
        "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
        "model_type": "qwen3_omni_moe",
        "dtype": "float16",
        "enable_audio_output": True,
        "im_start_token_id": ids("<|im_start|>"), "im_end_token_id": ids("<|im_end|>"),
        "tts_pad_token_id": ids("<tts_pad>"), "tts_bos_token_id": ids("<tts_text_bos>"), "tts_eos_token_id": ids("<tts_text_eod>"),
        "system_token_id": ids("system"), "user_token_id": ids("user"), "assistant_token_id": ids("assistant"),
        "thinker_config": {
            "model_type": "qwen3_omni_moe_thinker", **media, "audio_end_token_id": ids("<|audio_end|>"),
            "user_token_id": ids("user"), "position_id_per_seconds": 13, "tie_word_embeddings": False,
            "audio_config": understanding_config.AUDIO, "vision_config": understanding_config.VISION,
            "text_config": {**understanding_config.TEXT, "tie_word_embeddings": False},
        },
        "talker_config": talker,
        "code2wav_config": voice_config.CODE2WAV,
    }


def preprocessor_config() -> dict:
    """preprocessor_config.json as Qwen3-Omni's: log-mel and picture fields side by side."""
    vision = understanding_config.VISION
    return {
        "feature_extractor_type": "WhisperFeatureExtractor", "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen3OmniMoeProcessor",
        "chunk_length": 300, "dither": 0.0, "feature_size": 128, "hop_length": 160, "n_fft": 400, "n_samples": 4800000,
        "nb_max_frames": 30000, "padding_side": "right", "padding_value": 0.0, "return_attention_mask": True,
        "sampling_rate": 16000, "sound_peak": 0.6, "sound_margin_ms": 0,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "patch_size": vision["patch_size"],
        "temporal_patch_size": vision["temporal_patch_size"], "merge_size": vision["spatial_merge_size"],
        "min_pixels": understanding_config.MIN_PIXELS, "max_pixels": understanding_config.MAX_PIXELS,
        "size": {"shortest_edge": understanding_config.MIN_PIXELS, "longest_edge": understanding_config.MAX_PIXELS},
    }


def mean_of(folders: list[Path]) -> dict[str, torch.Tensor]:
    """The mean of the averages that trainings left in these folders; one that is named twice counts twice."""
    trained = [torch.load(f / "thinker.pt", map_location="cpu", weights_only=False)["ema"] for f in folders]
    return {name: sum(t[name].float() for t in trained) / len(trained) for name in trained[0]}


def thinker_weights(folders: list[Path], audio: list[Path] | None, blend: list[str] | None) -> dict[str, torch.Tensor]:
    """The mean of trainings, its audio encoder that of the folders `audio` where there are such (model soups, 2203.05482); blended with an earlier model, so that what was learnt anew costs less of
    what was known (WiSE-FT, 2109.01903): `blend` is its folder and the share of the new weights."""
    weights = mean_of(folders)
    if audio:
        weights |= {name: w for name, w in mean_of(audio).items() if name.startswith("audio_tower.")}
    if blend:
        share, earlier = float(blend[1]), shipped(Path(blend[0]))
        whole = grown(Thinker(), earlier)
        weights = {n: share * w + (1 - share) * whole[n] if n in earlier else w for n, w in weights.items()}  # layers it had not got stay
    return {f"thinker.{name}": w.to(torch.float16).contiguous() for name, w in weights.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--understanding", type=Path, required=True, nargs="+")
    for name in ("voice", "assets", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--audio", type=Path, nargs="+", help="the folders whose audio encoder is taken, where they are others than --understanding")
    parser.add_argument("--blend", nargs=2, metavar=("MODEL", "SHARE"), help="an earlier model, and the share of the new weights")
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.assets / "tokenizer" / "tokenizer.json"))

    def token_id(text: str) -> int:
        found = tokenizer.token_to_id(text)
        if found is None:
            raise SystemExit(f"the tokenizer has no token {text!r}")
        return found

    args.out.mkdir(parents=True, exist_ok=True)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(args.assets / "tokenizer" / file, args.out / file)

    def write(name: str, value: dict) -> None:
        (args.out / name).write_text(json.dumps(value, indent=2) + "\n")

    write("config.json", model_config(token_id))
    write("preprocessor_config.json", preprocessor_config())
    end = [token_id("<|im_end|>"), token_id("<|endoftext|>")]
    write("generation_config.json", {"do_sample": False, "eos_token_id": end, "pad_token_id": token_id("<|endoftext|>"),
                                     **voice_config.GENERATION, "transcription_prompt": orders.TRANSCRIBE, "transcription_seconds": 8})

    tensors = thinker_weights(args.understanding, args.audio, args.blend)
    talker, code2wav = Talker(voice_config.TALKER), Code2Wav(voice_config.CODE2WAV)
    talker.load_state_dict(torch.load(args.voice / "talker.pt", map_location="cpu")["ema"])
    code2wav.load_state_dict(torch.load(args.voice / "code2wav.pt", map_location="cpu")["ema"])
    tensors |= voice_export.hub_names(talker, code2wav)
    save_file(dict(sorted(tensors.items())), args.out / "model.safetensors", metadata={"format": "pt"})
    parameters = sum(t.numel() for t in tensors.values())
    size = (args.out / "model.safetensors").stat().st_size
    print(f"{args.out}: {parameters / 1e6:.1f} M parameters, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
