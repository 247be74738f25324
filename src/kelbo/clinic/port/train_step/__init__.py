"""Ports a train_step with a tape: `call` calls the layers, and compute_loss computes the loss.

`step` reads the step, `data` how it takes its batch apart, `helpers` the methods that it calls.
`parts` tells the layers from the loss, `own_call` finds or writes the call that hands over what the
loss needs, `metrics` keeps the metrics, `names` sees that no name of TensorFlow is left, `extras`
add to the class what it did not have, and `rewrite` puts the class together.
"""
