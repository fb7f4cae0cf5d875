"""Bugs in the statistics of a split: in what a record counts for, in the charge of several splits, and in what is written."""

from __future__ import annotations

from mutants.mutant import Mutant

_READER = "test_statistics_reader"
_ANSWERS = "test_statistics_of_answers"
_FEATURES = "test_features"
_EXECUTOR = "test_dp_statistics_gen"

STATISTICS = [
    Mutant(
        "one broken record takes its batch with it", "dp_statistics_gen.reader:_decoded",
        "len(records) > 1", "False", _READER,
    ),
    Mutant(
        "the second half is read as the first", "dp_statistics_gen.reader:_decoded", "start + half", "start", _READER,
    ),
    Mutant(
        "a type is what the records make it", "dp_statistics_gen.reader:_column",
        "values.dtype.kind not in wanted.kinds", "False", _READER,
    ),
    Mutant(
        "records that do not decode are nobody", "dp_statistics_gen.reader:_columns",
        "np.arange(len(records))", "np.arange(sum(batch.num_rows for _, batch in batches))", _READER,
    ),
    Mutant(
        "values of a batch stand at its beginning", "dp_statistics_gen.reader:_column",
        "start + lists.value_parent_indices().to_numpy()", "lists.value_parent_indices().to_numpy()", _READER,
    ),
    Mutant(
        "a feature that some lack is required", "dp_statistics_gen.statistics:_non_missing",
        "num_examples - 1", "num_examples", _ANSWERS,
    ),
    Mutant(
        "a number below zero is written", "dp_statistics_gen.statistics:_non_missing", "max(1, noisy)", "noisy", _ANSWERS,
    ),
    Mutant(
        "the weight is nobody's", "releases.features:Number.queries",
        '{"name": name, "max_values": self.max_values, "share": self.share}', '{"name": name, "max_values": self.max_values}',
        _FEATURES,
    ),
    Mutant(
        "bounds that are to be searched are some", "releases.features:Number.__post_init__",
        "isinstance(self.bounds, str)", "False", _FEATURES,
    ),
    Mutant(
        "one release is charged for two", "release_charge:_reserve_all", "zip(releases, labels, strict=True)",
        "zip(releases[:1], labels)", f"{_EXECUTOR}::test_each_split_is_charged_and_its_record_says_where",
    ),
    Mutant(
        "what was refused beside another stays charged", "release_charge:_reserve_all", "release.give_back()", "pass",
        f"{_EXECUTOR}::test_a_second_split_that_the_budget_does_not_hold_gives_the_first_one_back",
    ),
    Mutant(
        "what the ledger does not know lies about", "components.releasing:commit", "tf.io.gfile.rmtree(artifact.uri)", "pass",
        f"{_EXECUTOR}::test_what_the_ledger_does_not_take_is_removed",
    ),
    Mutant(
        "exact sums lie about", "components.releasing:released", "tf.io.gfile.rmtree(folder)", "pass",
        f"{_EXECUTOR}::test_the_noise_of_each_answer_is_as_large_as_the_record_says",
    ),
    Mutant(
        "sums without noise", "components.releasing:_noisy", "noisy.noisy_vector(query, answer, exact, bits)",
        "query.released(exact)", f"{_EXECUTOR}::test_the_noise_of_each_answer_is_as_large_as_the_record_says",
    ),
    Mutant(
        "all answers have the noise of the first", "components.releasing:_noisy", "plan.answers[place]", "plan.answers[0]",
        f"{_EXECUTOR}::test_the_noise_of_each_answer_is_as_large_as_the_record_says",
    ),
    Mutant(
        "a digest of all splits", "dp_statistics_gen.executor:Executor.Do", "_files.directory_digest(uri)",
        "_files.directory_digest(written.uri)",
        f"{_EXECUTOR}::test_each_split_has_statistics_and_the_record_of_its_release",
    ),
    Mutant(
        "a user has any number of records", "exact_sums:build",
        "beam.combiners.Top.SmallestPerKey(questions.max_records_per_user)", "beam.combiners.Top.SmallestPerKey(1000)",
        f"{_EXECUTOR}::test_people_are_the_unit_where_they_are_told_apart",
    ),
    Mutant(
        "a user is many", "_Users._named", "np.bincount(found.rows, minlength=len(records))[found.rows] == 1",
        "np.full(len(found.rows), True)", "test_dp_statistics_gen::test_a_record_of_several_users_is_nobody_s",
    ),
    Mutant(
        "half a file is a whole one", "exact_sums:_batches", "example_files.check_whole([file])", "pass",
        f"{_EXECUTOR}::test_a_damaged_file_leaves_the_charge_and_no_sums",
    ),
]  # fmt: skip
