"""Every private or fragile import of the project, in one place, with its reason.

tensorflow_privacy 0.9.0 imports the removed `tf.estimator` in its `__init__`; its own switch, an attribute on `sys`, skips that,
and submodules then import well. `repair_tensorflow_privacy` does so for whoever imports it, and finds the names that its
`__init__` would have imported. Its Keras classes need Keras 2: TF_USE_LEGACY_KERAS=1 before TensorFlow is imported.

TensorFlow can read the status of AutoGraph through its public interface, and not set it. It loads one MetaGraph of a
SavedModel, and tells of the others through its internal interface alone. `tf.vectorized_map` converts products of matrices by
a table that has no public interface.

Beam's DirectRunner is a choice of runners. That of tfx 1.21 begins with Prism: a program that it downloads at the first
use, keeps in the account's home, and gives the records to. What it chose before has a name of its own.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

LOCAL_BEAM_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""Runs in this process or on processes of this machine, downloads nothing, and is the same in both generations."""


def use_local_beam_runner() -> None:
    """Makes it what pipelines of this process run on that name no runner.

    By Beam's own default, not by an argument: TFX packs itself anew for each component that has Beam arguments.
    """
    # By name: training, which knows no Beam, imports this module.
    options = importlib.import_module("apache_beam.options.pipeline_options")
    options.StandardOptions.DEFAULT_RUNNER = LOCAL_BEAM_RUNNER


_TENSORFLOW_PRIVACY = "tensorflow_privacy"
_KERAS_MODULES = (
    "optimizers.dp_optimizer_keras", "optimizers.dp_optimizer_keras_vectorized", "optimizers.dp_optimizer_keras_sparse",
    "keras_models.dp_keras_model",
)  # fmt: skip


def tensorflow_privacy(submodule: str) -> Any:
    """Imports `tensorflow_privacy.<submodule>`, of the extra, past the package's broken `__init__`.

    Raises:
      ImportError: If it is not installed.
    """
    repair_tensorflow_privacy()
    return importlib.import_module(f"{_TENSORFLOW_PRIVACY}.{submodule}")


