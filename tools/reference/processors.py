"""What the reference processors give for sounds and pictures computed from seeds."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from transformers import WhisperFeatureExtractor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

import inputs

# samples of the clips that go in together; features of the first 8 and last 8 frames and every 16th are kept
CLIPS = [[1600], [401], [16000], [16001], [15999], [40003, 1600, 16080], [192000]]
# width, height -> at the released sizes, and under a limit of 64 x 64 to 96 x 96 pixels
PICTURES = [(64, 64), (97, 33), (31, 31), (500, 20), (20, 500), (7, 5), (223, 224), (1, 1), (640, 480), (1000, 300), (90, 700)]


def kept_frames(frames: int) -> list[int]:
    return [t for t in range(frames) if t < 8 or t >= frames - 8 or t % 16 == 0]


def sounds() -> dict[str, torch.Tensor]:
    """log_mel.<mels>.<samples of the clips>.<clip>: [kept frames, mels]; .frames is how many there are."""
    out = {}
    for mels in (80, 128):
        extractor = WhisperFeatureExtractor(feature_size=mels, sampling_rate=16000, hop_length=160, n_fft=400, chunk_length=300)
        for clips in CLIPS if mels == 128 else CLIPS[:1] + CLIPS[5:6]:
            made = extractor([inputs.sound(n % 97, n) for n in clips], sampling_rate=16000, padding=True, truncation=False,
                             return_attention_mask=True, return_tensors="pt")
            for i, (features, mask) in enumerate(zip(made["input_features"], made["attention_mask"])):
                frames = int(mask.sum())
                name = f"log_mel.{mels}.{'_'.join(map(str, clips))}.{i}"
                out[name] = features.T[kept_frames(frames)].contiguous()
                out[name + ".frames"] = torch.tensor([frames], dtype=torch.int32)
    return out


def pictures() -> dict[str, torch.Tensor]:
    """picture.<width>x<height>.<limit>: the sum of every patch [patches], its grid, and the last patch."""
    out = {}
    for limit, options in {"released": {"min_pixels": 3136, "max_pixels": 12845056}, "small": {"min_pixels": 4096, "max_pixels": 9216}}.items():
        processor = Qwen2VLImageProcessorPil(patch_size=16, merge_size=2, temporal_patch_size=2, image_mean=[0.48, 0.46, 0.41],
                                             image_std=[0.27, 0.26, 0.28], **options)
        for width, height in PICTURES:
            if limit == "released" and width * height > 60000:
                continue
            made = processor([Image.fromarray(inputs.picture(width + height, width, height))], return_tensors="np")
            patches = np.asarray(made["pixel_values"], dtype=np.float32)
            name = f"picture.{width}x{height}.{limit}"
            out[name + ".grid"] = torch.from_numpy(np.asarray(made["image_grid_thw"][0], dtype=np.int32))
            # With weights that differ, so that no two pixels can swap unseen.
            weights = inputs.noise(1, patches.shape[1]).astype(np.float64)
            out[name + ".sums"] = torch.from_numpy((patches.astype(np.float64) @ weights).astype(np.float32))
            out[name + ".patches"] = torch.from_numpy(patches[-1:].copy())
    return out


def compute() -> dict[str, torch.Tensor]:
    return sounds() | pictures()
