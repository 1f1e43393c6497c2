"""The codec's encoder, for training only: stacked log-mel -> PCA -> residual k-means.

One frame of 80 ms is eight columns of 80 mel bands, whitened to the directions that carry the
variance; each code group then quantises what the groups before it left over. The decoder that
ships (code2wav) learns its own embeddings of these codes.
"""

from __future__ import annotations

import numpy as np
import torch

import config

MELS = 80
HOP = 240
FFT = 1024
COLUMNS = config.FRAME_SAMPLES // HOP
DIMS = 160
FLOOR = 1e-3


def mel_filters(rate: int = config.SAMPLE_RATE_HZ, fft: int = FFT, mels: int = MELS, top_hz: float = 8000.0) -> torch.Tensor:
    """Triangular HTK-mel filters [mels, fft // 2 + 1], each summing to one."""
    hz = torch.linspace(0, rate / 2, fft // 2 + 1)
    to_mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (torch.linspace(to_mel(40.0), to_mel(top_hz), mels + 2, dtype=torch.float64) / 2595) - 1)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    tri = torch.minimum((hz - lower) / (centre - lower), (upper - hz) / (upper - centre)).clamp_min(0)
    return (tri / tri.sum(1, keepdim=True).clamp_min(1e-8)).float()


_FILTERS = mel_filters()
_WINDOW = torch.hann_window(FFT)


def frame_features(audio: torch.Tensor) -> torch.Tensor:
    """float samples [frames * 1920] -> log-mel stacks [frames, 640]; column i is centred in its 10 ms."""
    padded = torch.nn.functional.pad(audio, (FFT // 2 - HOP // 2, FFT // 2))
    spectrum = torch.stft(padded, FFT, HOP, window=_WINDOW, center=False, return_complex=True).abs()
    columns = len(audio) // HOP
    mel = torch.log((_FILTERS @ spectrum[:, :columns]).clamp_min(FLOOR * 30))
    return mel.T.reshape(-1, COLUMNS * MELS)


class Quantizer:
    """fit() on features, then encode() to codes [frames, groups]."""

    def __init__(self):
        self.mean = self.basis = None
        self.books: list[torch.Tensor] = []

    def fit(self, features: torch.Tensor, iterations: int = 25, seed: int = 0) -> None:
        g = torch.Generator().manual_seed(seed)
        self.mean = features.mean(0)
        x = features - self.mean
        values, vectors = torch.linalg.eigh(x.T @ x / len(x))
        self.basis = vectors[:, -DIMS:].contiguous()
        print(f"PCA keeps {values[-DIMS:].sum() / values.sum():.4f} of the variance")
        r = x @ self.basis
        for group in range(config.CODE_GROUPS):
            book = r[torch.randperm(len(r), generator=g)[: config.CODEBOOK_SIZE]].clone()
            for _ in range(iterations):
                index = nearest(r, book)
                count = torch.bincount(index, minlength=len(book)).float()
                total = torch.zeros_like(book).index_add_(0, index, r)
                used = count > 0
                book[used] = total[used] / count[used, None]
                dead = int((~used).sum())
                if dead:
                    book[~used] = r[torch.randint(0, len(r), (dead,), generator=g)]
            self.books.append(book)
            r = r - book[nearest(r, book)]
            rms_db = (r.pow(2).sum(1).mean() / features.shape[1]).sqrt() * 8.686
            print(f"group {group}: log-mel error {rms_db:.2f} dB", flush=True)

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        r = (features - self.mean) @ self.basis
        codes = []
        for book in self.books:
            index = nearest(r, book)
            r = r - book[index]
            codes.append(index)
        return torch.stack(codes, 1)

    def state(self) -> dict:
        return {"mean": self.mean, "basis": self.basis, "books": torch.stack(self.books)}

    @staticmethod
    def from_state(state: dict) -> "Quantizer":
        q = Quantizer()
        q.mean, q.basis, q.books = state["mean"], state["basis"], list(state["books"])
        return q


def nearest(x: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    norm = book.pow(2).sum(1)
    return torch.cat([(norm - 2 * (part @ book.T)).argmin(1) for part in x.split(16384)])
