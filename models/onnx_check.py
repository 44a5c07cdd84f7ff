"""What an ONNX file is made of, before anything runs it. Pure: bytes in, the first objection in words out.

A network of ours is a straight sequence of plain operations over weights that lie in the file. Whatever else
ONNX can hold is refused: weights in other files (their paths may lead anywhere), operations of other makers,
functions and inner graphs (loops), sparse tensors. The file is read as protobuf is written (https://protobuf.dev),
with the field numbers of onnx.proto; a field that comes twice is looked at twice, because parsers join the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# fmt: off
OPERATIONS = frozenset({
    "Add", "And", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Div", "Dropout", "Equal", "Exp",
    "Expand", "Flatten", "GRU", "Gather", "Gemm", "Greater", "Identity", "IsNaN", "LSTM", "Less", "Log",
    "MatMul", "Max", "Min", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid", "Slice", "Softplus", "Split", "Sqrt",
    "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where",
})
# fmt: on
DOMAINS = frozenset({"", "ai.onnx"})
MOST_FIELDS = 200_000  # in all; a network of ours has some hundred
MOST_CELLS = 1 << 26  # in one tensor: 256 MiB of float32, which is the largest file
LONGEST_TOLD = 100  # bytes of a name
NO_ONNX = "is no ONNX"
Field = tuple[int, int, memoryview]  # number, value where it is a varint, content where it is bytes


class _RefusedError(Exception):
    pass


def objection(content: bytes) -> str:
    """Why this is no network of ours, in words that follow the file's name; empty where it is one."""
    try:
        return "" if _Reader().model(memoryview(content)) else NO_ONNX
    except _RefusedError as refused:
        return str(refused)


class _Reader:
    """Goes through one file. Every method raises _RefusedError with the objection."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def model(self, model: memoryview) -> int:
        """How many operations it has."""
        nodes = 0
        for number, _, content in self._fields(model):
            match number:
                case 7:
                    nodes += self._graph(content)
                case 20 | 25:
                    raise _RefusedError("holds functions of its own")
        return nodes

    def _graph(self, graph: memoryview) -> int:
        nodes = 0
        for number, _, content in self._fields(graph):
            match number:
                case 1:
                    nodes += 1
                    self._node(content)
                case 5:
                    self._tensor(content)
                case 15:
                    raise _RefusedError("holds sparse tensors")
        return nodes

    def _node(self, node: memoryview) -> None:
        operation = domain = ""
        for number, _, content in self._fields(node):
            match number:
                case 4:
                    operation = _text(content)
                case 5:
                    self._attribute(content)
                case 7:
                    domain = _text(content)
        if domain not in DOMAINS:
            raise _RefusedError(f"asks for operations of {domain!r}, which no network of ours has")
        if operation not in OPERATIONS:
            raise _RefusedError(f"asks for the operation {operation!r}, which no network of ours has")

    def _attribute(self, attribute: memoryview) -> None:
        for number, _, content in self._fields(attribute):
            match number:
                case 5 | 10:
                    self._tensor(content)
                case 6 | 11:
                    raise _RefusedError("holds graphs within its graph")
                case 22 | 23:
                    raise _RefusedError("holds sparse tensors")

    def _tensor(self, tensor: memoryview) -> None:
        cells, elsewhere = 1, False
        for number, value, content in self._fields(tensor):
            match number:
                case 1:
                    for length in _varints(content) if content else (value,):
                        cells *= length
                case 13:
                    elsewhere = True
                case 14:
                    elsewhere |= bool(value)
        if elsewhere:
            raise _RefusedError("has weights in another file")
        if cells > MOST_CELLS:
            raise _RefusedError(f"has a tensor of more than {MOST_CELLS:,} numbers")

    def _fields(self, message: memoryview) -> Iterator[Field]:
        """The fields of a message in their order."""
        at = 0
        while at < len(message):
            self._left -= 1
            if self._left < 0:
                raise _RefusedError(f"has more than {MOST_FIELDS:,} parts")
            key, at = _varint(message, at)
            value, length = 0, 0
            match key & 7:
                case 0:
                    value, at = _varint(message, at)
                case 1:
                    length = 8
                case 2:
                    length, at = _varint(message, at)
                case 5:
                    length = 4
                case _:
                    raise _RefusedError(NO_ONNX)
            if length > len(message) - at:
                raise _RefusedError(NO_ONNX)
            yield key >> 3, value, message[at : at + length]
            at += length


def _text(content: memoryview) -> str:
    return bytes(content[:LONGEST_TOLD]).decode(errors="replace")


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number, of ten groups of seven bits at the most, and where the next one begins."""
    value = 0
    for group, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << 7 * group
        if not byte & 0x80:
            return value, at + group + 1
    raise _RefusedError(NO_ONNX)
