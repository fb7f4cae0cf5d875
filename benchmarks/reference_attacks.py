"""How much the attacks with reference models see, by the number of models: `python -m benchmarks.reference_attacks`.

Simulated scores of a model and its pairs of reference models: records differ in difficulty, in each model's noise, and in
what training on them changes, which is nothing for two fifths of them. The loss is the attack without reference models.
"""

from __future__ import annotations

import numpy as np

from tfx_privacy.attacks.membership import counts, reference, statistics

_RECORDS = 40_000
_NUM_MODELS = (2, 4, 8, 16)
_RATE = 0.01


def main() -> None:
    """Simulates, attacks, and prints the table."""
    print("| reference models | attack | AUC | TPR at 1 % FPR |\n|---|---|---|---|")
    for num_models in _NUM_MODELS:
        target, references, bits = _simulated(num_models)
        logs = [-np.logaddexp(0.0, -scores) for scores in (target, references)]
        found = reference.scores((target, logs[0]), (references, logs[1]), bits, is_likelihood=True)
        if num_models == _NUM_MODELS[0]:
            _print("none", "loss", target)
        for attack, scores in found.items():
            _print(str(num_models), attack, scores)


def _print(num_models: str, attack: str, scores: np.ndarray) -> None:
    half = _RECORDS // 2
    counted = counts.of_scores(scores[:half], scores[half:])
    auc = statistics.auc_interval(counted, confidence_level=0.95).estimate
    rate = statistics.tpr_interval(counted, false_positive_rate=_RATE, confidence_level=0.95).estimate
    print(f"| {num_models} | {attack} | {auc:.3f} | {rate:.3f} |")


def _simulated(num_models: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of the target, of the reference models, and which of each pair was trained with the record."""
    random = np.random.default_rng(0)
    is_member = np.arange(_RECORDS) < _RECORDS // 2
    difficulty = random.normal(1.0, 2.0, _RECORDS)
    noise = 0.7 * np.exp(0.5 * random.normal(size=_RECORDS))
    effect = random.exponential(1.0, _RECORDS) * (random.random(_RECORDS) < 0.6)
    bits = random.integers(0, 2, (_RECORDS, num_models // 2))
    trained = np.stack([bits == 0, bits == 1], axis=2).reshape(_RECORDS, num_models)
    target = difficulty + effect * is_member + noise * random.normal(size=_RECORDS)
    references = (
        difficulty[:, None] + effect[:, None] * trained + noise[:, None] * random.normal(size=(_RECORDS, num_models))
    )
    return target, references, bits


if __name__ == "__main__":
    main()
