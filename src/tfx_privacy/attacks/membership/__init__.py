"""Membership inference: from a model's outputs to attacks with intervals.

heads.py reads outputs and labels of any task as `Signals`; tally.py counts them, slice by slice, in accumulators that
merge in any order; statistics.py turns counts into AUC, advantage and true-positive rates; learned.py and reference.py
are the attacks that need a classifier or reference models, on a sample; evaluate.py makes the rows.
"""
