"""Muon for the matrices of the layers, AdamW for everything else, behind one face.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers"; scaled to AdamW's step as in 2502.16982) learns more from
a step than AdamW does, which is what counts on few cores.
"""

from __future__ import annotations

from pathlib import Path

import torch


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon with adjust_lr_fn="match_rms_adamw", all matrices of one shape at a time: few steps for a GPU to start."""

    def __init__(self, params, lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            shapes: dict[torch.Size, list] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, matrices in shapes.items():
                gradients = [p.grad for p in matrices]
                for p in matrices:
                    if "momentum_buffer" not in self.state[p]:
                        self.state[p]["momentum_buffer"] = torch.zeros_like(p)
                buffers = [self.state[p]["momentum_buffer"] for p in matrices]
                torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
                x = orthogonal(torch.stack(torch._foreach_lerp(gradients, buffers, group["momentum"])))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(matrices, list(x.to(matrices[0].dtype).unbind(0)), alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)


def orthogonal(x: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest orthogonal matrices to [N, rows, columns], about, in BF16 (Newton-Schulz with Muon's coefficients)."""
    x = x.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / x.float().norm(dim=(1, 2), keepdim=True).clamp(min=1e-7).to(x.dtype)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


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
            self.parts.append(Muon(groups(matrices), lr=1e-3, weight_decay=weight_decay))
        if others:
            self.parts.append(torch.optim.AdamW(groups(others), lr=1e-3, weight_decay=weight_decay, betas=betas, fused=True))

    def step(self, rate: float, clip: float = 1.0) -> None:
        """One step at learning rate `rate`, gradients clipped to a norm of `clip`, then cleared."""
        torch.nn.utils.clip_grad_norm_(self.all, clip)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["scale"]
            part.step()
        self.clear()

    def clear(self) -> None:
        for part in self.parts:
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
        torch._foreach_lerp_(list(self.model.parameters()), [p.detach() for p in model.parameters()], 1 - keep)


def meet(model: torch.nn.Module, mine: Path, theirs: Path, since: float) -> None:
    """Leaves the weights in the folder `mine` for another training, and moves to the mean of them and the last ones that it left in
    `theirs` after the time `since`, of the last meeting: what a training that has ended left is not met again (local SGD, 1805.09767)."""
    torch.save(model.state_dict(), mine / "weights.new")
    (mine / "weights.new").replace(mine / "weights.pt")
    other = theirs / "weights.pt"
    if other.exists() and other.stat().st_mtime > since:
        weights = torch.load(other, weights_only=True, map_location=next(model.parameters()).device)
        with torch.no_grad():
            for here, there in zip(model.state_dict().values(), weights.values(), strict=True):
                here.lerp_(there, 0.5)
