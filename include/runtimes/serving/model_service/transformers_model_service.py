"""Base class of Transformers packages: ``self.pipeline`` is the pipeline of the model in one folder under ``model/``.

The folder is the one that ``save_pretrained`` writes: ``config.json``, ``*.safetensors``, the tokenizer's files. It
cannot be ``model/`` itself, because the package's own ``config.json`` lies there.

The default service takes ``{"inputs": text or list of texts, "parameters": {...}}``, as JSON or as a form, whose
uploaded files are texts too, and answers ``{"outputs": [one entry per text]}``: what the library's pipeline gives for
the task that the model's architecture names. Nothing is looked for on the internet, and no code that a model brings is
run.
"""

from __future__ import absolute_import

import json
import os

from model_service.log import getLogger
from model_service.model_service import SingleNodeService, lazy

CONFIG = "config.json"
WEIGHTS = ".safetensors"

# End of the architecture's name: (task, class that loads it, what a client may choose).
_SAMPLING = ("max_new_tokens", "do_sample", "temperature", "top_k", "top_p", "repetition_penalty", "return_full_text")
_TASKS = (
    (
        "ForSequenceClassification",
        "text-classification",
        "AutoModelForSequenceClassification",
        ("top_k", "function_to_apply"),
    ),
    ("ForTokenClassification", "token-classification", "AutoModelForTokenClassification", ("aggregation_strategy",)),
    ("ForMaskedLM", "fill-mask", "AutoModelForMaskedLM", ("top_k", "targets")),
    ("ForCausalLM", "text-generation", "AutoModelForCausalLM", _SAMPLING),
    ("LMHeadModel", "text-generation", "AutoModelForCausalLM", _SAMPLING),
    ("Model", "feature-extraction", "AutoModel", ()),
)
# Texts longer than the model can read are cut; the other tasks' pipelines see to it themselves.
_CUT = ("text-classification", "feature-extraction")

_logger = getLogger(__name__)


class TransformersServingBaseService(SingleNodeService):
    """``_preprocess`` gives ``(texts, parameters)``, ``_inference`` the pipeline's answers to them."""

    airlock_serves_alone = True

    def airlock_prepare(self):
        """Load the model at start."""
        return self.pipeline

    @lazy
    def model_folder(self):
        """The one folder with the model's own ``config.json`` and its weights."""
        return find_folder(self.model_path)

    @lazy
    def pipeline(self):
        """The pipeline of the model, loaded when it is first read; on the GPU where there is one."""
        return load_pipeline(self.model_folder)

    def _preprocess(self, data):
        if not isinstance(data, dict) or "inputs" not in data:
            raise KeyError('inputs: the request has to be {"inputs": text or list of texts}')
        return _texts(data["inputs"]), _parameters(self.pipeline.task, data.get("parameters"))

    def _inference(self, data):
        texts, parameters = data
        if not texts:
            return []
        if self.pipeline.task in _CUT:
            parameters = dict(parameters, truncation=True)
        if self.pipeline.task == "fill-mask":
            # Of a list of one text it gives what it gives of the text alone.
            return [self.pipeline(text, **parameters) for text in texts]
        return self.pipeline(texts, **parameters)

    def _postprocess(self, data):
        return {"outputs": data}


def find_folder(model_path):
    """Return the one folder below ``model_path`` that holds a model as Transformers saves it.

    Raises:
        RuntimeError: There is none, or more than one; the message names them.
    """
    found = []
    for name in sorted(os.listdir(model_path)):
        folder = os.path.join(model_path, name)
        if os.path.isdir(folder) and os.path.isfile(os.path.join(folder, CONFIG)):
            if any(entry.endswith(WEIGHTS) for entry in os.listdir(folder)):
                found.append(name)
    if len(found) != 1:
        raise RuntimeError(
            "model/ must have one folder with a model's %s and *%s, and has %s"
            % (CONFIG, WEIGHTS, ", ".join(found) or "none")
        )
    return os.path.join(model_path, found[0])


def load_pipeline(folder):
    """Return the pipeline of a folder's model, for the task that its architecture names.

    Raises:
        RuntimeError: The architecture has no task that this service knows.
    """
    # Read when the library is imported: without them it asks its hub for newer files.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    import torch
    import transformers

    local = {"local_files_only": True, "trust_remote_code": False}
    config = transformers.AutoConfig.from_pretrained(folder, **local)
    architecture = (config.architectures or [""])[0]
    task, loader, _ = _task_of(architecture)
    model = getattr(transformers, loader).from_pretrained(folder, config=config, use_safetensors=True, **local)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
    gpu = torch.cuda.is_available()
    _logger.info("%s for %s on %s", architecture, task, "GPU" if gpu else "CPU")
    return transformers.pipeline(task, model=model, tokenizer=tokenizer, device=0 if gpu else -1)


def _task_of(architecture):
    for ending, task, loader, choices in _TASKS:
        if architecture.endswith(ending):
            return task, loader, choices
    raise RuntimeError(
        "no pipeline is known for the architecture %s: bring a customize_service.py that overrides _preprocess, "
        "_inference and _postprocess" % (architecture or "that the model's config.json does not name")
    )


def _texts(value):
    if isinstance(value, dict):  # uploaded files by name
        try:
            value = [stream.getvalue().decode("utf-8") for stream in value.values()]
        except (AttributeError, UnicodeDecodeError):
            raise TypeError("inputs has to be a text, a list of texts, or files of UTF-8 text")
    texts = value if isinstance(value, list) else [value]
    if not all(hasattr(text, "encode") for text in texts):
        raise TypeError("inputs has to be a text or a list of texts")
    return texts


def _parameters(task, value):
    """Return what the client chooses of the pipeline; the rest is not open to it: some of it loads files and code."""
    if hasattr(value, "encode"):  # a form's field
        try:
            value = json.loads(value)
        except ValueError:
            raise TypeError("parameters has to be a JSON object")
    parameters = value or {}
    if not isinstance(parameters, dict):
        raise TypeError("parameters has to be an object")
    known = next(choices for _, name, _, choices in _TASKS if name == task)
    unknown = sorted(name for name in parameters if name not in known)
    if unknown:
        raise TypeError("unknown parameters %s; %s takes %s" % (", ".join(unknown), task, ", ".join(known) or "none"))
    return parameters
