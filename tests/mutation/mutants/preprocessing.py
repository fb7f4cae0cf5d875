"""Bugs in what analyzers ask, in its noise and thresholds, in who counts how often, and in what a release covers."""

from __future__ import annotations

from mutants.mutant import Mutant

_WORST = "test_sensitivity::test_the_worst_record_moves_a_release_by_its_sensitivity"
_MOVED = "test_sensitivity::test_one_record_moves_a_release_by_its_sensitivity_at_most"
_OF_USERS = "test_exact_sums::test_a_user_of_a_thousand_records_counts_k"
_DRAFTS = "test_drafts::"
_APART = "test_records_apart::"
_FILES = "test_files_read::"

PREPROCESSING = [
    # What one record moves.
    Mutant(
        "a value counts on one level of the tree", "Quantiles.l2_sensitivity", "math.sqrt(self.levels)", "1.0", _WORST,
    ),
    Mutant("moments move by one of three numbers", "Moments.l2_sensitivity", "math.sqrt(3.0) * GRID", "GRID", _WORST),
    Mutant("counts move once whatever is counted", "Counts.l2_sensitivity", "float(self.max_values)", "1.0", _WORST),
    Mutant("intervals move once whatever is counted", "Intervals.l2_sensitivity", "float(self.max_values)", "1.0", _WORST),
    Mutant("a record has one value in a vocabulary", "Vocabulary.l2_sensitivity", "math.sqrt(self.max_values)", "1.0", _WORST),
    Mutant("all values of a record count", "Column.first", "within < max_values", "within < len(within)", _MOVED),
    Mutant(
        "all different values of a record count", "Vocabulary.counts",
        "itertools.islice(different, self.max_values)", "different", _MOVED,
    ),
    Mutant(
        "equal values of a record count each", "Vocabulary.counts",
        "dict.fromkeys(value for _, value in pairs if _is_word(value))", "[value for _, value in pairs if _is_word(value)]",
        _MOVED,
    ),
    Mutant(
        "all public values of a record count", "Counts.sums",
        "column.known().first(self.max_values).values", "column.known().values", _MOVED,
    ),
    Mutant(
        "a record counts for each of its values", "Presence.sums",
        "np.unique(column.known().rows)", "column.known().rows", _MOVED,
    ),
    Mutant(
        "a record in two places is two records", "Column.__post_init__",
        "not bool(np.all(self.rows[1:] >= self.rows[:-1]))", "False",
        "test_sensitivity::test_values_of_a_record_in_several_places_are_those_of_one_record",
    ),
    Mutant(
        "NaN counts", "Column.known", "self.of(~np.isnan(self.values))", "self",
        "test_decoding::test_nan_counts_as_missing_and_an_infinity_as_the_bound",
    ),
    Mutant(
        "values beyond the bounds have bins of their own", "Quantiles.sums",
        "np.clip(values, low, high) - low", "values - low", _MOVED,
    ),
    # How much noise.
    Mutant(
        "answers without noise", "noisy_vector",
        "exact + rounded_gaussian(np.full(len(exact), answer.noise_standard_deviation), bits)", "exact",
        "test_noisy::test_every_number_gets_the_answer_s_noise_once",
    ),
    Mutant(
        "noise twice", "noisy_vector", "query.released(sums)",
        "query.released(sums) + rounded_gaussian(np.full(query.numbers, answer.noise_standard_deviation), bits)",
        "test_noisy::test_every_number_gets_the_answer_s_noise_once",
    ),
    Mutant(
        "one noise for all numbers", "noisy_vector",
        "np.full(len(exact), answer.noise_standard_deviation)", "np.full(1, answer.noise_standard_deviation)",
        "test_noisy::test_every_number_gets_the_answer_s_noise_once",
    ),
    Mutant(
        "values of a vocabulary without noise", "noisy_values",
        "part + rounded_gaussian(np.full(len(part), answer.noise_standard_deviation), bits)", "part",
        "test_noisy::test_values_pass_by_their_noisy_count",
    ),
    Mutant(
        "the order of the values is that of the records", "noisy_values",
        "found.sort(key=lambda pair: (-pair[0], pair[1]))", "", "test_noisy::test_the_order_of_the_values_says_nothing",
    ),
    Mutant(
        "shares are not parts of the whole", "releases.plan:plan", "weight / total", "weight",
        "test_plan::test_all_answers_come_to_the_noise_multiplier",
    ),
    Mutant(
        "a last bit less noise than was asked for", "releases.plan:plan", "multiplier * _HAIR", "multiplier",
        "test_plan::test_rounding_leaves_no_less_noise_than_was_asked_for",
    ),
    Mutant(
        "a user is one record", "plan:_answer",
        "noise_multiplier * query.l2_sensitivity * records_of_unit", "noise_multiplier * query.l2_sensitivity",
        "test_plan::test_all_answers_come_to_the_noise_multiplier",
    ),
    Mutant(
        "answers come to less than they do", "record:together", "answer.noise_multiplier**-2", "answer.noise_multiplier**-1",
        "test_record::test_answers_are_as_private_as_their_sum",
    ),
    Mutant(
        "a record may state more noise than it has", "Release._consistent",
        "not self.noise_multiplier <= found * (1 + _ROUNDING)", "False", "test_record",
    ),
    # The rounded normal numbers.
    Mutant(
        "middles of cells in doubles", "_directions",
        "(2 * drawn.astype(np.int64) + (1 - 2**_BITS)).astype(np.float64)",
        "((2.0 * drawn.astype(np.float64) + 1.0) - 2.0**_BITS)",
        "test_rounded_gaussian::test_directions_are_the_middles_of_their_cells",
    ),
    Mutant(
        "a uniform number of one", "_in_doubles", "np.minimum((fraction + 0.5) * 2.0**-_BITS, 1.0 - 2.0**-52)",
        "(fraction + 0.5) * 2.0**-_BITS", "test_rounded_gaussian::test_doubles_are_within_their_bound",
    ),
    Mutant(
        "a bound that is too small", "rounded_gaussian:_ULP", "2.0**-50", "2.0**-54",
        "test_rounded_gaussian::test_doubles_are_within_their_bound",
    ),
    Mutant(
        "doubles decide near a half", "rounded_gaussian:_some",
        "np.flatnonzero(~(np.abs(np.abs(numbers - rounded) - 0.5) > unsure))", "()",
        "test_rounded_gaussian::test_what_lies_near_a_half_is_decided_by_further_bits",
    ),
    Mutant(
        "noise ends at eight standard deviations", "rounded_gaussian:_uniform",
        "open_places[word == 0.0]", "open_places[:0]",
        "test_rounded_gaussian::test_the_tails_have_the_mass_of_a_normal_distribution",
    ),
    Mutant(
        "numbers are rounded down", "rounded_gaussian:_some", "np.rint(numbers)", "np.floor(numbers)",
        "test_rounded_gaussian::test_numbers_are_normal_and_rounded",
    ),
    # Thresholds.
    Mutant(
        "a unit's own records pass the threshold", "least_threshold",
        "most = l2_sensitivity / math.sqrt(max_keys) * records_of_unit", "most = 0.0",
        "test_plan::test_who_is_alone_with_values_has_one_released_with_probability_delta",
    ),
    Mutant(
        "one value of a unit's own", "least_threshold", "delta / (max_keys * records_of_unit)", "delta",
        "test_plan::test_who_is_alone_with_values_has_one_released_with_probability_delta",
    ),
    Mutant(
        "rounded noise passes half a record early", "least_threshold", "most + 0.5", "most",
        "test_record::test_the_least_threshold_is_the_formula_s",
    ),
    Mutant(
        "each vocabulary spends the whole delta", "releases.plan:plan", "privacy.selection_delta / selections",
        "privacy.selection_delta", "test_plan::test_the_thresholds_delta_is_split_over_the_vocabularies",
    ),
    Mutant(
        "delta of thresholds is there twice", "plan:_noise_multiplier",
        "privacy.target_delta - delta_spent * (1 + 2.0**-50)", "privacy.target_delta",
        "test_plan::test_epsilon_is_that_of_an_independent_composition",
    ),
    Mutant(
        "a record may state any threshold", "Release._check_selection",
        "not selection.threshold >= least * (1 - _ROUNDING)", "False", "test_record",
    ),
    Mutant(
        "values below the threshold pass", "noisy_values", "noisy >= answer.selection.threshold",
        "noisy >= answer.selection.threshold - 2", "test_noisy::test_values_pass_by_their_noisy_count",
    ),
    # Who counts how often.
    Mutant(
        "users are not bounded", "exact_sums:build",
        "beam.combiners.Top.SmallestPerKey(questions.max_records_per_user)", "beam.combiners.Top.SmallestPerKey(1 << 30)",
        _OF_USERS,
    ),
    Mutant(
        "a user's first records count", "_Users._named",
        "hashlib.blake2b(record, digest_size=_NUM_USER_BYTES).digest()", "b''.join([b'%09d' % row])", _OF_USERS,
    ),
    Mutant(
        "a vector takes the place of the earlier one", "_Sum.add_input", "accumulator + element", "element",
        "test_exact_sums::test_sums_are_the_same_for_any_files_and_batches",
    ),
    Mutant(
        "what a worker has given on is given on again", "_Sums.give", "self._clear()", "",
        "test_exact_sums::test_sums_are_the_same_for_any_files_and_batches",
    ),
    Mutant(
        "what cannot be read counts nothing", "exact_sums:read", "if failures:\n    raise DataError(failures[0].decode())", "",
        "test_exact_sums::test_a_damaged_file_is_named",
    ),
    # What may be asked.
    Mutant(
        "records may be mixed", "Session._check_records_apart", "mixed is not None", "False",
        f"{_APART}test_what_mixes_records_is_refused_before_anything_is_charged",
    ),
    Mutant(
        "a record's values are made among others", "TracedReader.columns", "_model(self.model_path).columns.one_by_one(records)",
        "_model(self.model_path).columns.traced(records)", "test_exact_sums::test_a_record_more_moves_no_other_by_the_last_bit",
    ),
    Mutant(
        "what mixes some records may be asked", "TracedReader.columns", "_model(self.model_path).columns.one_by_one(records)",
        "_model(self.model_path).columns.traced(records)", "test_exact_sums::test_no_record_moves_what_is_made_of_another",
    ),
    Mutant(
        "what is returned may be mixed", "Drafting.everything",
        "is_column and not self._above(output) & self._uncovered_outputs()", "False",
        f"{_APART}test_what_the_function_returns_is_made_of_each_record_too",
    ),
    Mutant(
        "the function may remember", "Drafting.check_states",
        "operations.with_a_state(self.graph.get_operations(), self.graph)", "[]",
        f"{_APART}test_a_variable_that_the_function_writes_elsewhere_is_refused",
    ),
    Mutant(
        "sums that are left over are added up", "exact_sums:read", "(place, part, kind) in seen", "False",
        "test_exact_sums::test_sums_that_are_there_twice_are_refused",
    ),
    Mutant(
        "a record of two users is the first one's", "_Users._named",
        "np.bincount(found.rows, minlength=len(records))[found.rows] == 1", "np.diff(found.rows, prepend=-1) > 0",
        "test_exact_sums::test_a_user_of_a_thousand_records_counts_k",
    ),
    Mutant(
        "a number is the user of its digits", "_Users._named", 'b"n" + str(user).encode()', 'b"t" + str(user).encode()',
        "test_exact_sums::test_a_number_and_its_digits_are_two_users",
    ),
    Mutant(
        "each value is a record", "Drafting.note", "num_rows(x)", "self._num_records",
        f"{_APART}test_an_assertion_of_rows_holds_for_real_records_too",
    ),
    Mutant(
        "operations may have a state", "with_a_state",
        "not (node.op in _READS | _CALLS or node.op in functions or compat.is_stateless(node.op))",
        "False",
        f"{_APART}test_what_has_a_state_is_refused",
    ),
    Mutant(
        "functions are not looked into", "operations:_nodes", "waiting += functions[name].node_def", "",
        f"{_APART}test_what_has_a_state_is_refused",
    ),
    Mutant(
        "nothing waits for an answer", "Drafting.note", "any(other not in self._released for other in pending)", "False",
        f"{_DRAFTS}test_what_depends_on_an_answer_waits_for_it",
    ),
    Mutant(
        "nobody waits for a vocabulary's file", "Session.wait_for_all", "self._drafting.hidden.add(place)", "",
        f"{_DRAFTS}test_every_question_after_a_vocabulary_s_file_waits_for_it",
    ),
    Mutant(
        "questions within functions begin anew", "Session.ask",
        "drafting is not None and tf.compat.v1.get_default_graph() is not drafting.graph", "False",
        f"{_DRAFTS}test_analyzers_are_called_in_the_function_itself",
    ),
    Mutant(
        "a function may ask something else each time", "Session.ask",
        "not _same(query, drafted, but_for_bounds=place in self._provisional)", "False",
        f"{_DRAFTS}test_a_function_that_asks_something_else_each_time_is_refused",
    ),
    # What is covered.
    Mutant(
        "tft's own analyzers are not found", "transform_analyzer_outputs",
        "[sink.tensor for sink in graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS)]", "[]",
        f"{_DRAFTS}test_tft_s_own_analyzers_are_found",
    ),
    Mutant(
        "tft's own analyzers may come at last", "LastTracing.__call__", "len(uncovered) > self.num_uncovered", "False",
        f"{_DRAFTS}test_an_analyzer_of_tft_that_comes_in_the_last_tracing_is_refused",
    ),
    Mutant(
        "tft's own analyzers are known from the last draft alone", "Session._call",
        "[*self.uncovered, *compat.transform_analyzers(drafting.graph)]", "self.uncovered",
        f"{_DRAFTS}test_an_analyzer_of_tft_that_comes_in_a_later_draft_is_found",
    ),
    Mutant(
        "files that are read are not noted", "reads:_heard", 'event == "open"', "False",
        f"{_FILES}test_a_file_that_is_read_while_the_function_is_traced_is_named",
    ),
    Mutant(
        "TensorFlow's files are not noted", "compat:tensorflow_heard",
        'heard(kind, "__init__", lambda _, name, mode="r", *__, **___: file(name, mode))', "",
        f"{_FILES}test_a_file_that_is_read_while_the_function_is_traced_is_named",
    ),
    Mutant(
        "TensorFlow's readers of records are not noted", "compat:tensorflow_heard",
        'heard(reader, "__init__", lambda _, name, *__: file(name))', "",
        f"{_FILES}test_a_file_that_is_read_while_the_function_is_traced_is_named",
    ),
    Mutant(
        "what TensorFlow runs at once is not noted", "reads:_ran", 'found.add(f"operation {name}")', "",
        f"{_FILES}test_operations_that_read_at_once_are_named",
    ),
    Mutant(
        "functions that run at once are not looked into", "compat:graph_of", "graph.library.function.append(function)", "",
        f"{_FILES}test_operations_that_read_at_once_are_named",
    ),
    Mutant(
        "tables that are made at once are not noted", "compat:tensorflow_heard.ran",
        "file(tf.get_static_value(tf.convert_to_tensor(arguments[1])))", "",
        f"{_FILES}test_a_file_that_is_read_while_the_function_is_traced_is_named",
    ),
    Mutant(
        "a release's own files are noted", "reads:Found.add", "self._own is not None", "False",
        f"{_FILES}test_what_tensorflow_and_the_release_read_is_no_figure",
    ),
    Mutant(
        "processes are not noted", "reads:_heard", "event in _PROCESSES", "False",
        f"{_FILES}test_processes_are_named_by_their_program",
    ),
    Mutant(
        "files of the last tracing are not noted", "Session.note_last_tracing", "self.files.add(name)", "",
        f"{_FILES}test_a_file_that_is_read_in_one_tracing_alone_is_named",
    ),
    Mutant(
        "what the graph reads while it runs is not noted", "Session._note_graph",
        "operations.that_read_files(graph)", "()",
        f"{_FILES}test_operations_that_read_while_the_graph_runs_are_named",
    ),
    Mutant(
        "files in memory are the system's", "reads:_PLACES", '"/dev/null"', '"/dev/"', f"{_FILES}test_files_in_memory_are_files",
    ),
    Mutant(
        "two vocabularies share a file", "Session.vocabulary_file", "_File(place, options)", "_File(place, (None, None))",
        "test_private_vocabularies::test_files_have_names_of_their_own",
    ),
    # The component; these import TFX.
    Mutant(
        "examples that any node made are those that it was given", "transformed_from",
        "kind(made.producer_component) != _TRANSFORM", "False",
        "test_splits::test_what_transforms_made_examples_of_is_what_the_first_was_given",
    ),
    Mutant(
        "tft's own analyzers are taken", "dp_transform.executor:_check", "session.uncovered and not allow_uncovered", "False",
        "test_dp_transform::test_what_adds_no_noise_is_refused",
    ),
    Mutant(
        "a file with a vocabulary's name is the vocabulary", "_foreign_assets",
        "_files.file_digest(os.path.join(folder, name)) not in known", "False",
        "test_dp_transform::test_a_file_is_a_vocabulary_by_what_is_in_it",
    ),
    Mutant(
        "the digest is of the graph without its metadata", "dp_transform.executor:Executor.Do",
        "_files.directory_digest(graph.uri)", "_files.directory_digest(os.path.join(graph.uri, 'transform_fn'))",
        "test_dp_transform::test_the_release_tells_what_was_done",
    ),
]  # fmt: skip
