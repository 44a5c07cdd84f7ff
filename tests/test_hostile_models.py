"""Models that mean harm, with hashes that are right: each ends in one line, and nothing of it is run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.artifact import ArtifactError, load_header, save_artifact
from models.autoencoder import KINDS, AutoencoderConfig, build
from models.export import onnx_bytes
from models.masking import HiddenPrediction
from models.onnx_check import MOST_FIELDS, objection
from models.runtime import load_model
from models.torch_runtime import load_torch_model
from monitor.shelf import Shelf
from tests.model_samples import place
from tests.rig import run

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]


def forged(folder: Path, *, weights: bytes | None = None, tensors: bytes | None = None, **header: Any) -> Path:
    """The model of the tests with other contents, whose hashes are right."""
    known = place(folder)
    files = {name: (folder / name).read_bytes() for name in ("model.onnx", "model.safetensors")}
    if weights is not None:
        files["model.onnx"] = weights
    if tensors is not None:
        files["model.safetensors"] = tensors
    save_artifact(folder, msgspec.structs.replace(known, **header), files)
    return folder


def changed(folder: Path, change: Callable[[Any], None]) -> bytes:
    """The network of the tests, with something done to it."""
    place(folder)
    model = onnx.load_from_string((folder / "model.onnx").read_bytes())
    change(model)
    content: bytes = model.SerializeToString()
    return content


def elsewhere(path: str, *, by_number: bool = True) -> Callable[[Any], None]:
    """Weights that lie in another file."""

    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        if by_number:
            tensor.data_location = TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", path

    return change


def in_a_constant(model: Any) -> None:
    tensor = next(node.attribute[0].t for node in model.graph.node if node.op_type == "Constant")
    elsewhere("../../../etc/passwd")(helper.make_model(helper.make_graph([], "g", [], [], [tensor])))
    tensor.data_location = TensorProto.EXTERNAL


def other_maker(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def endless(model: Any) -> None:
    """A loop: 2^62 times nothing."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"])],
        "body",
        [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("c", 9, [])],
        [helper.make_tensor_value_info("d", 9, [])],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(1 << 62), "many"))
    model.graph.node.append(helper.make_node("Loop", ["many", ""], [], body=body))


def inner_graph(model: Any) -> None:
    """A graph in an attribute of an operation that is allowed."""
    model.graph.node[0].attribute.append(helper.make_attribute("body", helper.make_graph([], "g", [], [])))


def huge(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]


def function(model: Any) -> None:
    made = helper.make_function("own", "f", ["a"], ["a"], [], [helper.make_opsetid("", 17)])
    model.functions.append(made)


def no_number(model: Any) -> None:
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(np.full_like(weights, np.nan), tensor.name))


def bomb(model: Any) -> None:
    """A small file that asks for 16 TB when it runs."""
    shape = numpy_helper.from_array(np.array([1 << 21, 1 << 21], np.int64), "shape")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["shape"], ["all"]))
    model.graph.node.append(helper.make_node("ReduceSum", ["all"], ["sum"]))
    last = model.graph.output[0].name
    for node in model.graph.node[:-2]:
        node.output[:] = ["inner" if name == last else name for name in node.output]
    model.graph.node.append(helper.make_node("Add", ["inner", "sum"], [last]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (elsewhere("../../../../etc/passwd"), "has weights in another file"),
        (elsewhere("/etc/passwd"), "has weights in another file"),
        (elsewhere("weights.bin", by_number=False), "has weights in another file"),
        (in_a_constant, "has weights in another file"),
        (other_maker, "asks for operations of 'com.microsoft'"),
        (endless, "holds graphs within its graph"),
        (inner_graph, "holds graphs within its graph"),
        (function, "holds functions of its own"),
        (huge, "has a tensor of more than 67,108,864 numbers"),
    ],
)
def test_what_no_network_of_ours_has_is_refused_before_it_is_run(
    tmp_path: Path, change: Callable[[Any], None], words: str
) -> None:
    """By the header alone, so that `check` tells it too; and by all that load models."""
    folder = forged(tmp_path / "m", weights=changed(tmp_path / "plain", change))
    for load in (load_header, load_model, load_torch_model):
        with pytest.raises(ArtifactError, match=re.escape(f"{folder / 'model.onnx'} {words}")):
            load(folder)


@pytest.mark.parametrize(
    ("change", "words"), [(no_number, "gives no number for a window of zeros"), (bomb, "cannot be run")]
)
def test_what_shows_only_when_it_runs_is_refused_when_it_is_loaded(
    tmp_path: Path, change: Callable[[Any], None], words: str
) -> None:
    """One window is tried, so that it is not the line that finds out."""
    folder = forged(tmp_path / "m", weights=changed(tmp_path / "plain", change))
    with pytest.raises(ArtifactError, match=words) as told:
        load_model(folder)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_of_ours_passes(kind: Any) -> None:
    """Also with layers on each other, and with a group of sensors that are hidden together."""
    network = build(AutoencoderConfig(3, 8, 4, 2, 2, kind))
    assert objection(onnx_bytes(HiddenPrediction(network, (0, 0, 1)))) == ""
    assert objection((ROOT / "models/pretrained/engine/model.onnx").read_bytes()) == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(content: bytes) -> None:
    """Nothing but an objection comes of what is no ONNX."""
    assert objection(content)


