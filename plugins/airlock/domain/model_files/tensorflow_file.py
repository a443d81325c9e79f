"""TensorFlow's graphs: the operators of a SavedModel or a frozen graph, its signatures, who wrote it, what it loads.

Source: tensorflow/core/protobuf/saved_model.proto, meta_graph.proto, saved_object_graph.proto; framework/graph.proto.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from airlock.domain.model_files.facts import CERTAIN, STRONG, Facts, Problem, WrittenBy, claims, listed, numbered
from airlock.domain.model_files.keras_config import KERAS_VERSIONS, Layers
from airlock.domain.model_files.protobuf import BYTES, MAX_TEXT_BYTES, VARINT, Wire, entry, signed
from airlock.domain.model_files.ranges import MAX_JSON_BYTES, Ranges, parsed
from airlock.domain.model_files.streams import OverLimit, Unreadable

#: FlatBuffers have it where the file says which kind it is.
LITE_MARK = b"TFL3"
#: Operators that run Python, or read and write files and addresses that the graph names.
CODE_OPERATORS = {
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc"), "calls Python code"),
    **dict.fromkeys(
        ("ReadFile", "WholeFileReader", "WholeFileReaderV2", "MatchingFiles", "ImmutableConst", "TextLineReader",
         "TextLineReaderV2", "TextLineDataset", "TFRecordReader", "TFRecordReaderV2", "TFRecordDataset",
         "TFRecordDatasetV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2", "FixedLengthRecordDataset",
         "FixedLengthRecordDatasetV2", "CSVDataset", "CSVDatasetV2", "LoadDataset", "LoadDatasetV2", "SqlDataset",
         "LMDBReader", "LMDBDataset", "MatchingFilesDataset", "SnapshotDatasetReader"),
        "reads files that it names itself",
    ),
    **dict.fromkeys(
        ("WriteFile", "SaveDataset", "SaveDatasetV2", "DatasetToTFRecord", "DatasetToTFRecordV2", "SnapshotDataset",
         "SnapshotDatasetV2", "CreateSummaryFileWriter", "CreateSummaryDbWriter", "WriteSummary", "WriteGraphSummary",
         "WriteRawProtoSummary", "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DumpTensor", "PrintV2",
         "CacheDataset", "CacheDatasetV2"),
        "writes files that it names itself",
    ),
    **dict.fromkeys(
        ("RpcCall", "RpcClient", "RpcServer", "Rpc", "TryRpc", "RegisterDataset", "RegisterDatasetV2",
         "DataServiceDataset", "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4",
         "RemoteFusedGraphExecute", "BigQueryReader", "ConfigureDistributedTPU"),
        "opens connections",
    ),
}  # fmt: skip
#: PrintV2 writes to a file only where its stream is one; every traced `tf.print` has it.
_PRINTS = "PrintV2"
MAX_OPERATORS = 5000
_TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 9: "int64", 10: "bool",
    14: "bfloat16", 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
_INTERNAL_SIGNATURE = "__saved_model_init_op"


@dataclass(slots=True)
class _Seen:
    operators: dict[str, int] = field(default_factory=dict)
    prints_to_file: bool = False
    versions: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    layers: Layers = field(default_factory=Layers)
    graphs: int = 0


def read_saved_model(ranges: Ranges) -> Facts:
    """A `saved_model.pb`.

    Raises:
        Unreadable: It is none.
    """
    wire, seen = Wire(ranges), _Seen()
    for number, kind, start, end in wire.fields(0, ranges.size):
        if number == 2 and kind == BYTES:
            seen.graphs += 1
            _meta_graph(wire, start, end, seen)
    if not seen.graphs:
        raise Unreadable("it holds no graph")
    texts = dict.fromkeys(filter(None, map(numbered, seen.versions)))
    versions = [WrittenBy(library="TensorFlow", version=text) for text in texts]
    return Facts(
        says="is a SavedModel of TensorFlow",
        claims=claims(CERTAIN if versions else STRONG, "TensorFlow"),
        written_by=(*versions, *seen.layers.versions()),
        details=_details(seen),
        problems=(*_operator_problems(seen), *seen.layers.problems()),
        refers_to=tuple(f"assets/{name}" for name in seen.assets),
    )


def read_frozen_graph(ranges: Ranges) -> Facts:
    """A graph by itself, as TensorFlow 1 froze it.

    Raises:
        Unreadable: It is none.
    """
    wire, seen = Wire(ranges), _Seen()
    _graph(wire, 0, ranges.size, seen)
    if not seen.operators:
        raise Unreadable("it holds no graph")
    return Facts(
        says="is a frozen graph of TensorFlow",
        claims=claims(STRONG, "TensorFlow"),
        details=_details(seen),
        problems=tuple(_operator_problems(seen)),
    )


def refuse(ranges: Ranges) -> Facts:
    """A `saved_model.pbtxt` or `saved_model.cpb`, which TensorFlow loads where there is no other.

    Raises:
        OverLimit: Always.
    """
    raise OverLimit("a SavedModel as text or in parts is not read here")


def read_lite(ranges: Ranges) -> Facts:
    """A model of TensorFlow Lite, by the mark that its form has behind the first offset.

    Raises:
        Unreadable: It is none.
    """
    head = ranges.up_to(0, 8)
    if head[4:] != LITE_MARK or int.from_bytes(head[:4], "little") >= ranges.size:
        raise Unreadable("it is no model of TensorFlow Lite")
    message = "It is a model of TensorFlow Lite; inference code loads it with `tf.lite.Interpreter`, no service does."
    return Facts(
        says="is a model of TensorFlow Lite",
        claims=claims(STRONG, "TensorFlow"),
        problems=(Problem(code="MDL010", message=message),),
    )


def read_keras_metadata(ranges: Ranges) -> Facts:
    """The `keras_metadata.pb` that Keras 2.5 to 2.15 put beside a SavedModel.

    Raises:
        Unreadable: It is none.
    """
    wire, layers = Wire(ranges), Layers()
    for number, kind, start, end in wire.fields(0, ranges.size):
        if number == 1 and kind == BYTES:
            for inner, inner_kind, at, until in wire.fields(start, end):
                if inner == 5 and inner_kind == BYTES:
                    _metadata(wire, at, until, layers)
    return Facts(
        says="holds the layers of a Keras model",
        claims=claims(STRONG, "TensorFlow"),
        written_by=layers.versions(),
        details=layers.details(),
        problems=tuple(layers.problems()),
    )


def _meta_graph(wire: Wire, start: int, end: int, seen: _Seen) -> None:
    for number, kind, at, until in wire.fields(start, end):
        if kind != BYTES:
            continue
        if number == 1:
            for inner, inner_kind, begin, stop in wire.fields(at, until):
                if inner == 5 and inner_kind == BYTES:
                    seen.versions.append(wire.text(begin, stop))
        elif number == 2:
            _graph(wire, at, until, seen)
        elif number == 5:
            name, place = entry(wire, at, until)
            if name != _INTERNAL_SIGNATURE and len(seen.signatures) < 20:
                seen.signatures.append(f"{name}: {_signature(wire, *place)}")
        elif number == 6:
            for inner, inner_kind, begin, stop in wire.fields(at, until):
                if inner == 2 and inner_kind == BYTES:
                    seen.assets.append(wire.text(begin, stop))
        elif number == 7:
            _objects(wire, at, until, seen)


def _graph(wire: Wire, start: int, end: int, seen: _Seen) -> None:
    for number, kind, at, until in wire.fields(start, end):
        if number == 1 and kind == BYTES:
            _node(wire, at, until, seen)
        elif number == 2 and kind == BYTES:
            for inner, inner_kind, begin, stop in wire.fields(at, until):
                if inner == 1 and inner_kind == BYTES:
                    for part, part_kind, first, last in wire.fields(begin, stop):
                        if part == 3 and part_kind == BYTES:
                            _node(wire, first, last, seen)


def _node(wire: Wire, start: int, end: int, seen: _Seen) -> None:
    operator = ""
    for number, kind, at, until in wire.fields(start, end):
        if number == 2 and kind == BYTES:
            operator = wire.text(at, until)
    if not operator:
        raise Unreadable("a node of its graph has no operator", start)
    if len(seen.operators) < MAX_OPERATORS or operator in CODE_OPERATORS:
        seen.operators[operator] = seen.operators.get(operator, 0) + 1
    if operator == _PRINTS:
        for number, kind, at, until in wire.fields(start, end):
            if number == 5 and kind == BYTES:
                name, place = entry(wire, at, until)
                seen.prints_to_file |= name == "output_stream" and b"file://" in wire.raw(*place, MAX_TEXT_BYTES)


def _signature(wire: Wire, start: int, end: int) -> str:
    sides: dict[int, list[str]] = {1: [], 2: []}
    for number, kind, at, until in wire.fields(start, end):
        if number in sides and kind == BYTES:
            name, place = entry(wire, at, until)
            sides[number].append(f"{name} {_tensor(wire, *place)}")
    return f"{listed(sides[1])} → {listed(sides[2])}"


def _tensor(wire: Wire, start: int, end: int) -> str:
    kind_name, shape = "?", ""
    for number, kind, at, until in wire.fields(start, end):
        if number == 2 and kind == VARINT:
            kind_name = _TYPES.get(at, f"type {at}")
        elif number == 3 and kind == BYTES:
            shape = _shape(wire, at, until)
    return kind_name + shape


def _shape(wire: Wire, start: int, end: int) -> str:
    sizes = []
    for number, kind, at, until in wire.fields(start, end):
        if number == 3 and kind == VARINT and at:
            return ""
        if number == 2 and kind == BYTES:
            size = 0
            for inner, inner_kind, value, _ in wire.fields(at, until):
                if inner == 1 and inner_kind == VARINT:
                    size = signed(value)
            sizes.append("?" if size < 0 else str(size))
    return f"[{', '.join(sizes[:8])}]"


def _objects(wire: Wire, start: int, end: int, seen: _Seen) -> None:
    """The Keras layers that TensorFlow 2.0 to 2.4 kept among a SavedModel's objects."""
    for number, kind, at, until in wire.fields(start, end):
        if number != 1 or kind != BYTES:
            continue
        for inner, inner_kind, begin, stop in wire.fields(at, until):
            if inner == 4 and inner_kind == BYTES:
                _user_object(wire, begin, stop, seen.layers)


