"""Worker processes, seen from the one that measures."""

from __future__ import annotations

import json
import os
import pathlib
import select
import subprocess
import tempfile
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from typing_extensions import Self

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_CLOSING_SECONDS = 10


class WorkerError(Exception):
    """A worker refused, failed, died or did not answer in time; the message is what the table shows."""


@dataclass(frozen=True)
class Host:
    """Where workers run.

    Attributes:
      interpreters: Path of a Python for each of "tensorflow", "opacus" and "jax".
      core: The processor all workers are pinned to.
      keras: Which Keras `tf.keras` is to be: "tf_keras" or "keras".
      answer_seconds: How long one answer may take.
      memory_limit_bytes: What one worker may allocate.
    """

    interpreters: dict[str, str]
    core: int
    keras: str
    answer_seconds: float
    memory_limit_bytes: int

    def environment(self) -> dict[str, str]:
        """One compute thread everywhere, no accelerator, and the Keras that was asked for."""
        return os.environ | {
            "CUDA_VISIBLE_DEVICES": "-1",
            "JAX_PLATFORMS": "cpu",
            "KERAS_BACKEND": "tensorflow",
            "MKL_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_USE_LEGACY_KERAS": "1" if self.keras == "tf_keras" else "0",
        }


class Worker:
    """A live `benchmarks.worker`, pinned; close it, or use it as a context manager."""

    def __init__(self, interpreter: str, host: Host) -> None:
        """Starts the process.

        Raises:
          WorkerError: If the interpreter cannot be started, or the process not be pinned.
        """
        self._answer_seconds = host.answer_seconds
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process that writes it)
        try:
            self._process = subprocess.Popen(
                [interpreter, "-m", "benchmarks.worker"],
                cwd=_ROOT,
                env=host.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        except OSError as error:
            self._errors.close()
            raise WorkerError(f"no such interpreter: {error.strerror}") from error
        try:
            self.ask("confine", core=host.core, memory_limit_bytes=host.memory_limit_bytes)
        except WorkerError:
            self.close()
            raise

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        """Sends a request and waits for its reply.

        Raises:
          WorkerError: If the reply is an error, or there is none.
        """
        line = json.dumps({"request": request, **arguments}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(self._last_words()) from error
        reply = self._reply()
        if "error" in reply:
            raise WorkerError(_in_words(reply))
        return reply

    def _reply(self) -> dict[str, Any]:
        ready, _, _ = select.select([self._process.stdout], [], [], self._answer_seconds)
        if not ready:
            self._process.kill()
            raise WorkerError(f"no answer within {self._answer_seconds:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f"died with code {code}" + (f": {said[-1][:200]}" if said else "")

    def close(self) -> None:
        """Lets the process end, and ends it if it does not."""
        if self._process.poll() is None:
            self._process.stdin.close()
            try:
                self._process.wait(_CLOSING_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _in_words(reply: dict[str, Any]) -> str:
    if reply["error"] == "NotInstalledError":
        return f"not installed: {reply['message']}"
    if reply["error"] == "UnsupportedVariantError":
        return f"unsupported: {reply['message']}"
    return f"failed: {reply['error']}: {reply['message']}"
