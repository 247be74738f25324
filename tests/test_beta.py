import pytest

from kelbo.objectives import beta_from_mean_weights, explain_beta, format_beta


@pytest.mark.parametrize(
    ("weight", "beta"),
    [(1e-4, 0.0049), (1.0, 49.0), (16 / 784, 1.0), (0.0, 0.0)],
    ids=["article", "mean-of-both", "elbo", "none"],
)
def test_beta_is_w_times_d_over_latent_d(weight, beta):
    assert beta_from_mean_weights(weight, data_dim=784, latent_dim=16) == pytest.approx(beta)


@pytest.mark.parametrize(
    ("beta", "words"),
    [
        (0.0, ["does not count at all", "plain autoencoder"]),
        (1e-6, ["1,000,000 times less"]),
        (0.0049, ["204 times less", "close to a plain autoencoder"]),
        (0.5, ["2.0 times less", "sharper"]),
        (0.79, ["1.3 times less"]),
        (4.0, ["4.0 times more", "fewer active latent"]),
        (10.0, ["10 times more", "blurrier"]),
        (49.0, ["49 times more", "posterior collapse"]),
        (-1.0, ["wrong sign"]),
        (float("nan"), ["not a number"]),
    ],
)
def test_says_how_much_the_kl_counts_and_what_follows(beta, words):
    explanation = explain_beta(beta)
    assert all(word in explanation for word in words)
    assert "\n" not in explanation


@pytest.mark.parametrize("beta", [0.8, 0.9, 1.0, 1.2, 1.25])
def test_says_nothing_close_to_the_elbo(beta):
    assert explain_beta(beta) == ""


@pytest.mark.parametrize(
    ("beta", "text"),
    [
        (0.0, "0"),
        (0.0049, "0.0049"),
        (0.00123456, "0.0012"),
        (1e-6, "0.0000010"),
        (0.01, "0.01"),
        (0.0204081, "0.02041"),
        (0.5, "0.5"),
        (1.0, "1"),
        (4.0, "4"),
        (49.0, "49"),
    ],
)
def test_is_written_to_be_read(beta, text):
    assert format_beta(beta) == text
