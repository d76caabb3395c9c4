"""Predict on anything that people have pictures in."""

from hrtoolkit.predict.joint import JointPredictor, load_joint
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.predictor import Predictor, from_pretrained, load
from hrtoolkit.predict.sources import Picture, Source, open_source

__all__ = [
    "JointPredictor",
    "Picture",
    "Prediction",
    "Predictor",
    "Source",
    "from_pretrained",
    "load",
    "load_joint",
    "open_source",
]
