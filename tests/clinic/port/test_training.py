import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port

HEAD = """\
from tensorflow import keras
image = keras.Input((4,))
model = keras.Model(image, keras.layers.Dense(4)(image))


def batches(x):
    while True:
        yield x, x


"""


def ported(code, head=HEAD):
    result = port(read_script("script.py", f"{head}{code}\n".encode()))
    return result.text.partition("yield x, x\n")[2].strip(), result.left


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # The third argument of compile was the metrics; today it is the weights of losses.
        ('compile("adam", "mse", ["mae"])', 'compile("adam", "mse", metrics=["mae"])'),
        ("compile(o, l, m, [1.0, w])", "compile(o, l, metrics=m, loss_weights=[1.0, w])"),
        ('compile("adam", loss="mse")', 'compile("adam", loss="mse")'),
        ("compile(o, l, experimental_run_tf_function=False)", "compile(o, l)"),
        ("compile(o, l, sample_weight_mode=None, target_tensors=None)", "compile(o, l)"),
        ("fit_generator(batches(x), 10, 3)", "fit(batches(x), steps_per_epoch=10, epochs=3)"),
        (
            "fit_generator(generator=flow, epochs=3, workers=2, max_queue_size=4)",
            "fit(x=flow, epochs=3)",
        ),
        (
            "fit_generator(flow, validation_data=(x, None), validation_steps=2)",
            "fit(flow, validation_data=(x, None), validation_steps=2)",
        ),
        ("evaluate_generator(batches(x), 5)", "evaluate(batches(x), steps=5)"),
        ("predict_generator(flow, steps=5, verbose=1)", "predict(flow, steps=5, verbose=1)"),
        ("fit(x, x, nb_epoch=3)", "fit(x, x, epochs=3)"),
        ("fit(flow, workers=4, use_multiprocessing=True)", "fit(flow)"),
        ("evaluate_generator((a, b) for a in x)", "evaluate((a, b) for a in x)"),
    ],
)
def test_arguments_of_today(before, after):
    assert ported(f"model.{before}") == (f"model.{after}", ())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("fit_generator(flow, samples_per_epoch=60)", "samples_per_epoch counts data"),
        ("fit_generator(flow, 1, 1, 1, [], v, 1, None)", "differs between versions"),
        ("fit_generator(*given)", "cannot be told"),
        # Keras 1 counted data there, and has these words.
        ("fit_generator(flow, 20000, nb_epoch=5)", "nb_epoch is of Keras 1"),
        ("evaluate_generator(flow, 20000, nb_worker=2)", "nb_worker is of Keras 1"),
        ("compile(o, l, m, [1.0], 'temporal')", "differs between versions"),
        ("compile(o, *others, m)", "cannot be told"),
        ("predict_generator(bare(x), 3)", "bare yields x, but Keras 3 takes only tuples"),
        ("predict_generator(stream, 3)", "bare yields x, but Keras 3 takes only tuples"),
        ("predict_generator(x for x in y)", "yields x, but"),
    ],
)
def test_what_has_no_equal_is_left(code, reason):
    head = f"{HEAD}def bare(x):\n    yield x\n\n\nstream = bare(x)\n"
    made, (left,) = ported(f"model.{code}", head)
    assert f"# kelbo port: left as it was: {left.reason}\nmodel.{code}" in made
    assert reason in left.reason


def test_what_is_no_model_keeps_its_methods():
    code = "class Own:\n    def compile(self, a, b, c):\n        pass\n\n\nOwn().compile(1, 2, 3)"
    assert ported(code) == (code, ())
