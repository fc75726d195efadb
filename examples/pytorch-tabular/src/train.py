"""Train a small network on the processes that torchrun begins, and go on where an earlier attempt was ended."""

import argparse
import csv
import hashlib
import json
import os
import pathlib
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from model import FEATURES, TARGET, Net, save


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CSV of pumps")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds to wait after an epoch, as if it were a long one")
    return parser.parse_args()


def rows(path):
    """The training rows and those that are held out, by a hash of their ids."""
    parts = {True: [], False: []}
    with open(path, newline="") as source:
        for row in csv.DictReader(source):
            held = hashlib.sha256(row["pump_id"].encode()).digest()[0] < 64
            parts[held].append([float(row[name]) for name in FEATURES + [TARGET]])
    return [(t[:, :-1], t[:, -1]) for t in (torch.tensor(parts[False]), torch.tensor(parts[True]))]


def place():
    """A GPU, where the run was given any: processes share them out by their number. Else the processors."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    return torch.device("cpu")


def auc(scores, target):
    """The share of pairs of a failed and a sound pump in which the failed one scores higher; a tie counts a half."""
    bad, good = scores[target == 1], scores[target == 0]
    pairs = bad[:, None] - good[None, :]
    return float((pairs > 0).float().mean() + 0.5 * (pairs == 0).float().mean())


def main():
    args = parse_args()
    if os.environ["LOCAL_WORLD_SIZE"] == os.environ["WORLD_SIZE"]:  # all on this machine, where there may be no network
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo")  # which carries the gradients of GPUs, too, also where two processes share one
    rank, world, device = dist.get_rank(), dist.get_world_size(), place()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    (x, y), (x_test, y_test) = [(a.to(device), b.to(device)) for a, b in rows(args.data)]
    model = Net(args.width).to(device)
    model.mean.copy_(x.mean(0)), model.scale.copy_(x.std(0))
    shared = DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.Adam(shared.parameters(), lr=args.learning_rate)

    checkpoint, first = pathlib.Path(os.environ["VISHWA_CHECKPOINT_DIR"], "state.pt"), 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
        if rank == 0:
            print(f"going on after epoch {first}")
    if rank == 0:
        print(f"{world} processes, the first on {device}")

    for epoch in range(first, args.epochs):
        # The order depends on the seed and the epoch alone, so that going on comes to the same numbers.
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(args.seed * 1000 + epoch))
        order = order[: len(order) // (64 * world) * 64 * world].view(-1, world, 64)
        for batch in order[:, rank]:
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(shared(x[batch]), y[batch]).backward()
            optimizer.step()
        if rank == 0:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
        time.sleep(args.pause)

    if rank == 0:
        model.eval()
        with torch.no_grad():
            said = model(x_test)
        metrics = {
            "auc": auc(said, y_test),
            "log_loss": float(nn.functional.binary_cross_entropy_with_logits(said, y_test)),
            "accuracy": float(((said > 0) == (y_test == 1)).float().mean()),
            "processes": world,
        }
        save(model, os.path.join(os.environ["VISHWA_MODEL_DIR"], "model.safetensors"))
        pathlib.Path(os.environ["VISHWA_METRICS"]).write_text(json.dumps(metrics))
        print(f"width {args.width}: AUC {metrics['auc']:.4f} on {len(y_test)} held-out pumps")
    dist.destroy_process_group()


main()
