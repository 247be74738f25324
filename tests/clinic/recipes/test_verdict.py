import math

import pytest

from kelbo.clinic.recipes.verdict import FAILS, NOT_AVAILABLE, TOLERANCE, WORKS, WRONGLY, judge
from tests.clinic.recipes.support import measured, raised

NAN = math.nan


def test_a_recipe_that_is_right_works_and_needs_no_reason():
    assert judge(measured()) == (WORKS, "")


def test_an_autoencoder_has_no_kl_to_arrive():
    result = measured()
    del result["parity"]["kl_share"], result["parity"]["kl_error"]
    assert judge(result) == (WORKS, "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"kl_share": 3e-6, "gradient_error": 0.7},
            "The gradient of the KL does not reach mu and log_var.",
        ),
        (
            {"kl_share": 32.00004, "gradient_error": 25.0},
            "The gradient of the KL reaches mu and log_var 32 times too strong.",
        ),
        (
            {"kl_share": 0.5, "gradient_error": 0.3},
            "The gradient of the KL reaches mu and log_var 0.5 times as strong as it should be.",
        ),
        (
            {"kl_share": -1.0, "gradient_error": 1.4},
            "The gradient of the KL reaches mu and log_var -1 times as strong as it should be.",
        ),
        (
            {"gradient_error": 0.0123, "worst_weight": "dec_dense/bias"},
            "The gradient of dec_dense/bias differs from the reference's by 0.012 of its size.",
        ),
        (
            {"gradient_error": NAN, "worst_weight": "log_var/kernel", "kl_share": NAN},
            "The gradient of log_var/kernel is not finite.",
        ),
        (
            {"gradient_error": math.inf, "worst_weight": "mu/bias"},
            "The gradient of mu/bias is not finite.",
        ),
        ({"loss": 0.7}, "It reports a loss of 0.700000 where the loss is 0.693150."),
        ({"loss": 0.0}, "It reports a loss of 0.000000 where the loss is 0.693150."),
        ({"loss": NAN}, "It reports a loss of nan where the loss is 0.693150."),
        ({"loss": None, "losses": []}, "It reports no loss."),
        ({"losses": []}, "It reports no loss."),
        ({"losses": [0.4, 0.5, 0.6]}, "The loss did not fall: 0.4000 -> 0.5000 -> 0.6000."),
        ({"losses": [0.4, 0.3, 0.4]}, "The loss did not fall: 0.4000 -> 0.3000 -> 0.4000."),
        ({"losses": [0.4, NAN, 0.3]}, "The loss did not fall: 0.4000 -> nan -> 0.3000."),
        ({"losses": [0.4, -math.inf]}, "The loss did not fall: 0.4000 -> -inf."),
    ],
)
def test_what_trains_and_is_not_what_it_claims_works_wrongly(changes, reason):
    assert judge(measured(**changes)) == (WRONGLY, reason)


def test_the_kl_alone_is_blamed_only_if_it_explains_the_difference():
    """Half of the KL, and something else that is off too."""
    verdict, reason = judge(measured(kl_share=0.5, kl_error=0.1, gradient_error=0.3))
    assert verdict == WRONGLY
    assert reason == "The gradient of mu/kernel differs from the reference's by 0.3 of its size."


def test_a_kl_that_is_gone_counts_also_where_it_is_too_small_to_matter():
    verdict, _ = judge(measured(kl_share=0.0, kl_error=0.0, gradient_error=TOLERANCE / 2))
    assert verdict == WRONGLY


def test_no_factor_is_told_whose_digits_are_those_of_one():
    assert judge(measured(kl_share=1.0 + 2 * TOLERANCE, gradient_error=1e-5)) == (WORKS, "")
    _, reason = judge(measured(kl_share=1.0 + 2 * TOLERANCE, gradient_error=1.5e-4))
    assert "differs from the reference's by 0.00015 of its size" in reason
    _, reason = judge(measured(kl_share=1.01, gradient_error=7e-3))
    assert "1.01 times too strong" in reason


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_gradient_and_loss_may_differ_by_the_tolerance(factor):
    expected = WORKS if factor < 1.0 else WRONGLY
    assert judge(measured(gradient_error=factor * TOLERANCE))[0] == expected
    for sign in (1.0, -1.0):
        loss = 0.69315 * (1.0 + sign * factor * TOLERANCE)
        assert judge(measured(loss=loss))[0] == expected


def test_the_gradient_comes_before_the_loss():
    """The first cause is told, not what follows from it."""
    _, reason = judge(measured(kl_share=0.0, loss=0.1, losses=[0.1, 0.2]))
    assert reason == "The gradient of the KL does not reach mu and log_var."


def test_an_error_of_the_recipe_is_a_failure_with_class_and_message():
    assert judge(raised("TypeError", "You are passing KerasTensor")) == (
        FAILS,
        "TypeError: You are passing KerasTensor",
    )


@pytest.mark.parametrize(
    "result",
    [
        raised("KeyError", "'loss'", line=None),  # of the probe itself
        raised("ResourceExhaustedError", "OOM when allocating"),
    ],
)
def test_what_is_no_fault_of_the_recipe_is_not_its_failure(result):
    assert judge(result)[0] == NOT_AVAILABLE


def test_an_error_without_a_message_is_its_class():
    assert judge(raised("NotImplementedError", "")) == (FAILS, "NotImplementedError")


def test_an_error_in_the_short_training_is_a_failure_although_the_gradient_was_right():
    result = {**measured(), **raised("ValueError", "No loss to compute.", "training")}
    assert judge(result)[0] == FAILS


def test_an_environment_that_does_not_import_is_not_available():
    result = raised("ImportError", "libcudart.so: cannot open", stage="environment")
    assert judge(result) == (NOT_AVAILABLE, "ImportError: libcudart.so: cannot open")
