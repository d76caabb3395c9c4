"""Who is who through a video: a tracker, smoothing, and scores of people who are followed."""

from hrtoolkit.tracking.tracker import Tracker

__all__ = ["Tracker"]
