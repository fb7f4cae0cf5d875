"""Proposes DPTrainer's module functions for a `run_fn` module, from its source alone: nothing is imported or executed.

`module.read` parses, `proposal.propose` decides (with slicing.py, reading.py and hazards.py), `report.render` says what
and why. Imports neither TFX nor TensorFlow.
"""
