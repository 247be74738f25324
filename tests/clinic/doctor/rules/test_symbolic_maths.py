from kelbo.clinic.doctor import examine
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
from {keras} import backend as K

image = keras.Input((4,))
doubled = 2 * K.exp(image)
"""


def codes(keras):
    found = examine(read_script("script.py", SCRIPT.format(keras=keras).encode()))
    return [finding.rule.code for finding in found]


def test_a_function_that_is_gone_is_not_told_of_twice():
    assert codes("tensorflow.keras") == ["KLB402"]
    assert codes("keras") == ["KLB401"]
