"""Train a small network on 8x8 digits and save its state as digits.pth (PyTorch 1.0 to today's)."""

import os
import sys

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)
from digits_network import DigitsNetwork  # noqa: E402

EPOCHS = 12
BATCH = 64


def to_tensor(pixels):
    """Make images of shape (n, 1, 8, 8) between 0 and 1 of pixels between 0 and 16."""
    return torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16


def fit(images, digits):
    """Train a network with a fixed seed, on one thread so that sums come in the same order on each run."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = DigitsNetwork()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))
        for start in range(0, len(images), BATCH):
            batch = order[start : start + BATCH]
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), digits[batch]).backward()
            optimizer.step()
    return network.eval()


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    pixels, digits = training.read_table("digits")
    test = training.held_out(len(pixels))
    network = fit(to_tensor(pixels[~test]), torch.tensor(digits[~test]))
    with torch.no_grad():
        metrics = training.measure(digits[test], network(to_tensor(pixels[test])).argmax(dim=1).numpy())
        responses = {}
        for name, request in training.read_samples(HERE).items():
            chances = F.softmax(network(to_tensor(request["images"])), dim=1)
            results = [{"digit": int(row.argmax()), "probability": float(row.max())} for row in chances]
            responses[name] = {"results": results}
    torch.save(network.state_dict(), os.path.join(out, "digits.pth"))
    training.write_report(out, torch.__version__, metrics, responses)


if __name__ == "__main__":
    main()
