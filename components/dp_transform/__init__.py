"""DPTransform: Transform, with private analyzers."""
