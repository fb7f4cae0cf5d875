# The image of every step of a compiled pipeline, and of Beam's workers. Both bases are pinned by digest, which must be given:
#
#   docker build -t tfx-privacy --build-arg PYTHON_DIGEST=sha256:... --build-arg BEAM_DIGEST=sha256:... .
#
# (`docker buildx imagetools inspect python:3.13-slim-trixie` prints a digest.) For tfx 1.16, also
#
#   --build-arg TFX=1.16 --build-arg PYTHON=3.10 --build-arg DEBIAN=bookworm --build-arg BEAM=2.65.0
#
# It holds no secrets: the ledger's address and signing keys come from the environment in which a step runs.
ARG TFX=1.21
ARG PYTHON=3.13
ARG DEBIAN=trixie
ARG BEAM=2.77.0
ARG PYTHON_DIGEST
ARG BEAM_DIGEST

FROM apache/beam_python${PYTHON}_sdk:${BEAM}@${BEAM_DIGEST} AS beam

FROM python:${PYTHON}-slim-${DEBIAN}@${PYTHON_DIGEST} AS build
ARG TFX
WORKDIR /build
# pyfarmhash, which TensorFlow Data Validation pins, has no wheel. The compiler stays in this stage.
RUN apt-get update && apt-get install --yes --no-install-recommends g++
COPY locks/tfx-${TFX}-image.lock ./
# No test tools, and nothing without a hash: the lock's own setuptools and wheel build what has no wheel.
RUN python -m venv /opt/venv \
 && awk '/^[^ #]/ { wanted = /^(setuptools|wheel)==/ } wanted' tfx-${TFX}-image.lock > build-tools.txt \
 && /opt/venv/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --no-build-isolation -r build-tools.txt \
 && /opt/venv/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --no-build-isolation -r tfx-${TFX}-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY components ./components
COPY pipelines ./pipelines
COPY templates ./templates
# The lock's own setuptools builds the wheel: nothing is fetched.
RUN /opt/venv/bin/python -c "import setuptools.build_meta as backend; backend.build_wheel('/build/dist')" \
 && /opt/venv/bin/python -m pip install --no-cache-dir --no-index --no-deps /build/dist/*.whl

FROM python:${PYTHON}-slim-${DEBIAN}@${PYTHON_DIGEST}
LABEL org.opencontainers.image.title="tfx-privacy" \
      org.opencontainers.image.description="DPTrainer, PrivacyEvaluator and BudgetValidator for TFX pipelines" \
      org.opencontainers.image.licenses="Apache-2.0"
# Keras 2 for TFX's own components; pip's and Keras' files stay where the account may write. Beam's worker would else make an
# environment of its own, where this account may not write, and where no Beam is.
ENV PATH=/opt/venv/bin:$PATH \
    TF_USE_LEGACY_KERAS=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HOME=/home/pipeline
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=build /opt/venv /opt/venv
# Kubeflow's launcher writes artifacts below these folders.
RUN useradd --uid 1000 --create-home --home-dir /home/pipeline pipeline \
 && mkdir -p /gcs /s3 /minio \
 && chown pipeline /gcs /s3 /minio
USER 1000
WORKDIR /home/pipeline
# A broken environment fails here, not in the first pipeline run.
RUN python -c "from tfx_privacy.components import BudgetValidator, DPTrainer, PrivacyEvaluator; import tfx_privacy.ledger, psycopg"
# Kubeflow sets a command of its own; without one the image is a Beam worker.
ENTRYPOINT ["/opt/apache/beam/boot"]
