"""Predict on anything that people have pictures in."""

from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.predictor import Predictor, load
from hrtoolkit.predict.sources import Picture, Source, open_source

__all__ = ["Picture", "Prediction", "Predictor", "Source", "load", "open_source"]
