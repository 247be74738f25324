"""The metrics of a ported train_step: they keep their names."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from kelbo.clinic.doctor.values import Class
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Code, Unportable, indented
from kelbo.clinic.port.meaning import meanings, meant, same_meaning
from kelbo.clinic.port.script import Script, argument
from kelbo.clinic.port.slice import kept
from kelbo.clinic.port.train_step.parts import Layers
from kelbo.clinic.port.train_step.step import Step

_HEAD = "def compute_metrics(self, x, y, y_pred, sample_weight=None):\n"
_LOSS = 'self.get_metrics_result()["loss"]'


@dataclass
class Metrics:
    """What the port writes for the metrics.

    Args:
        trackers: the names of the metrics that the model needs beside its own.
        lines: the lines of compute_loss that update these.
        method: the compute_metrics; empty if Keras's will do.
        values: the expressions in the lines.
    """

    trackers: list[str] = field(default_factory=list)
    lines: list[Code] = field(default_factory=list)
    method: str = ""
    values: list[ast.expr] = field(default_factory=list)


def plan_metrics(
    script: Script, written: Class, step: Step, test: Step | None, layers: Layers
) -> Metrics:
    """Plan the metrics, so that History has the names that it had.

    Raises:
        Unportable: the steps return something else than their metrics.
    """
    return _Planning(script, written, step, layers).planned(test)


class _Planning:
    def __init__(self, script: Script, written: Class, step: Step, layers: Layers):
        self.script, self.step, self.layers = script, step, layers
        # The class says which metrics it has; otherwise Keras lists them, with one for the loss.
        self.listed = layers.methods.get("metrics")
        self.made = Metrics()
        self.values = meanings(step.data.parts, step.lines)
        self._refuse_unlisted()
        self._refuse_compiled(written)

    def _refuse_unlisted(self) -> None:
        """Refuse what is no metric, and metrics not listed by the class: on JAX they stay 0."""
        for name, value in self.step.updates.items():
            known = self.layers.known(name)
            if not any(one.startswith("keras.metrics.") for one in known):
                raise Unportable(
                    value, f"line {value.lineno} updates self.{name}, not known as a metric."
                )
        if self.listed is None:
            return
        listed = {dotted(node) for node in ast.walk(self.listed)}
        for name in self.step.updates:
            if f"self.{name}" not in listed:
                raise Unportable(
                    self.listed, f"line {self.listed.lineno} does not list self.{name}."
                )

    def _refuse_compiled(self, written: Class) -> None:
        """Refuse metrics of compile, which the train_step leaves aside and Keras would update."""
        for call in self.script.calls_in(self.script.source.tree):
            of_class = any(getattr(owner, "of", None) is written for owner in call.owners)
            if call.method == "compile" and of_class:
                if argument(call.node, 2, "metrics", "weighted_metrics") is not None:
                    raise Unportable(
                        call.node, f"line {call.node.lineno} gives compile metrics of its own."
                    )

    def planned(self, test: Step | None) -> Metrics:
        found = self._entries(self.step, self.values, new=self.listed is None)
        tested = None
        if test is not None:
            there = meanings(test.data.parts, test.lines)
            self._compare(test, there)
            tested = self._entries(test, there, new=False)
        own = {self._name(attribute) for attribute in self.step.updates}
        shown = set(found or {}) | (own if found is None else set())
        shown |= {"loss"} if found is None and self.listed is None else set()
        if test is not None and tested is None and found is not None:
            tested = {name: f"self.{a}.result()" for a in test.updates if (name := self._name(a))}
        more = {key: code for key, code in (tested or {}).items() if key not in shown}
        entries = {**(found or {}), **more}
        keras = self.listed is None and all(code == _LOSS for code in entries.values())
        if keras or not entries or (self._are_all(entries) and found is not None):
            return self.made
        rest = ["**self.get_metrics_result()"] if found is None else []
        items = [*rest, *(f'"{key}": {code}' for key, code in entries.items())]
        listed = "".join(f"    {item},\n" for item in items)
        self.made.method = _HEAD + indented(f"return {{\n{listed}}}\n")
        return self.made

    def _are_all(self, entries: Mapping[str, str]) -> bool:
        """Whether Keras would return the same: a key for each metric, and these are all."""
        names = {f"self.{a}.result()": self._name(a) for a in self.step.updates}
        names |= {f"self.{key}_tracker.result()": key for key in self.made.trackers}
        names |= {_LOSS: "loss"} if self.listed is None else {}
        return entries == {name: code for code, name in names.items()}

    def _compare(self, test: Step, there: Mapping[str, ast.expr]) -> None:
        """Make sure that test_step computes what train_step does."""
        if test.target is not None:
            raise Unportable(test.method, "test_step has a tape.")
        for name, value in test.updates.items():
            before = self.step.updates.get(name)
            if before is None or not same_meaning(meant(before, self.values), meant(value, there)):
                raise Unportable(value, f"line {value.lineno} of test_step computes another value.")
        if test.updates and test.updates.keys() != self.step.updates.keys():
            raise Unportable(test.method, "test_step updates other metrics than train_step.")

    def _entries(
        self, step: Step, values: Mapping[str, ast.expr], new: bool
    ) -> dict[str, str] | None:
        """The code for each name that a step returns; None if it returns all metrics."""
        returned = step.returned
        if _is_every_metric(returned):
            if step is not self.step and not step.updates:
                raise Unportable(step.method, "test_step updates no metric.")
            return None
        if not isinstance(returned, ast.Dict):
            raise Unportable(step.method, f"{step.method.name} does not return a dict of names.")
        found = {}
        for key, value in zip(returned.keys, returned.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                raise Unportable(value, f"line {value.lineno} returns what has no plain name.")
            found[key.value] = self._entry(step, key.value, value, values, new)
        return found

    def _entry(
        self, step: Step, key: str, value: ast.expr, values: Mapping[str, ast.expr], new: bool
    ) -> str:
        attribute = dotted(value.func) if isinstance(value, ast.Call) else ""
        owner, _, name = attribute.removesuffix(".result").partition(".")
        if attribute.endswith(".result") and owner == "self":
            if name not in step.updates:
                raise Unportable(value, f"line {value.lineno} returns self.{name}, not updated.")
            return f"self.{name}.result()"
        meaning = meant(value, values)
        for tracker, update in self.step.updates.items():
            if same_meaning(meant(update, self.values), meaning):
                return f"self.{tracker}.result()"
        target = self.step.target
        if target is not None and same_meaning(meant(target, self.values), meaning):
            if self.listed is None and key == "loss":
                return _LOSS
        for made, expression in zip(self.made.trackers, self.made.values, strict=True):
            if same_meaning(meant(expression, self.values), meaning):
                return f"self.{made}_tracker.result()"
        if not new or not key.isidentifier() or f"self.{key}_tracker" in self.script.source.text:
            raise Unportable(value, f"line {value.lineno} returns a value that no metric has.")
        code = kept(self.script, value)
        self.made.trackers.append(key)
        self.made.values.append(value)
        self.made.lines.append(lambda: f"self.{key}_tracker.update_state({code()})")
        return f"self.{key}_tracker.result()"

    def _name(self, attribute: str) -> str:
        """The name of a metric; empty if it cannot be told."""
        made = self.layers.made.get(attribute)
        given = argument(made, 0, "name") if isinstance(made, ast.Call) else None
        return str(given.value) if isinstance(given, ast.Constant) else ""


def _is_every_metric(node: ast.expr | None) -> bool:
    """Whether an expression is `{m.name: m.result() for m in self.metrics}`."""
    if isinstance(node, ast.Call):
        return dotted(node.func) == "self.get_metrics_result" and not node.args
    if not isinstance(node, ast.DictComp) or len(node.generators) != 1:
        return False
    (loop,) = node.generators
    name = dotted(loop.target)
    value = node.value.func if isinstance(node.value, ast.Call) else None
    return (
        dotted(loop.iter) == "self.metrics"
        and not loop.ifs
        and dotted(node.key) == f"{name}.name"
        and dotted(value) == f"{name}.result"
    )
