"""KLB108."""

from collections.abc import Iterator

from kelbo.clinic.doctor.divergence import KL
from kelbo.clinic.doctor.objective import losses
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import (
    Attribute,
    Constant,
    Instance,
    Known,
    Tensor,
    Unknown,
    Value,
    is_symbolic,
    options,
)
from kelbo.clinic.doctor.words import dotted

_REGULARISES = "keras.layers.ActivityRegularization"


class NoLoss(Rule):
    """A plain model is compiled without a loss and then fitted.

    ## What it does
    Reports `compile` without a loss for a functional or sequential model that the script also fits,
    if no layer adds a loss, or if layers add only the KL term.

    ## Why is this bad
    There is nothing to minimise. Keras 2 and Keras 3 on TensorFlow and PyTorch say so in `fit`.
    Keras 3 on JAX trains nothing and shows a loss of 0. If the KL term is the only loss, the
    decoder is never trained.

    ## Example
    ```python
    vae = keras.Model(image, decoder(z))
    vae.compile("adam")
    vae.fit(x_train, x_train)
    ```

    ## Use instead
    ```python
    vae = keras.Model(image, decoder(z))
    vae.compile("adam", loss="binary_crossentropy")
    vae.fit(x_train, x_train)
    ```
    """

    code = "KLB108"
    title = "The model is compiled without a loss"
    severity = Severity.ERROR
    explanation = "no-loss"
    docs = "docs/kl-loss.md, which message, which rule"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such call of compile."""
        compiled: dict[Value, Call] = {}
        trained: list[Call] = []
        for call in program.method_calls("compile", "fit", "fit_generator", "train_on_batch"):
            for owner in filter(_is_plain, call.owners):
                if call.method == "compile":
                    compiled[owner] = call
                elif owner in compiled and _has_no_loss(compiled[owner]):
                    trained.append(compiled[owner])
        only_kl = bool(trained) and _adds_only_kl(program)
        if only_kl or (trained and not _adds_a_loss(program)):
            yield from (self._at(call, only_kl) for call in trained)

    def _at(self, call: Call, only_kl: bool) -> Finding:
        name = dotted(call.node.func)
        happens = (
            f"{name} gets no loss, and layers add only the KL term: nothing asks for a "
            "reconstruction, and the decoder is not trained."
            if only_kl
            else f"{name} gets no loss, and no layer adds one."
        )
        repair = "Give it the reconstruction loss: loss='binary_crossentropy' for data in [0, 1]."
        return self.finding(call.node, happens, repair)


def _has_no_loss(call: Call) -> bool:
    """Whether compile certainly gets no loss."""
    return call.arguments.get(1, "loss") in (None, Constant(None))


def _is_plain(model: Value) -> bool:
    """Whether a model has no losses but those that the script gives it."""
    return isinstance(model, Instance) and model.is_model and isinstance(model.of, Known)


def _adds_only_kl(program: Program) -> bool:
    """Whether layers add losses, and each of these is a KL term alone."""
    added = [loss for loss in losses(program) if loss.by_layer]
    contents = [[term.content for term in loss.terms] for loss in added]
    alone = [
        len(content) == 1 and isinstance(content[0], KL) and len(loss.value.expression.terms) == 1
        for content, loss in zip(contents, added, strict=True)
    ]
    return bool(alone) and all(alone) and len(list(program.method_calls("add_loss"))) == len(added)


def _adds_a_loss(program: Program) -> bool:
    """Whether something may add a loss: add_loss, a regulariser, a layer from elsewhere."""
    for call in program.calls:
        named = any("regularizer" in (k.arg or "") for k in call.node.keywords)
        if named or call.method == "add_loss" or _REGULARISES in call.names:
            return True
    return any(
        isinstance(option, Unknown | Attribute | Tensor)
        for call in program.calls
        if is_symbolic(call.arguments.all)
        for option in options(call.function)
    )
