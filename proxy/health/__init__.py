"""Our own health: losses and faults as alerts and metrics."""
