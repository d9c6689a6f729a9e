# syntax=docker/dockerfile:1
# Pin the base by digest for a release: --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:<digest>
# (`docker buildx imagetools inspect python:3.13-slim-bookworm` shows the present one).
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/bursar
# With requirements-traces.lock the image can send OpenTelemetry spans.
ARG LOCK=requirements.lock
COPY requirements.lock requirements-traces.lock ./
RUN pip --python /opt/bursar/bin/python install --no-compile --no-deps --require-hashes -r ${LOCK}
COPY deploy/build.lock deploy/build.lock
RUN pip install --no-deps --require-hashes -r deploy/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
# Hashed tools build it, nothing is fetched: the result depends on the two locks and the sources alone.
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /dist . \
    && pip --python /opt/bursar/bin/python install --no-compile --no-deps --no-index /dist/*.whl \
    && /opt/bursar/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/bursar/lib

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Bursar" \
    org.opencontainers.image.description="Gateway that shares one TikTok Research API credential" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/bursar /opt/bursar
# A number, so that an orchestrator can see that it is not root; nothing of the image belongs to it but /data.
RUN install -d -o 10001 -g 10001 -m 0700 /data
ENV PATH=/opt/bursar/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BURSAR_DATA_DIR=/data \
    BURSAR_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["bursar"]
CMD ["serve", "--host", "0.0.0.0"]
