"""Forward passes compiled for training: what is not a matrix product, most of a step's time on a CPU too, is fused."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

import torch

KINDS = 64  # of layers, sizes and modes that one forward pass is compiled for


def compile_forward(block: type[torch.nn.Module], trial: Callable[[], None], device: str) -> None:
    """Compiles the forward pass of `block` where gradients are wanted, once for all sizes (a minute or more; what is made is kept on disk for
    the next process). `trial` trains on something; where that fails, for want of a compiler or for anything else, all stays as it was."""
    eager, started = block.forward, time.time()
    torch._dynamo.config.recompile_limit = KINDS
    fast = torch.compile(eager, dynamic=True)
    block.forward = lambda *inputs, **named: (fast if torch.is_grad_enabled() else eager)(*inputs, **named)
    try:
        trial()
        if device == "cuda":
            torch.cuda.synchronize()
        print(f"{block.__name__} compiled in {time.time() - started:.0f} s", flush=True)
    except Exception:
        block.forward = eager
        print(f"{block.__name__} not compiled, after {time.time() - started:.0f} s: {traceback.format_exc()[-1500:]}", flush=True)