def _user_object(wire: Wire, start: int, end: int, layers: Layers) -> None:
    identifier, metadata = "", (0, 0)
    for number, kind, at, until in wire.fields(start, end):
        if number == 1 and kind == BYTES:
            identifier = wire.text(at, until)
        elif number == 3 and kind == BYTES:
            metadata = (at, until)
    if identifier.startswith("_tf_keras") and metadata[1] > metadata[0]:
        _metadata(wire, *metadata, layers)


def _metadata(wire: Wire, start: int, end: int, layers: Layers) -> None:
    value = parsed(wire.raw(start, end, MAX_JSON_BYTES), "the description of a Keras layer")
    if not isinstance(value, dict):
        raise Unreadable("the description of a Keras layer is no object", start)
    version = value.get(KERAS_VERSIONS)
    layers.version = layers.version or numbered(version)
    # Metadata say the class beside the configuration, not around it.
    layers.read(value)


def _details(seen: _Seen) -> tuple[tuple[str, str], ...]:
    found = []
    if seen.signatures:
        found += [("signature", text[:300]) for text in sorted(seen.signatures)[:4]]
    if seen.operators:
        found.append(("operators", listed(sorted(seen.operators))))
    return (*found, *seen.layers.details())


def _operator_problems(seen: _Seen) -> list[Problem]:
    return [
        Problem(
            code="MDL001",
            message=f"The graph holds {count:,} of the operator {name}, which {CODE_OPERATORS[name]}.",
            value=name,
        )
        for name, count in sorted(seen.operators.items())
        if name in CODE_OPERATORS and (name != _PRINTS or seen.prints_to_file)
    ]
