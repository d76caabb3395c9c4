"""Bottom-up human pose: everybody in an image at once, without boxes (CID, DEKR, HigherHRNet)."""
