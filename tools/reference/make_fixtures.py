"""Makes random checkpoints and what transformers computes from them.

usage: python make_fixtures.py [--out DIR] [--prompts FILE] [CONFIG ...]

Without names: all of configs.CONFIGS, and the processors' tensors.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

import checkpoints
import configs
import expected
import inputs
import processors

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=FIXTURES)
    parser.add_argument("--prompts", type=Path, default=FIXTURES / "prompts.json")
    parser.add_argument("configs", nargs="*", help=", ".join(configs.CONFIGS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*repetition_penalty.*")
    turns = inputs.prompts(args.prompts)
    if not args.configs:
        args.out.mkdir(parents=True, exist_ok=True)
        save_file(processors.compute(), args.out / "processors.safetensors")
    for name in args.configs or configs.CONFIGS:
        print(name, flush=True)
        checkpoints.write(name, args.out / name)
        save_file(expected.compute(args.out / name, turns), args.out / name / "expected.safetensors")
    print(f"{sum(f.stat().st_size for f in args.out.rglob('*') if f.is_file()) / 1e6:.2f} MB in {args.out}")


if __name__ == "__main__":
    main()
