"""What a run tells while it goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf
from absl import logging

from tfx_privacy import training
from tfx_privacy.accounting.epsilon import rdp_epsilon
from tfx_privacy.accounting.parameters import ResolvedParameters


def reporter(resolved: ResolvedParameters, noise_multiplier: float | None) -> Callable[[training.Progress], None]:
    """Logs progress and writes TensorBoard scalars; nothing un-noised is among them."""
    privacy = resolved.parameters

    def report(progress: training.Progress) -> None:
        share = f"step {progress.step} of {progress.steps}"
        if noise_multiplier is not None and privacy.target_delta is not None:
            so_far = dataclasses.replace(resolved, steps=progress.step)
            spent = rdp_epsilon(so_far.event(noise_multiplier), target_delta=privacy.target_delta)
            tf.summary.scalar("privacy/epsilon_rdp", spent, step=progress.step)
            tf.summary.scalar("privacy/noise_multiplier", noise_multiplier, step=progress.step)
            share += f", epsilon at most {spent:.3f}"
        if progress.update_norm is not None:
            tf.summary.scalar("privacy/noisy_update_norm", progress.update_norm, step=progress.step)
        if progress.clipped_fraction is not None:
            tf.summary.scalar("privacy/clipped_fraction_noisy", progress.clipped_fraction, step=progress.step)
        logging.info("DPTrainer: %s", share)

    return report


def both(
    report: Callable[[training.Progress], None], measure: Callable[[int], None]
) -> Callable[[training.Progress], None]:
    """Reports, and attacks the model."""

    def report_both(progress: training.Progress) -> None:
        report(progress)
        measure(progress.step)

    return report_both
