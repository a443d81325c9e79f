# coding: utf-8
"""The network of the iris model; training and inference both import it."""

from mindspore import nn


class IrisNetwork(nn.Cell):
    """Two dense layers: lengths in cm of shape (n, 4) to three logits each."""

    def __init__(self):
        super(IrisNetwork, self).__init__()
        self.hidden = nn.Dense(4, 16, activation="relu")
        self.output = nn.Dense(16, 3)

    def construct(self, lengths):
        """Give the logits of the species."""
        return self.output(self.hidden(lengths))
