# One image for the four workers and the command line; what runs is the command: `worker auth`, `streams apply`.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements/runtime.txt requirements/runtime.txt
RUN python -m venv .venv \
 && .venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/runtime.txt

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 latchwire && useradd --uid 10001 --gid 10001 --no-create-home latchwire
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY latchwire ./
COPY shared shared
COPY services services
COPY sdk/src sdk/src
COPY ctl ctl
COPY nats nats
# Compiled now, because the root file system is read-only later.
RUN .venv/bin/python -m compileall -q shared services sdk ctl
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
ENTRYPOINT ["/app/latchwire"]
CMD ["--help"]
