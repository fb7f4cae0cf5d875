"""Bugs in the container's entry point, and in the runner of compiled pipelines."""

from __future__ import annotations

from mutants.mutant import Mutant

KUBEFLOW = [
    Mutant(
        "a blessing that does not arrive", "_require_blessings",
        "not arrived", "arrived is None", "test_container_entrypoint",
    ),
    Mutant(
        "an empty verdict is a marker", "remove_folder_markers",
        "of_model = name in _SAVED_MODEL_FOLDERS and _SAVED_MODEL in names", "of_model = True",
        "test_container_entrypoint",
    ),
    Mutant(
        "a blessing's model stays remote", "translate",
        'artifact["metadata"] = _mapped(artifact.get("metadata", {}), mirrors.local)',
        'artifact["metadata"] = dict(artifact.get("metadata", {}))', "test_container_entrypoint",
    ),
    Mutant(
        "a step starts without its ledger", "check_environment",
        'not environ.get(name, "").strip()', "False", "test_container_entrypoint",
    ),
    Mutant(
        "of a step's two modules one is taken", "parse_modules",
        '"" in steps or len(set(steps)) < len(steps)', "False", "test_compile_arguments",
    ),
    Mutant(
        "a password is compiled in plain text", "check_plain",
        "_is_secret(name, value)", "False", "test_compile_arguments",
    ),
    Mutant(
        "every step gets every secret", "Cluster._run",
        "self.compiled.secrets_of(name)", "self.compiled.secret_variables()", "test_run_ir",
    ),
    Mutant(
        "a dataset's name becomes a number", "_Quoting.represent_str",
        """style='"'""", "style=None", "test_quoted_yaml",
    ),
    Mutant(
        "a package's folder leads out of it", "_in_this_image",
        'not paths or ".." in folder.split("/")', "not paths", "test_container_entrypoint",
    ),
    Mutant(
        "a step runs after one that was skipped", "Cluster.launch",
        "any(results[earlier].state != SUCCEEDED for earlier in self.compiled.waits_for(name))", "False", "test_run_ir",
    ),
    Mutant(
        "a condition that does not hold", "Cluster.launch",
        'not conditions.holds(condition, {"inputs": inputs})', 'conditions.holds(condition, {"inputs": inputs})',
        "test_run_ir",
    ),
    Mutant(
        "artifacts arrive with their type", "Cluster._arriving",
        '{"instanceSchema": ""} if self.compiled.mirrored else dict(artifact.type)', "dict(artifact.type)",
        "test_run_ir",
    ),
]  # fmt: skip
