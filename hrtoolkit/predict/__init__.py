"""Predictions on anything: sources, the predictor, what it gives, and writers of it."""
