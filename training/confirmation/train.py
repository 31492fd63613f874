"""Train the confirmation net on the crops of `scenes.py`.

    python train.py WEIGHTS.npz CROPS.npz... --held-out CROPS.npz [--minutes 25] [--start EARLIER.npz --rate 0.0015]

Needs torch and numpy only. The weights are written with batch normalisation folded into the convolutions. With
`--start`, training goes on from written weights, and crops that these judge well are drawn less often.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE, CROP = 48, 64  # pixels of the net's input and of the stored crops
BATCH, RATE, DECAY = 192, 4e-3, 0.02
SHIFT = 4  # pixels
MEAN, SCALE = 127.5, 1 / 128
WIDTHS = ((16, 2), (24, 1), (32, 2), (48, 1), (64, 2), (64, 1), (96, 2))  # channels and stride of each convolution
HIDDEN, OUTPUTS = 128, 15
BOX_WEIGHT, POINT_WEIGHT = 4.0, 4.0
SAMPLE = 2048  # crops for the statistics of the first step
EASY, CERTAIN = 0.14, 3.0  # how often easy crops are drawn; logit from which a crop is easy
JUDGED_AGAIN = 0.4  # share of the time after which the crops are judged again
FLIPPED = [1, 0, 2, 4, 3]  # the five points of a mirrored face


class Confirmation(nn.Module):
    """Seven convolutions and two dense layers: crops (N, 3, 48, 48) -> logit, four box sides, ten coordinates."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for outputs, stride in WIDTHS:
            padding = 1 if layers else 0  # without padding, standardisation can be folded into the first layer
            layers += [nn.Conv2d(channels, outputs, 3, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            channels = outputs
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Linear(channels * 9, HIDDEN)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(HIDDEN, OUTPUTS)

    def forward(self, crops: Tensor) -> Tensor:
        """Return (N, 15)."""
        return self.head(self.dropout(functional.relu(self.hidden(self.body(crops).flatten(1)))))


def folded(net: Confirmation) -> dict[str, np.ndarray]:
    """Return the weights for pixels 0 to 255, without batch normalisation."""
    weights: dict[str, np.ndarray] = {}
    modules = list(net.body)
    for number in range(len(WIDTHS)):
        convolution, norm = modules[3 * number], modules[3 * number + 1]
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weights[f"conv{number + 1}/0"] = (convolution.weight * factor[:, None, None, None]).detach().numpy()
        weights[f"conv{number + 1}/1"] = (norm.bias - norm.running_mean * factor).detach().numpy()
    weights["conv1/0"] = weights["conv1/0"] * np.float32(SCALE)
    weights["conv1/1"] = weights["conv1/1"] - np.float32(MEAN) * weights["conv1/0"].sum(axis=(1, 2, 3))
    for name, layer in (("hidden", net.hidden), ("found", net.head)):
        weights[f"{name}/0"], weights[f"{name}/1"] = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return weights


@torch.no_grad()
def unfold(net: Confirmation, weights: dict[str, np.ndarray], crops: Crops) -> None:
    """Load weights that `folded` wrote: the function is the same, with the statistics of crops in the normalisation.

    Where the net is wider than the weights, the additional channels are random, and later layers do not use them yet.
    """
    random = np.random.default_rng(1)
    found = crops.batch(np.sort(random.permutation(len(crops.kind))[:SAMPLE]), random, vary=True)[0]
    modules = list(net.body)
    for number in range(len(WIDTHS)):
        convolution, norm = modules[3 * number], modules[3 * number + 1]
        kernel = widened(weights[f"conv{number + 1}/0"], convolution.weight)
        bias = widened(weights[f"conv{number + 1}/1"], norm.bias)
        if not number:
            bias = bias + MEAN * kernel.sum(dim=(1, 2, 3))
            kernel = kernel / SCALE
        convolution.weight.copy_(kernel)
        result = convolution(found)
        norm.running_mean.copy_(result.mean(dim=(0, 2, 3)))
        norm.running_var.copy_(result.var(dim=(0, 2, 3)))
        norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps))
        norm.bias.copy_(norm.running_mean + bias)
        found = functional.relu(result + bias[:, None, None])
    for name, layer in (("hidden", net.hidden), ("found", net.head)):
        layer.weight.copy_(widened(weights[f"{name}/0"], layer.weight))
        layer.bias.copy_(widened(weights[f"{name}/1"], layer.bias))


