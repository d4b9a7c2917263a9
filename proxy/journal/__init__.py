"""Files between relay and meter that outlive either."""
