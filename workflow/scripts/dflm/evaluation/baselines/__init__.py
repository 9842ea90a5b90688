"""Baselines that are trained on the same split as the classifier: what it has to beat."""
