"""Which latent dimensions a model uses."""

# A latent dimension is active when its posterior mean varies by more than this over the data
# (Burda et al. 2016, section 5: the variance over x of E_q[z_j]).
ACTIVE_ABOVE = 0.01
