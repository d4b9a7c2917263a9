"""Whether what was metered is what the provider bills: statements read, compared, and explained."""
