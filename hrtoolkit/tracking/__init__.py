"""Who is who through a video: a tracker, and scores of people who are followed."""
