"""A model as a file that runs elsewhere, with a certificate of what it gives there."""
