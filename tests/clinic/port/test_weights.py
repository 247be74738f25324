import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port

HEAD = "import os\nimport keras\nmodel = keras.Sequential()\n"


def ported(code):
    return port(read_script("script.py", f"{HEAD}{code}".encode())).text.removeprefix(HEAD)


@pytest.mark.parametrize("path", ['"a.h5"', 'os.path.join(folder, "a.h5")', 'folder + "/a.h5"'])
def test_files_of_weights_end_as_keras_3_wants_them(path):
    lines = f"model.save_weights({path})\nmodel.load_weights({path})\nmodel.load_weights('b.h5')\n"
    # What the script does not save is a file of Keras 2, which Keras 3 still loads.
    assert ported(lines) == lines.replace("a.h5", "a.weights.h5")


@pytest.mark.parametrize("path", ['"a.h5"', 'os.path.join(folder, "a.h5")'])
def test_a_file_of_weights_has_one_name_everywhere(path):
    lines = (
        f"if os.path.exists({path}):\n    model.load_weights({path})\n"
        f"def train():\n    model.save_weights({path})\n"
    )
    assert ported(lines) == lines.replace("a.h5", "a.weights.h5")


def test_a_name_for_a_file_of_weights_is_followed():
    lines = (
        'path = "a.h5"\nif os.path.exists(path):\n    model.load_weights(path)\n'
        "model.save_weights(path)\n"
    )
    assert ported(lines) == lines.replace("a.h5", "a.weights.h5")


@pytest.mark.parametrize("line", ['print(f"{folder}a.h5")', 'open("b.h5")'])
def test_what_is_no_file_of_weights_keeps_its_name(line):
    lines = f'model.save_weights("a.h5")\n{line}\n'
    assert ported(lines) == f'model.save_weights("a.weights.h5")\n{line}\n'


def test_a_checkpoint_of_weights_is_such_a_file():
    line = 'keras.callbacks.ModelCheckpoint(os.path.join(f, "a.h5"), save_weights_only=True)\n'
    assert ported(line) == line.replace("a.h5", "a.weights.h5")
    whole = 'keras.callbacks.ModelCheckpoint("a.h5", save_best_only=True)\n'
    assert ported(whole) == whole


def test_a_long_ending_is_one_too():
    assert ported("model.save_weights('{epoch}.hdf5')\n") == (
        "model.save_weights('{epoch}.weights.h5')\n"
    )


@pytest.mark.parametrize("path", ["name", '"a"', '"a.tf"', 'os.path.join(folder, "a")'])
def test_a_name_that_ends_otherwise_is_left(path):
    lines = f'name = "a"\nmodel.save_weights({path})\n'
    assert "# kelbo port: left as it was: Keras 3 saves weights only" in ported(lines)


def test_a_name_that_cannot_be_read_stays():
    lines = "def save(path):\n    model.save_weights(path)\n"
    assert ported(lines) == lines


@pytest.mark.parametrize(
    ("call", "after"),
    [
        ('"a.h5", save_format="h5"', '"a.weights.h5"'),
        ('"a.weights.h5", True, save_format="h5"', '"a.weights.h5", True'),
    ],
)
def test_the_name_of_the_file_decides_its_format(call, after):
    assert ported(f"model.save_weights({call})\n") == f"model.save_weights({after})\n"


def test_the_format_of_an_unknown_file_is_left():
    lines = "def save(path):\n    model.save_weights(path, save_format='tf')\n"
    assert "left as it was: Keras 3 takes no save_format; the name of the file" in ported(lines)
