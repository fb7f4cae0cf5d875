"""Bugs in what binds an attack to the records that were trained on."""

from __future__ import annotations

from mutants.mutant import Mutant

_GATE = "test_gate_trained_records"

TRAINED_RECORDS = [
    Mutant(
        "strangers are members", "gate.rules.trained_records:_of_shares",
        "_at_least(members.num_trained_on, members.num_sampled, found)", "1.0", _GATE,
    ),
    Mutant(
        "a part is the whole", "gate.rules.trained_records:_of_shares",
        "_at_least(found.num_seen, found.sketch_size, found)", "1.0", _GATE,
    ),
    Mutant(
        "members on the other side", "gate.rules.trained_records:_of_shares", "share <= limit", "True", _GATE,
    ),
    Mutant(
        "whoever is like a member may be one", "_max_nonmember_share",
        "return MAX_NONMEMBER_SHARE + 2.0 * (1.0 - found.num_distinct / found.num_read)", "return 1.0", _GATE,
    ),
    Mutant(
        "the estimate for the lower bound", "gate.rules.trained_records:_at_least",
        "hits / total if found.is_complete else float(stats.beta.ppf(1.0 - CONFIDENCE, hits, total - hits + 1))",
        "hits / total", _GATE,
    ),
    Mutant(
        "nothing sampled is all of it", "gate.rules.trained_records:_at_least", "0 < hits <= total", "0 < total", _GATE,
    ),
    Mutant(
        "another training's file", "check_trained_records", "found.digest != trained.trained_records_digest", "False", _GATE,
    ),
    Mutant(
        "a guarantee that does not say", "check_trained_records",
        "trained.trained_records_digest is None", "False", _GATE,
    ),
    Mutant(
        "a population that was declared needs no count", "gate.rules.trained_records:_of_numbers",
        "record.num_members != found.num_read",
        'record.num_members != found.num_read and trained.population.source == "counted"', _GATE,
    ),
    Mutant(
        "other records were held against the file", "gate.rules.trained_records:_of_numbers",
        "(found.members.num_records, found.nonmembers.num_records) != attacked", "False", _GATE,
    ),
    Mutant(
        "dropped records are members", "gate.rules.trained_records:_of_numbers",
        "found.num_used >= MIN_SHARE * found.num_read", "True", _GATE,
    ),
    Mutant(
        "any population may be declared", "gate.rules.trained_records:_of_population",
        "abs(num_units - size.records) <= error * size.records",
        'size.source == "declared" or num_units == size.records', _GATE,
    ),
    Mutant(
        "delta is held against what was declared alone", "gate.rules.trained_records:_of_population",
        "trained.target_delta < 1.0 / num_units", "True", _GATE,
    ),
    Mutant(
        "contradictions are believed", "gate.rules.trained_records:_check_consistent",
        "TrainedRecordsFound.model_validate(found.model_dump())", "pass", _GATE,
    ),
    Mutant(
        "a part of a sketch is a whole one", "attacks.trained_records:_check_numbers",
        "sketch_size == min(record.num_distinct, SKETCH_SIZE)", "True", "test_trained_records",
    ),
    Mutant(
        "one record again and again is many", "gate.rules.trained_records:_of_numbers",
        "found.num_distinct >= record.min_records", "True", _GATE,
    ),
    Mutant(
        "a larger sample thins out the trained ones", "gate.rules.trained_records:_nonmember_share",
        "(sampled, due)", "(sampled,)", _GATE,
    ),
    Mutant(
        "the sketch has no secret", "attacks.trained_records:hashes_of",
        "bytes.fromhex(secret_key)", "bytes(32)", "test_trained_records",
    ),
    Mutant(
        "the secret is always the same", "new_secret_key", "os.urandom(_KEY_BYTES)", "bytes(_KEY_BYTES)",
        "test_trained_records",
    ),
    Mutant(
        "only what is found is sampled", "Matcher.match",
        "[value for value in hashes if value <= self._largest]", "[value for value in hashes if value in self._places]",
        "test_trained_records",
    ),
    Mutant(
        "one part's entries are all that were seen", "attacks.trained_records:merged",
        "np.logical_or.reduce(seen)", "seen[0]", "test_trained_records",
    ),
    Mutant(
        "wide records keep all bits", "_dropped_bits",
        "np.maximum(_KEPT_BITS - doublings, 0)", "_KEPT_BITS", "test_record_keys",
    ),
    Mutant(
        "padding counts", "record_keys:_column_hashes",
        "np.where(cells.present[rows], hashes, np.uint64(0))", "hashes", "test_record_keys",
    ),
]  # fmt: skip
