"""Who is who through a video: scores of people who are followed."""