@given(st.data())
def test_an_onnx_with_any_bytes_changed_is_answered(data: st.DataObject) -> None:
    """It may pass, but it does not raise."""
    content = bytearray((ROOT / "models/pretrained/engine/model.onnx").read_bytes()[:3000])
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(objection(bytes(content)), str)


def test_a_file_of_countless_parts_is_not_read_to_its_end() -> None:
    assert objection(b"\x08\x00" * (MOST_FIELDS + 1)) == f"has more than {MOST_FIELDS:,} parts"


@pytest.mark.parametrize(
    "tensors",
    [
        b"",
        (1 << 62).to_bytes(8, "little") + b"{}",  # the header is longer than the file
        (100 << 20).to_bytes(8, "little") + b" " * 1000,
        (2).to_bytes(8, "little") + b"{}",  # whose tensors are missing
        (80).to_bytes(8, "little")
        + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'.ljust(80),
        (9).to_bytes(8, "little") + b"[" * 9,
        b"\x80\x04cos\nsystem\n",  # a pickle
        b"PK\x03\x04" + bytes(100),  # a zip, as torch.save makes it
    ],
)
def test_safetensors_that_lie_are_refused(tmp_path: Path, tensors: bytes) -> None:
    folder = forged(tmp_path, tensors=tensors)
    with pytest.raises(ArtifactError, match=r"model\.safetensors does not fit header\.json"):
        load_torch_model(folder)


def test_a_header_that_asks_for_too_much_is_refused(tmp_path: Path) -> None:
    """A window of 10,000 ticks of 1,000 sensors takes 10 GB for a batch; and one that is nested without an end."""
    folder = forged(tmp_path / "a")
    header = (folder / "header.json").read_text()
    (folder / "header.json").write_text(header.replace('"window": 60', '"window": 200000'))
    with pytest.raises(ArtifactError, match="window"):
        load_header(folder)
    large = forged(tmp_path / "b", window=10_000)
    load_header(large)  # 50,000 numbers
    known = load_header(large)
    many = tuple(msgspec.structs.replace(known.sensors[0], name=f"s{number}") for number in range(60))
    with pytest.raises(
        ArtifactError, match="window has 10000 ticks of 60 sensors, and 500,000 numbers are allowed"
    ):
        load_header(forged(tmp_path / "c", window=10_000, sensors=many))
    (folder / "header.json").write_bytes(b'{"format":2,"x":' + b"[" * 400_000)
    with pytest.raises(ArtifactError, match=r"header\.json: "):
        load_header(folder)


@pytest.mark.parametrize("name", ["header.json", "model.onnx", "model.safetensors"])
def test_what_is_no_file_does_not_hold_up_who_opens_it(tmp_path: Path, name: str) -> None:
    """A pipe that nobody writes to, a device without an end, a folder, a link to nowhere."""
    puts: list[Callable[[Path], None]] = [
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("../../../nowhere"),
    ]
    for number, put in enumerate(puts):
        folder = forged(tmp_path / str(number))
        (folder / name).unlink()
        put(folder / name)
        with pytest.raises(ArtifactError, match=rf"{name} (is no file|cannot be read)"):
            load_header(folder)


def sparse(path: Path) -> None:
    """A terabyte of nothing."""
    path.touch()
    os.truncate(path, 1 << 40)


def test_the_card_of_a_model_brings_nothing_else_onto_the_shelf(tmp_path: Path) -> None:
    """Neither a device nor a file without an end; the shelf is left without a part of the model."""
    shelf = Shelf(tmp_path / "shelf", threads=1, batch_size=1)
    puts: list[Callable[[Path], None]] = [lambda path: path.symlink_to("/dev/zero"), sparse]
    for number, put in enumerate(puts):
        folder = forged(tmp_path / str(number))
        (folder / "card.md").unlink()
        put(folder / "card.md")
        with pytest.raises(ArtifactError, match=r"card\.md (is no file|is larger than)"):
            shelf.put(folder, "0" * 64)
        assert not shelf.place("0" * 64).exists()


@pytest.mark.parametrize("command", [("check",), ("monitor",), ("models", "compare", "m", "m")])
def test_the_commands_say_it_in_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Exit code 2, no traceback, and the file is named."""
    forged(tmp_path / "m", weights=changed(tmp_path / "plain", elsewhere("/etc/passwd")))
    (tmp_path / "enginewatch.toml").write_text('[[classes]]\nname = "a"\nmodel = "m"\n')
    done = run(*command, folder=tmp_path, code=2)
    said = (done.stdout + done.stderr).strip()
    assert said.endswith("model.onnx has weights in another file")
    assert len(said.splitlines()) <= 2  # `monitor` says first that the settings are wrong
    assert "Traceback" not in said


def test_nothing_here_reads_a_pickle() -> None:
    """Nor anything else that runs what it reads."""
    words = re.compile(
        r"^\s*(import|from) (pickle|cPickle|dill|joblib|marshal|shelve)\b|(?<!safetensors\.)torch\.load"
        r"|allow_pickle=True|yaml\.load|(?<![.\w])(eval|exec)\(",
        re.MULTILINE,
    )
    folders = (ROOT / name for name in ("monitor", "models", "config", "simulator"))
    files = [file for folder in folders for file in folder.rglob("*.py")]
    assert len(files) > 100
    found = {file.name: match[0] for file in files if (match := words.search(file.read_text(encoding="utf-8")))}
    assert found == {}
