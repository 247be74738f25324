import subprocess
import sys

import kelbo.data

SCRIPT = """
import sys
import kelbo.data
(x_train, y_train), (x_test, y_test) = kelbo.data.mnist()
data = kelbo.data.load("mnist", train_limit=9, test_limit=9, binarization="dynamic")
data.head("train", 5), list(data.iterate("test", 4)), data.description
print([name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules])
"""


def test_no_backend_is_imported_before_batches_for_keras_are_asked_for():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr


def test_every_public_name_is_there_and_documented():
    for name in kelbo.data.__all__:
        assert getattr(kelbo.data, name) is not None
    assert callable(kelbo.data.load) and callable(kelbo.data.mnist)
