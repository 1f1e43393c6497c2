"""The codec's encoder, for training only: what vocoder.py's rows hold in 80 ms -> PCA -> residual k-means, and the voice's own code.

The excitation has a code group of its own (vocoder.excitation); the others quantise features (speech_data.features), each what
those before it left over, so that the first groups alone already speak. The decoder that ships (code2wav) learns its own
embeddings of all codes.
"""

from __future__ import annotations

import torch

import config

DIMS = 128
BOOKS = [g for g in range(config.CODE_GROUPS) if g != config.EXCITATION_GROUP]


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
        for group in BOOKS:
            book = r[torch.randperm(len(r), generator=g)[: config.CODEBOOK_SIZE]].clone()
            for _ in range(iterations):
                index = nearest(r, book)
                count = torch.bincount(index, minlength=len(book)).float()
                total = torch.zeros_like(book).index_add_(0, index, r)
                used = count > 0
                book[used] = total[used] / count[used, None]
                if dead := int((~used).sum()):
                    book[~used] = r[torch.randint(0, len(r), (dead,), generator=g)]
            self.books.append(book)
            r = r - book[nearest(r, book)]
            print(f"group {group}: {r.pow(2).sum(1).mean() / x.pow(2).sum(1).mean():.4f} of the variance left", flush=True)

    def encode(self, features: torch.Tensor, excitation: torch.Tensor) -> torch.Tensor:
        """features [frames, WIDTH], excitation [frames] -> codes [frames, groups], int16."""
        r = (features.float() - self.mean) @ self.basis
        codes = torch.empty(len(r), config.CODE_GROUPS, dtype=torch.int16)
        codes[:, config.EXCITATION_GROUP] = excitation.to(torch.int16)
        for group, book in zip(BOOKS, self.books):
            index = nearest(r, book)
            r = r - book[index]
            codes[:, group] = index.to(torch.int16)
        return codes

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
