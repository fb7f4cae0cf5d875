"""Bugs in what a run is accounted for, and in what a resumed one remembers."""

from __future__ import annotations

from mutants.mutant import Mutant

ACCOUNTING = [
    Mutant("steps are epochs", "DPParameters.resolve", "self.epochs / probability", "self.epochs", "test_parameters"),
    Mutant(
        "half the probability", "training_event",
        "if passes is not None: ...",
        """
        if passes is not None: ...
        else: sampling_probability = sampling_probability / 2
        """,
        "test_accounting",
    ),
    Mutant(
        "integers are accounted as they are", "real",
        "return float(value)", "return value", "test_accounting test_parameters",
    ),
    Mutant(
        "another delta", "_account",
        "make_accountant().compose(event).get_epsilon(left)",
        "make_accountant().compose(event).get_epsilon(10 * left)", "test_accounting",
    ),
    Mutant(
        "rare steps cost nothing by Renyi DP", "_RdpAccountant.compose",
        "sampled * SERIES_ERROR / (self._orders - 1.0)", "0.0",
        "test_round_off::test_steps_that_are_lost_in_renyi_dps_round_off_cost_something",
    ),
    Mutant(
        "no composition", "dp_sgd_event",
        "dp_accounting.SelfComposedDpEvent(step, ...)", "step", "test_accounting",
    ),
    Mutant(
        "a tree is one node", "compositions_of_passes",
        "return sum(steps.bit_length() if tree else 1 for steps in passes)", "return sum(1 for steps in passes)",
        "test_parameters",
    ),
    Mutant(
        "passes are amplified", "training_event",
        "sampling_probability, steps = 1.0, ...", "steps = ...",
        "test_training::test_passes_are_accounted_without_amplification",
    ),
    Mutant(
        "the probability that was planned", "PrivateMechanism.executed",
        "resolved.sampling_probability if drawn is None else drawn", "resolved.sampling_probability", "test_training",
    ),
    Mutant(
        "lost steps are free", "PrivateMechanism.steps",
        "return self._history.executed + self._sampler.batches_drawn",
        "return self._history.completed + self._sampler.batches_drawn",
        "test_checkpoint::test_a_run_killed_many_times_never_spends_more_than_planned",
    ),
    Mutant(
        "earlier attempts are free", "PrivateMechanism.resume_from",
        "self._history = history", "self._history = History()", "test_checkpoint",
    ),
    Mutant(
        "steps are written down afterwards", "loop:_run",
        """
        if checkpoints:
            checkpoints.intend(count)
        norm = without_values.call(functools.partial(training.advance, count), "A training step")
        """,
        """
        norm = without_values.call(functools.partial(training.advance, count), "A training step")
        if checkpoints:
            checkpoints.intend(count)
        """,
        "test_checkpoint::test_steps_that_were_all_lost_make_no_model",
    ),
    Mutant(
        "a resumed run begins its steps again", "_steps_left",
        """
        if not history.attempts:
            return resolved.steps
        """,
        "return resolved.steps", "test_checkpoint",
    ),
    Mutant(
        "a damaged journal is a new run", "Checkpoints._read",
        "raise CheckpointError(...)",
        """
        return None
        raise CheckpointError(...)
        """,
        "test_checkpoint::test_a_damaged_journal_is_no_new_run",
    ),
    Mutant(
        "calibrated to less noise", "calibrate_noise_multiplier",
        "medium.descend(nearly, slope=slope)[0]",
        "0.99 * medium.descend(nearly, slope=slope)[0]", "test_accounting",
    ),
    Mutant(
        "epsilon is rounded to the nearest", "rounded_up",
        "decimal.ROUND_CEILING", "decimal.ROUND_HALF_EVEN", "test_rounding",
    ),
    Mutant(
        "events are taken as they come", "checked",
        "return dp_sgd_event(**terms(event)._asdict())", "return event", "test_accounting",
    ),
    Mutant(
        "PLD's round-off is taken for nothing", "epsilon_bounds",
        "reliable = target_delta - pld_round_off(event)", "reliable = target_delta",
        "test_round_off::test_what_is_stated_of_a_million_steps_is_above_the_truth_and_near_it",
    ),
    Mutant(
        "the round-off of many steps is that of one", "pld_round_off",
        "part.steps if part.sampling_probability < 1.0 else 1", "1",
        "test_round_off::test_what_is_stated_of_a_million_steps_is_above_the_truth_and_near_it",
    ),
    Mutant(
        "PLD is stated within its round-off", "epsilon_bounds",
        "reliable >= target_delta / 2", "reliable > 0.0",
        "test_round_off::test_what_is_stated_of_a_million_steps_is_above_the_truth_and_near_it",
    ),
    Mutant(
        "a Gaussian profile below the round-off", "gaussian_dp:fit",
        "2 * pld_round_off(event)", "0.0",
        "test_round_off::test_gaussian_dp_is_stated_no_further_down_than_the_round_off_allows",
    ),
    Mutant(
        "the larger of two valid bounds", "epsilon_bounds",
        "min(pld, rdp) if pld > 0.0 else rdp", "pld",
        "test_round_off::test_what_is_stated_of_a_million_steps_is_above_the_truth_and_near_it",
    ),
    Mutant(
        "no bound is too small", "lower_bound:check",
        "bound is not None and not bound >= least", "False", "test_lower_bound",
    ),
    Mutant(
        "the attack is better than it is", "_draws",
        "edges[:-1][kept].astype(np.float64)", "edges[1:][kept].astype(np.float64)", "test_lower_bound",
    ),
    Mutant(
        "a run is begun whose guarantee nobody can read", "planned:check",
        "recomputed_epsilon(statement.from_json(PrivacyGuarantee, text))", "pass", "test_planned",
    ),
    Mutant(
        "a run is begun whose guarantee is too long", "planned:check",
        "if too_long: ...", "pass", "test_planned",
    ),
    Mutant(
        "a run is begun whose epsilon is impossible", "planned:check",
        "for spending in found or (): ...", "pass", "test_planned",
    ),
    Mutant(
        "averages are dropped", "keras_api:finish",
        "model.optimizer.finalize_variable_values(model.trainable_variables)", "pass",
        "test_averages::test_the_weights_end_as_their_averages",
    ),
    Mutant(
        "a run that cannot be stated is executed", "check_run",
        "return planned(resolved, noise_multiplier)", "return planned(resolved, noise_multiplier or 1.0)",
        "test_training",
    ),
]  # fmt: skip
