import json
import sys

import keras

import kelbo
from kelbo.training.environment import describe_environment


def test_it_says_what_a_training_ran_on():
    environment = describe_environment()
    backend = keras.backend.backend()
    assert environment["kelbo"] == kelbo.__version__
    assert environment["keras"] == keras.__version__
    assert environment["backend"] == backend
    assert environment["backend_version"] == sys.modules[backend].__version__
    assert environment["date"].endswith("+00:00")
    assert environment["processor"]
    assert "cpu" in environment["device"].lower() or environment["device"]
    json.dumps(environment)
