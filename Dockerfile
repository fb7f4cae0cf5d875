# The image of every step of a compiled pipeline, and of Beam workers.
# docker build --build-arg BASE=python:3.10-slim-bookworm@sha256:<digest> -t tfx-privacy .
ARG BASE=python:3.10-slim-bookworm

FROM ${BASE} AS wheel
WORKDIR /build
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY src ./src
COPY components ./components
COPY pipelines ./pipelines
COPY templates ./templates
# The lock's own setuptools builds the wheel: nothing is fetched without a hash.
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock \
 && python -c "import setuptools.build_meta as backend; backend.build_wheel('/dist')"

FROM ${BASE}
LABEL org.opencontainers.image.title="tfx-privacy" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV TF_USE_LEGACY_KERAS=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/home/pipeline
COPY --from=wheel /usr/local/lib/python3.10/site-packages /usr/local/lib/python3.10/site-packages
COPY --from=wheel /dist /dist
RUN pip install --no-cache-dir --no-deps /dist/*.whl && rm -r /dist \
 && useradd --uid 1000 --create-home --home-dir /home/pipeline pipeline \
 && mkdir -p /gcs /s3 /minio && chown pipeline /gcs /s3 /minio
USER 1000
WORKDIR /home/pipeline
# A broken environment fails here, not in the first pipeline run.
RUN python -c "from tfx_privacy.components import BudgetValidator, DPTrainer, PrivacyEvaluator"
