"""Base class of ONNX packages: ``self.session`` is an ONNX Runtime session of the one ``*.onnx`` file.

The default service takes ``{input name: nested lists}``, or a form whose fields are named like the inputs and hold
images, and answers ``{output name: nested lists}``. What ``onnx_inputs`` cannot turn into the model's inputs is the
client's error and says what the model takes.
"""

from __future__ import absolute_import

import os

from model_service.log import getLogger
from model_service.model_service import SingleNodeService, lazy

GPU_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"

_logger = getLogger(__name__)


class OnnxServingBaseService(SingleNodeService):
    """``_inference`` takes ``{input name: array or nested lists}`` and gives ``{output name: array}``."""

    airlock_serves_alone = True

    def airlock_prepare(self):
        """Load the model at start."""
        return self.session

    @lazy
    def session(self):
        """The model, loaded when it is first read; on the GPU where this is the build for it."""
        return new_session(self.model_path)

    def _preprocess(self, data):
        from model_service import onnx_inputs

        return onnx_inputs.inputs_of(self.session.get_inputs(), data)

    def _inference(self, data):
        from model_service import onnx_inputs

        feed = onnx_inputs.feed_of(self.session.get_inputs(), data)
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, feed)))

    def _postprocess(self, data):
        return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in data.items()}


def new_session(path):
    """Return a session of a model file.

    Raises:
        RuntimeError: This is the build for GPUs and it cannot use one: silently falling back to the CPU would be a
            hundred times slower and look alike.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit():
        # Unless told, it takes every processor of the machine, whatever share of it this service was given.
        options.intra_op_num_threads = int(threads)
    # Its threads would spin while they wait, and use up the share of processors that the container has.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [CPU_PROVIDER]
    if GPU_PROVIDER in onnxruntime.get_available_providers():
        # NVIDIA's libraries are Python distributions here, where the system's loader does not look.
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        providers.insert(0, GPU_PROVIDER)
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    if session.get_providers()[: len(providers)] != providers:
        raise RuntimeError("ONNX Runtime cannot use the GPU; it offers %s" % ", ".join(session.get_providers()))
    _logger.info("ONNX Runtime %s with %s", onnxruntime.__version__, session.get_providers()[0])
    return session