def widened(values: np.ndarray, like: Tensor) -> Tensor:
    """Return weights in the shape of a random tensor: further outputs keep its values, further inputs count nothing."""
    found = like.detach().clone()
    outputs = len(values)
    if values.ndim > 1:
        found[:outputs] = 0
        found[:outputs, : values.shape[1]] = torch.from_numpy(np.float32(values))
    else:
        found.zero_()
        found[:outputs] = torch.from_numpy(np.float32(values))
    return found


class Crops:
    """Stored crops with their labels."""

    def __init__(self, files: list[Path]) -> None:
        parts = [np.load(file) for file in files]
        for key in ("crops", "kind", "boxes", "points", "sides", "logits"):
            setattr(self, key, np.concatenate([part[key] for part in parts]))

    def add(self, file: Path) -> None:
        """Add the crops of a file."""
        part = np.load(file)
        for key in ("crops", "kind", "boxes", "points", "sides", "logits"):
            setattr(self, key, np.concatenate([getattr(self, key), part[key]]))

    def batch(self, rows: np.ndarray, random: np.random.Generator, *, vary: bool) -> tuple[Tensor, ...]:
        """Return inputs and targets, shifted and mirrored at random if `vary`.

        Targets are in sides of the candidate, from its centre.
        """
        crops, kind = self.crops[rows], self.kind[rows]
        boxes, points = self.boxes[rows].copy(), self.points[rows].copy()
        count, low = len(rows), (CROP - SIDE) // 2
        moves = random.integers(-SHIFT, SHIFT + 1, (count, 2)) if vary else np.zeros((count, 2), int)
        mirrored = random.random(count) < 0.5 if vary else np.zeros(count, bool)
        cut = np.empty((count, SIDE, SIDE, 3), np.uint8)
        for number, (x, y) in enumerate(moves + low):
            cut[number] = crops[number, y : y + SIDE, x : x + SIDE]
        offset = moves / (CROP / 2)  # a crop shows two sides
        boxes -= np.tile(offset, 2)
        points -= offset[:, None]
        cut[mirrored] = cut[mirrored][:, :, ::-1]
        boxes[mirrored] = boxes[mirrored][:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
        points[mirrored] = points[mirrored][:, FLIPPED] * [-1, 1]
        pixels = (torch.from_numpy(cut.transpose(0, 3, 1, 2).astype(np.float32)) - MEAN) * SCALE
        if vary:
            pixels = pixels * torch.exp(0.15 * torch.randn(count, 1, 1, 1)) + 0.1 * torch.randn(count, 1, 1, 1)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return pixels, *(torch.from_numpy(np.float32(array)) for array in (kind, boxes, points.reshape(count, 10)))


def loss_of(found: Tensor, kind: Tensor, boxes: Tensor, points: Tensor) -> Tensor:
    """Cross entropy of the score, smooth L1 of box and points of faces."""
    logits = found[:, 0]
    score = functional.binary_cross_entropy_with_logits(logits, kind, reduction="none")
    share = (kind > 0).float()
    places = functional.smooth_l1_loss(found[:, 1:5], boxes, beta=0.1, reduction="none").mean(1) * BOX_WEIGHT
    known = torch.isfinite(points)  # some faces have no points
    apart = functional.smooth_l1_loss(found[:, 5:], torch.where(known, points, 0), beta=0.1, reduction="none")
    places = places + (apart * known).mean(1) * POINT_WEIGHT
    return score.mean() + (places * share).sum() / share.sum().clamp(min=1)


@torch.no_grad()
def judged(net: Confirmation, crops: Crops) -> np.ndarray:
    """Return the outputs for all crops."""
    net.eval()
    random = np.random.default_rng(0)
    rows = np.array_split(np.arange(len(crops.kind)), max(1, len(crops.kind) // 1024))
    with torch.autocast("cpu", torch.bfloat16):
        found = [net(crops.batch(part, random, vary=False)[0]).float().numpy() for part in rows]
    net.train()
    return np.concatenate(found)


def shares(net: Confirmation, crops: Crops) -> np.ndarray:
    """Return how often each crop is drawn: those judged with certainty, and rightly, a seventh as often."""
    margin = judged(net, crops)[:, 0] * np.where(crops.kind == 1, 1, -1)
    drawn = EASY + (1 - EASY) / (1 + np.exp(margin - CERTAIN))
    return drawn / drawn.sum()


def report(net: Confirmation, crops: Crops) -> str:
    """Return the recall of held-out faces at three shares of accepted background, and the point error."""
    found = judged(net, crops)
    face = crops.kind == 1
    others = np.sort(found[~face, 0])[::-1]
    recalls = [(found[face, 0] > others[int(share * len(others))]).mean() for share in (0.003, 0.01, 0.03)]
    small = face & (crops.sides < 40)
    recalls += [(found[small, 0] > others[int(0.01 * len(others))]).mean()]
    error = np.nanmean(np.linalg.norm(found[face, 5:].reshape(-1, 5, 2) - crops.points[face], axis=2))
    return "recall at 0.3 %, 1 %, 3 %, small at 1 %: {:.4f} {:.4f} {:.4f} {:.4f}; ".format(*recalls) + f"{error:.4f}"


def main() -> None:
    """Train for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("crops", type=Path, nargs="+", help="those that do not exist yet are added when they do")
    parser.add_argument("--held-out", type=Path, action="append", required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--start", type=Path, help="go on from these weights")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
    present = [file for file in options.crops if file.exists()]
    missing = [file for file in options.crops if file not in present]
    crops, held_out = Crops(present), Crops(options.held_out)
    print(len(crops.kind), "crops,", int((crops.kind == 1).sum()), "faces;", len(held_out.kind), "held out", flush=True)
    net = Confirmation().to(memory_format=torch.channels_last)
    drawn = None
    if options.start:
        unfold(net, dict(np.load(options.start)), crops)
        print(f"start: {report(net, held_out)}", flush=True)
        drawn = np.cumsum(shares(net, crops))
    optimizer = torch.optim.AdamW(net.parameters(), options.rate, weight_decay=DECAY)
    start, step, last, running = time.monotonic(), 0, 0.0, 0.0
    judged_at = 0.0
    while (done := (time.monotonic() - start) / 60 / options.minutes) < 1:
        arrived = [file for file in missing if not step % 100 and file.exists()]
        for file in arrived:
            crops.add(file)
            missing.remove(file)
            print(f"{file} added: {len(crops.kind)} crops", flush=True)
        if drawn is not None and (arrived or done > judged_at + JUDGED_AGAIN):
            drawn, judged_at = np.cumsum(shares(net, crops)), done
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * done))
        rows = random.integers(len(crops.kind), size=BATCH)
        if drawn is not None:
            rows = np.minimum(np.searchsorted(drawn, random.random(BATCH)), len(drawn) - 1)
        inputs, *targets = crops.batch(rows, random, vary=True)
        with torch.autocast("cpu", torch.bfloat16):
            found = net(inputs)
        loss = loss_of(found.float(), *targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimizer.step()
        step, running = step + 1, running + float(loss.detach())
        if done - last > 0.08:
            print(f"{done:.0%} step {step}, loss {running / step:.4f}; {report(net, held_out)}", flush=True)
            last = done
            net.eval()
            np.savez(options.weights, **folded(net))
            net.train()
    net.eval()
    print(f"{step} steps; {report(net, held_out)}", flush=True)
    net.eval()
    np.savez(options.weights, **folded(net))


if __name__ == "__main__":
    main()
