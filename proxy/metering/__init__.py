"""From journal frames to priced records."""
