"""What a call costs: pure, exact, and never zero for want of a price."""
