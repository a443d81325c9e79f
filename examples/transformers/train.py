"""Train a small DistilBERT on messages to a shop and save it as the folder messages/ (Transformers 5, PyTorch 2)."""

import csv
import os
import sys

# Read when the library is imported: nothing is looked for on the internet.
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also the engine's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LENGTH = 32
EPOCHS = 8
BATCH = 32


def read_messages():
    """Read the texts, the number of each one's kind, and the kinds."""
    with open(os.path.join(training.EXAMPLES, "data", "messages.csv"), encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    kinds = sorted({kind for _, kind in rows})
    return [text for text, _ in rows], np.array([kinds.index(kind) for _, kind in rows]), kinds


def make_tokenizer(texts):
    """Make a tokenizer whose words are those of the texts."""
    words = sorted({word for text in texts for word in text.replace(",", " ").replace(":", " ").split()})
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, ",", ":", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=LENGTH,
    )


def fit(model, tokens, kinds):
    """Train on one thread, so that sums come in the same order on each run."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.002)
    model.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(kinds))
        for start in range(0, len(kinds), BATCH):
            batch = order[start : start + BATCH]
            optimizer.zero_grad()
            model(**{name: tensor[batch] for name, tensor in tokens.items()}, labels=kinds[batch]).loss.backward()
            optimizer.step()
    return model.eval()


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    texts, numbers, kinds = read_messages()
    tokenizer = make_tokenizer(texts)
    model = transformers.DistilBertForSequenceClassification(
        transformers.DistilBertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=LENGTH,
            dim=32,
            hidden_dim=64,
            n_layers=2,
            n_heads=2,
            id2label=dict(enumerate(kinds)),
            label2id={kind: number for number, kind in enumerate(kinds)},
        )
    )
    test = training.held_out(len(texts))
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False)
    fit(model, {name: tensor[~test] for name, tensor in tokens.items()}, torch.tensor(numbers[~test]))

    def chances(some):
        made = tokenizer(some, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            return model(**made).logits.softmax(dim=1).numpy()

    held = [text for text, kept in zip(texts, test) if kept]
    metrics = training.measure(numbers[test], chances(held).argmax(axis=1))
    responses = {}
    for name, request in training.read_samples(HERE).items():
        # One text at a time, as the service does it: the padding of others changes the last digits.
        found = [chances([text])[0] for text in request["inputs"]]
        responses[name] = {"outputs": [{"label": kinds[int(row.argmax())], "score": float(row.max())} for row in found]}
    folder = os.path.join(out, "messages")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    training.write_report(out, transformers.__version__, metrics, responses)


if __name__ == "__main__":
    main()
