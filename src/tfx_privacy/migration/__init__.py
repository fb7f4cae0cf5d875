"""Proposes DPTrainer's module functions for a `run_fn` module, and private analyzers for tft's, from the source alone.

Nothing is imported or executed. `module.read` parses, `proposal.propose` decides (with slicing.py, reading.py, hazards.py and
private_analyzers.py), `report.render` says what and why. Imports neither TFX nor TensorFlow.
"""