def tensorflow_privacy_statement(arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    """Version of tensorflow-privacy, and what its `compute_dp_sgd_privacy_statement` says; None where it is not installed.

    It needs dp-accounting, and no TensorFlow.
    """
    try:
        library = tensorflow_privacy("privacy.analysis.compute_dp_sgd_privacy_lib")
    except ImportError:
        return None
    try:
        said = library.compute_dp_sgd_privacy_statement(**arguments)
    except Exception:  # noqa: BLE001 - for display alone: where it has no answer, ours stands by itself
        return None
    return sys.modules[_TENSORFLOW_PRIVACY].__version__, said


def repair_tensorflow_privacy() -> None:
    """Makes `import tensorflow_privacy` work where its own `__init__` cannot; imports nothing by itself."""
    if not any(isinstance(finder, _PrivacyFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PrivacyFinder())


class _PrivacyFinder(importlib.abc.MetaPathFinder):
    """Finds tensorflow_privacy as Python does, and loads it by `_PrivacyLoader`."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != _TENSORFLOW_PRIVACY:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _PrivacyLoader(fullname, spec.loader.path)
        return spec


class _PrivacyLoader(importlib.machinery.SourceFileLoader):
    """Runs the `__init__` without its imports, and imports what is asked for."""

    def exec_module(self, module: Any) -> None:
        sys.skip_tf_privacy_import = True  # type: ignore[attr-defined]
        super().exec_module(module)
        imports = [node for node in ast.walk(ast.parse(self.get_data(self.path))) if isinstance(node, ast.ImportFrom)]
        homes = {name.asname or name.name: node.module for node in imports for name in node.names}

        def found(name: str) -> Any:
            if name == "privacy":
                for part in _KERAS_MODULES:
                    importlib.import_module(f"{_TENSORFLOW_PRIVACY}.privacy.{part}")
                return sys.modules[f"{_TENSORFLOW_PRIVACY}.privacy"]
            module_name = homes.get(name)
            if module_name is None:
                raise AttributeError(f"module {_TENSORFLOW_PRIVACY!r} has no attribute {name!r}")
            home = importlib.import_module(module_name)
            if home is not module and hasattr(home, name):
                return getattr(home, name)
            return importlib.import_module(f"{module_name}.{name}")

        module.__getattr__ = found


def autograph_enabled() -> AbstractContextManager[Any]:
    """A context in which AutoGraph converts what asks to be converted, e.g. the `call` of a user's layer."""
    from tensorflow.python.autograph.core import ag_ctx

    return ag_ctx.ControlStatusCtx(status=ag_ctx.Status.ENABLED)


@contextlib.contextmanager
def products_of_stacked_matrices() -> Iterator[None]:
    """While this lasts, `tf.vectorized_map` makes one product of matrices of a record's matrices times one that all share.

    Its own conversion multiplies tensors of ranks 4 and 2, which corrupts the heap in TensorFlow 2.16 with oneDNN.
    """
    from tensorflow.python.ops.parallel_for import pfor

    converters = pfor._pfor_converter_registry
    with _CONVERTING:
        own = {name: converters[name] for name in ("BatchMatMulV2", "BatchMatMulV3") if name in converters}
        converters.update({name: functools.partial(_product, pfor.wrap, converter) for name, converter in own.items()})
        try:
            yield
        finally:
            converters.update(own)


def _product(wrap: Any, otherwise: Any, pfor_input: Any) -> Any:
    """Converts a product; other pairs of matrices as TensorFlow does."""
    import tensorflow as tf

    (left, left_stacked, _), (right, right_stacked, _) = pfor_input.input(0), pfor_input.input(1)
    if not left_stacked or right_stacked or right.shape.rank != 2 or pfor_input.get_attr("adj_x"):
        return otherwise(pfor_input)
    shape = tf.shape(left)
    rows = tf.reshape(left, tf.stack([-1, shape[-1]]))
    product = tf.matmul(rows, right, transpose_b=pfor_input.get_attr("adj_y"))
    return wrap(tf.reshape(product, tf.concat([shape[:-1], tf.shape(product)[1:]], axis=0)), True)


# One thread at a time: replicas of a tf.distribute strategy are traced in several.
_CONVERTING = threading.RLock()


def trace_transform(module: Any, **functions: Any) -> None:
    """Traces functions as tft traces a `preprocessing_fn`, into attributes of a module that can be saved with their tables."""
    import tempfile

    from tensorflow_transform import graph_context
    from tensorflow_transform.saved import saved_transform_io_v2

    with (
        tempfile.TemporaryDirectory() as folder,
        graph_context.TFGraphContext(module_to_export=module, temp_dir=folder, evaluated_replacements={}),
    ):
        for name, function in functions.items():
            # Its lists of tables and variables are the module's own, so each function has a module below.
            part = type(module)()
            saved_transform_io_v2.trace_and_update_module(part, function, "traced", strip_control_dependencies=False)
            setattr(module, name, part)


def transform_analyzer_outputs(graph: Any) -> list[Any]:
    """The tensors that stand for what tft's own analyzers are to give, in a graph that is being traced."""
    from tensorflow_transform import analyzer_nodes

    return [sink.tensor for sink in graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS)]


def transform_analyzers(graph: Any) -> list[str]:
    """What tft's own analyzers in a graph are called: the scopes of their results, each once."""
    names = [tensor.op.name.split("/temporary_analyzer_output")[0] for tensor in transform_analyzer_outputs(graph)]
    return list(dict.fromkeys(names))


def parse_saved_model(folder: str) -> Any:
    """A SavedModel's message, of all its MetaGraphs, read as TensorFlow's own loader reads it, whichever form it is in."""
    import tensorflow as tf

    return tf.__internal__.saved_model.parse_saved_model(folder)


def is_stateless(operation: str) -> bool:
    """Whether TensorFlow says that an operation has no state and no effect; of one that it does not know, it does not."""
    from tensorflow.python.framework import op_def_registry

    known = op_def_registry.get(operation)
    return known is not None and not known.is_stateful


def graph_of(operation: str) -> Any:
    """The message of a graph of one operation; where it is a function's name, of it and all functions that it calls."""
    from tensorflow.core.framework import graph_pb2
    from tensorflow.python.eager import context

    known, graph, waiting, seen = context.context(), graph_pb2.GraphDef(), [operation], {""}
    if not known.has_function(operation):
        graph.node.add(op=operation)
    while waiting:
        name = waiting.pop()
        if name in seen or not known.has_function(name):
            continue
        seen.add(name)
        function = known.get_function_def(name)
        graph.library.function.append(function)
        for node in function.node_def:
            waiting.append(node.op)
            for part in node.attr.values():
                waiting += [part.func.name, *(each.name for each in part.list.func)]
    return graph


@contextlib.contextmanager
def tensorflow_heard(file: Callable[..., None], operation: Callable[[str, Any], None]) -> Iterator[None]:
    """Hears, while this lasts and in any thread, what TensorFlow opens, and what it runs at once.

    Args:
      file: Gets the name of a file that a reader or a table opens, and the mode where there are modes.
      operation: Gets the type of an operation, or a function's name, that runs by itself; or nothing, and the graph that a
        session of TensorFlow 1 runs.
    """
    import tensorflow as tf
    from tensorflow.python import pywrap_tfe
    from tensorflow.python.client.session import BaseSession
    from tensorflow.python.lib.io.tf_record import _pywrap_record_io
    from tensorflow.python.training.py_checkpoint_reader import CheckpointReader

    def ran(name: Any, arguments: Sequence[Any]) -> None:
        name = tf.compat.as_str(name)
        if name.startswith("InitializeTableFromTextFile"):
            file(tf.get_static_value(tf.convert_to_tensor(arguments[1])))
        operation(name, None)
        for argument in arguments:
            if isinstance(argument, tf.types.experimental.ConcreteFunction):
                operation(tf.compat.as_str(argument.name), None)

    with contextlib.ExitStack() as stack:

        def heard(owner: Any, name: str, hear: Callable[..., None]) -> None:
            stack.enter_context(calls_heard(owner, name, hear))

        # tf.io.gfile.GFile is derived from it, and so is what reads files as a whole.
        (kind,) = tf.io.gfile.GFile.__bases__
        heard(kind, "__init__", lambda _, name, mode="r", *__, **___: file(name, mode))
        for reader in (_pywrap_record_io.RecordIterator, _pywrap_record_io.RandomRecordReader, CheckpointReader):
            heard(reader, "__init__", lambda _, name, *__: file(name))
        # All operations that run at once pass one of these three; TensorFlow's callbacks for them are of one thread.
        heard(pywrap_tfe, "TFE_Py_FastPathExecute", lambda _, name, __, *arguments: ran(name, arguments))
        for execute in ("TFE_Py_Execute", "TFE_Py_ExecuteCancelable"):
            heard(pywrap_tfe, execute, lambda _, __, name, inputs, *___: ran(name, inputs))
        for run in ("run", "make_callable"):
            heard(BaseSession, run, lambda session, *_, **__: operation("", session.graph))
        yield


@contextlib.contextmanager
def calls_heard(owner: Any, name: str, hear: Callable[..., None]) -> Iterator[None]:
    """Calls `hear` with the arguments of each call of a function of a module or a class, and then the function."""
    own = getattr(owner, name)

    @functools.wraps(own)
    def heard(*arguments: Any, **more: Any) -> Any:
        hear(*arguments, **more)
        return own(*arguments, **more)

    setattr(owner, name, heard)
    try:
        yield
    finally:
        setattr(owner, name, own)


def global_seed_generator() -> Any:
    """Keras 3's seed generator for random numbers without a seed; None where none was drawn."""
    from keras.src.backend.common import global_state

    return global_state.get_global_attribute("global_seed_generator")
