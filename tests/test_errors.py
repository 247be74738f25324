import pytest

from kelbo import errors


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.UsageError, ValueError),
        (errors.DataError, ValueError),
        (errors.RunError, ValueError),
        (errors.BackendError, ImportError),
        (errors.DivergedError, ArithmeticError),
    ],
)
def test_every_error_is_kelbo_s_and_the_builtin_that_a_user_expects(error, builtin):
    assert issubclass(error, errors.KelboError)
    assert issubclass(error, builtin)


def test_wrong_usage_exits_with_2_and_all_else_with_1():
    kinds = [kind for name, kind in vars(errors).items() if name.endswith("Error")]
    assert len(kinds) > 5
    for kind in kinds:
        assert kind.exit_code == (2 if issubclass(kind, errors.UsageError) else 1)


@pytest.mark.parametrize(
    ("name", "nearest"), [("betavae", "beta-vae"), ("VAE", "vae"), ("artcle", "article")]
)
def test_an_unknown_name_is_answered_with_the_nearest_and_all(name, nearest):
    known = ["vae", "beta-vae", "article"]
    error = errors.unknown_name("model", name, known)
    assert isinstance(error, errors.UsageError)
    assert str(error) == (
        f"There is no model {name!r}. Did you mean {nearest!r}? Known: article, beta-vae, vae."
    )


def test_capitals_do_not_hide_the_nearest():
    for name in ("klb1O1", "KLB10"):
        error = errors.unknown_name("rule", name, ["KLB101", "KLB2"])
        assert "Did you mean 'KLB101'?" in str(error)


def test_a_name_like_no_other_is_answered_with_all_alone():
    assert str(errors.unknown_name("model", "zzz", ["vae"])) == (
        "There is no model 'zzz'. Known: vae."
    )
