#!/usr/bin/env python3
"""Trains the bundled example from nothing: a small Llama on the King James Bible, into examples/kjv-tiny.

    apt-get install bible-kjv                        # the text, public domain
    python3 -m venv build/train-venv
    build/train-venv/bin/pip install -r examples/requirements.txt
    build/train-venv/bin/python examples/train.py    # prints its loss; takes about half an hour on one core with AMX

The seed is pinned: one machine gives the same weights each time; another CPU may round a little differently.
"""

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from training.batches import Batches
from training.checkpoint import save_config, save_weights
from training.model import Llama, Shape
from training.text import read_chapters
from training.tokenizer import save_tokenizer, train_tokenizer

SEED = 1611
HELD_OUT_EVERY = 100
BATCH = 16
PEAK_RATE = 4e-3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "kjv-tiny")
    parser.add_argument("--steps", type=int, default=3200, help="default: 3200, about nine passes over the text")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def rate_at(step, steps, warmup=100):
    """Linear warm-up, then a cosine to nothing."""
    if step < warmup:
        return PEAK_RATE * (step + 1) / warmup
    return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def optimizer_for(model):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), fused=True)


def loss_of(model, inputs, targets):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(torch.from_numpy(inputs))
    return F.cross_entropy(logits.flatten(0, 1).float(), torch.from_numpy(targets).flatten())


@torch.no_grad()
def held_out_loss(model, batches):
    losses = [loss_of(model, inputs, targets).item() for inputs, targets in batches]
    return sum(losses) / len(losses)


def endless(batches):
    while True:
        yield from batches.epoch(BATCH)


def train(model, batches, steps):
    """Returns the mean loss of the last 100 steps."""
    optimizer, started, last = optimizer_for(model), time.time(), []
    for step, (inputs, targets) in zip(range(steps), endless(batches)):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps)
        loss = loss_of(model, inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        last = [*last[-99:], loss.item()]
        if step % 25 == 0:
            print(f"step {step}/{steps} loss {last[-1]:.4f} seconds {time.time() - started:.0f}", flush=True)
    return sum(last) / len(last)


def main():
    args = arguments()
    torch.manual_seed(SEED)
    torch.set_num_threads(args.threads)
    chapters = read_chapters()
    shape = Shape()
    tokenizer = train_tokenizer((chapter.text() for chapter in chapters), shape.vocab_size)
    unseen = chapters[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    seen = [chapter for chapter in chapters if chapter not in unseen]
    model = Llama(shape)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(seen)} chapters, {len(unseen)} held out")
    model.compile()
    print(f"training loss {train(model, Batches(seen, tokenizer, SEED), args.steps):.4f} per token, mean of the last 100 steps")
    print(f"held-out loss {held_out_loss(model, Batches(unseen, tokenizer, SEED).epoch(4)):.4f} per token")
    args.out.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, args.out, shape.max_position_embeddings)
    save_config(shape, tokenizer, args.out)
    save_weights(model, args.out)
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
