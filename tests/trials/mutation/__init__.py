"""Changes the pricing code in one place at a time, and checks that some test notices."""
