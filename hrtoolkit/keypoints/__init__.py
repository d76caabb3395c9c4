"""What everything with keypoints shares: codecs, head, losses, views, samples and their checks."""
