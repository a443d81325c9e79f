"""Array helpers for MXNet packages."""

from __future__ import absolute_import


def top_probability(data, labels, top=5):
    """Return the ``top`` most probable labels: ``[{"probability": float, "class": label}, ...]``, best first."""
    import mxnet

    dim = len(data.shape)
    if dim > 2:
        data = mxnet.nd.array(mxnet.nd.squeeze(data))
    probabilities = data.asnumpy().reshape(-1)
    best = probabilities.argsort()[::-1][:top]
    return [{"probability": float(probabilities[index]), "class": labels[int(index)]} for index in best]
