"""add_metric of an object of unknown class is Keras's if it has Keras's arguments."""

from kelbo.clinic.doctor import examine
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
from keras.utils import generic

class Layer(generic.Layer):
    {method}

class AddMetric(Layer):
    def call(self, inputs):
        self.add_metric(inputs, aggregation="mean", name="kl")

def report(model, kl):
    model.add_metric(kl, aggregation="mean", name="kl")
"""


def lines(method):
    found = examine(read_script("script.py", SCRIPT.format(method=method).encode()))
    return [finding.place.line for finding in found if finding.rule.code == "KLB105"]


def test_a_method_of_the_script_itself_is_not_gone():
    assert lines("pass") == [9, 12]
    assert lines("def add_metric(self, value, aggregation, name): ...") == []
