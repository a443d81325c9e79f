"""Transformers in the version of its runtime: one folder inside the package, texts in, the pipeline's answers out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_engines import EngineInterpreter, prepare_engine
from served import Server, fails_to_start, serve

#: Importing PyTorch and Transformers takes ten seconds each time.
pytestmark = pytest.mark.runtimes

WRITE = """
import os
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
torch.manual_seed(0)
words = ["[PAD]", "[UNK]", "[MASK]", "good", "bad"]
tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]", model_max_length=8
)
config = transformers.DistilBertConfig(
    vocab_size=5, dim=8, hidden_dim=8, n_layers=1, n_heads=1, max_position_embeddings=8,
    id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1},
)
for kind in ("SequenceClassification", "TokenClassification", "MaskedLM", "QuestionAnswering"):
    folder = os.path.join(kind, "model", "net")
    getattr(transformers, "DistilBertFor" + kind)(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
folder = os.path.join("Model", "model", "net")
transformers.DistilBertModel(config).save_pretrained(folder)
tokenizer.save_pretrained(folder)
"""


@pytest.fixture(scope="session")
def transformers() -> EngineInterpreter:
    """A Python with Transformers."""
    return prepare_engine("Transformers")


@pytest.fixture(scope="session")
def packages(transformers: EngineInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of packages without inference code, by the kind of model."""
    folder = tmp_path_factory.mktemp("transformers")
    transformers.run(WRITE, folder)
    for model in folder.glob("*/model"):
        (model / "config.json").write_text(json.dumps({"model_type": "Transformers"}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def classifier(transformers: EngineInterpreter, packages: Path) -> Iterator[Server]:
    """A model that sorts texts."""
    with serve(transformers, packages / "SequenceClassification", OMP_NUM_THREADS="1") as server:
        yield server


def test_texts_are_sorted_one_answer_for_each(classifier: Server) -> None:
    (one,) = classifier.post({"inputs": "good"}).json["outputs"]
    assert set(one) == {"label", "score"}
    assert one["label"] in {"no", "yes"}
    assert classifier.post({"inputs": ["good", "bad bad", "good"]}).json["outputs"][::2] == [one, one]
    assert classifier.post({"inputs": []}).json == {"outputs": []}


def test_a_text_longer_than_the_model_reads_is_cut(classifier: Server) -> None:
    assert classifier.post({"inputs": "good " * 500}).status == 200


def test_a_form_brings_texts_in_fields_and_files(classifier: Server) -> None:
    field = classifier.post_form(("inputs", None, b"good")).json
    assert classifier.post_form(("inputs", "a.txt", b"good"), ("inputs", "b.txt", b"good")).json == {
        "outputs": field["outputs"] * 2
    }
    answer = classifier.post_form(("inputs", "a.bin", b"\xff"))
    assert (answer.status, answer.json["error_code"]) == (400, "MR.0105")


def test_only_harmless_parameters_are_open_to_clients(classifier: Server) -> None:
    both = classifier.post({"inputs": "good", "parameters": {"top_k": 2}}).json["outputs"][0]
    assert sorted(row["label"] for row in both) == ["no", "yes"]
    for parameters in ({"trust_remote_code": True}, {"custom_generate": "x"}, [1], "no json"):
        assert classifier.post({"inputs": "good", "parameters": parameters}).status == 400


@pytest.mark.parametrize("document", [{}, {"text": "good"}, [1], {"inputs": 1}, {"inputs": ["good", 1]}])
def test_a_request_without_texts_is_the_clients_error(classifier: Server, document: object) -> None:
    assert classifier.post(document).status == 400


def test_the_architecture_names_the_task(transformers: EngineInterpreter, packages: Path) -> None:
    with serve(transformers, packages / "MaskedLM") as server:
        rows = server.post({"inputs": "good [MASK]", "parameters": {"top_k": 2}}).json["outputs"][0]
        assert [set(row) for row in rows] == [{"score", "token", "token_str", "sequence"}] * 2
    with serve(transformers, packages / "TokenClassification") as server:
        words = server.post({"inputs": "good bad"}).json["outputs"][0]
        assert [word["word"] for word in words] == ["good", "bad"]
    with serve(transformers, packages / "Model") as server:
        ((vectors,),) = server.post({"inputs": "good bad"}).json["outputs"]
        assert [len(vector) for vector in vectors] == [8, 8]


def test_an_architecture_without_a_pipeline_asks_for_code(transformers: EngineInterpreter, packages: Path) -> None:
    line, _ = fails_to_start(transformers, packages / "QuestionAnswering")
    assert line["stage"] == "construct"
    assert "DistilBertForQuestionAnswering: bring a customize_service.py" in line["message"]


def test_two_folders_and_none_are_told(transformers: EngineInterpreter, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "model" / name).mkdir(parents=True)
        for file in ("config.json", "model.safetensors"):
            (tmp_path / "model" / name / file).write_bytes(b"{}")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "Transformers"}', encoding="utf-8")
    line, _ = fails_to_start(transformers, tmp_path)
    assert line["message"].endswith("and has one, two")
    (tmp_path / "model" / "one" / "model.safetensors").rename(tmp_path / "model" / "one" / "pytorch_model.bin")
    (tmp_path / "model" / "two" / "config.json").unlink()
    line, _ = fails_to_start(transformers, tmp_path)
    assert line["message"].endswith("and has none")


def test_weights_that_are_a_pickle_are_not_loaded(
    transformers: EngineInterpreter, packages: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model" / "net"
    folder.mkdir(parents=True)
    for path in (packages / "SequenceClassification" / "model" / "net").iterdir():
        if path.suffix == ".json":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    (folder / "other.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "Transformers"}', encoding="utf-8")
    line, _ = fails_to_start(transformers, tmp_path)
    assert (line["stage"], line["type"]) == ("construct", "OSError")


def test_code_that_a_model_brings_is_not_run(transformers: EngineInterpreter, packages: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model" / "net"
    folder.mkdir(parents=True)
    for path in (packages / "SequenceClassification" / "model" / "net").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "own.py").write_text("print('own code ran')\n", encoding="utf-8")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "Transformers"}', encoding="utf-8")
    line, log = fails_to_start(transformers, tmp_path)
    assert line["stage"] == "construct"
    assert "own code ran" not in log
