# coding: utf-8
"""The network of the digits model; training and inference both import it."""

import torch.nn as nn
import torch.nn.functional as F


class DigitsNetwork(nn.Module):
    """A small convolutional network: images of shape (n, 1, 8, 8) between 0 and 1 to ten logits each."""

    def __init__(self):
        super(DigitsNetwork, self).__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * 2 * 2, 64)
        self.output = nn.Linear(64, 10)

    def forward(self, images):
        """Give the logits of the digits 0 to 9."""
        images = F.max_pool2d(F.relu(self.first(images)), 2)
        images = F.max_pool2d(F.relu(self.second(images)), 2)
        return self.output(F.relu(self.hidden(images.view(images.size(0), -1))))
