"""Muon for the matrices of the layers, AdamW for everything else, behind one face.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers"; scaled to AdamW's step as in 2502.16982) learns more from
a step than AdamW does, which is what counts on few cores.
"""

from __future__ import annotations

from pathlib import Path

import torch


class Optimizer:
    """`parameters` are (name, parameter, scale) with the scale of the learning rate; `rate` sets it before each step."""

    def __init__(self, parameters, weight_decay: float = 0.02, betas=(0.9, 0.98), exclude=("embed", "head", "merger")):
        self.all = [p for _, p, _ in parameters if p.requires_grad]
        matrices: dict[float, list] = {}
        others: dict[float, list] = {}
        for name, p, scale in parameters:
            if p.requires_grad:
                matrix = p.ndim == 2 and min(p.shape) >= 16 and not any(word in name for word in exclude)
                (matrices if matrix else others).setdefault(scale, []).append(p)
        groups = lambda of: [{"params": ps, "scale": scale} for scale, ps in of.items()]  # noqa: E731
        self.parts = []
        if matrices:
            self.parts.append(torch.optim.Muon(groups(matrices), lr=1e-3, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))
        if others:
            self.parts.append(torch.optim.AdamW(groups(others), lr=1e-3, weight_decay=weight_decay, betas=betas, fused=True))

    def step(self, rate: float, clip: float = 1.0) -> None:
        """One step at learning rate `rate`, gradients clipped to a norm of `clip`, then cleared."""
        torch.nn.utils.clip_grad_norm_(self.all, clip)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["scale"]
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


class Average:
    """An exponential moving average of a model's weights, better than the last ones: the copy is `.model`."""

    def __init__(self, model: torch.nn.Module, decay: float = 0.998):
        import copy

        self.model, self.decay, self.steps = copy.deepcopy(model).eval().requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for mine, new in zip(self.model.parameters(), model.parameters()):
            mine.lerp_(new, 1 - keep)


def meet(model: torch.nn.Module, mine: Path, theirs: Path, since: float) -> None:
    """Leaves the weights in the folder `mine` for another training, and moves to the mean of them and the last ones that it left in
    `theirs` after the time `since` (local SGD, 1805.09767)."""
    torch.save(model.state_dict(), mine / "weights.new")
    (mine / "weights.new").replace(mine / "weights.pt")
    other = theirs / "weights.pt"
    if other.exists() and other.stat().st_mtime > since:
        weights = torch.load(other, weights_only=True, map_location=next(model.parameters()).device)
        with torch.no_grad():
            for here, there in zip(model.state_dict().values(), weights.values(), strict=True):
                here.lerp_(there, 0.5)
