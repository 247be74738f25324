import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from tests.support import DIM, LATENT, data, tiny_vae, to_numpy


def test_on_one_trace_of_a_model_its_loss_is_the_elbo_s_over_d():
    vae = tiny_vae(objective=kelbo.ArticleObjective(weight=0.3))
    trace = vae.trace(data(4))
    article = to_numpy(vae.objective.terms(trace)["loss"])
    assert vae.effective_beta == pytest.approx(0.3 * DIM / LATENT)
    elbo = to_numpy(kelbo.ELBO(vae.effective_beta).terms(trace)["loss"])
    np.testing.assert_allclose(DIM * article, elbo, rtol=1e-6)


@pytest.mark.parametrize("weight", [-1e-4, np.nan, np.inf])
def test_what_is_no_weight_is_refused(weight):
    with pytest.raises(UsageError, match="expected to be a finite number >= 0, received"):
        kelbo.ArticleObjective(weight)
