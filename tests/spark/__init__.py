"""Spark and Sail: the suite in ``inside`` runs in an environment of each, over each way to deploy it."""
