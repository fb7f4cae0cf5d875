"""A report's figures, as SVG."""
