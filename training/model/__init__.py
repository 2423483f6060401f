"""The next embedded model, until it is good enough to take the place of `training.model`."""
