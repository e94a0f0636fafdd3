"""Tables that the package reads: the taxonomy and the normaliser's table."""
