# Airlock's own image (`airlock`), and the S3-compatible server of a stack without one (`object-server`).
#
# `docker compose build` is all. pip's configuration and a company's certificate authority come as build secrets: they
# are mounted while packages are installed, and no layer, argument or history of an image holds them.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
# Any user may run it that belongs to group 0; one without a name gets one from the entry point.
RUN useradd --uid 50000 --gid 0 --home-dir /home/airlock --create-home --shell /usr/sbin/nologin airlock \
 && chmod 0775 /home/airlock && chmod 0664 /etc/passwd \
 # Volumes that are new take their owner and mode from here.
 && install -d -m 0775 -g 0 /opt/airflow /opt/airflow/logs /run/docker-proxy /run/registry-auth /var/lib/objects
ENV PYTHONUNBUFFERED=1 HOME=/home/airlock DO_NOT_TRACK=1

FROM ${PYTHON_IMAGE} AS airlock-packages
RUN python -m venv /opt/venv
COPY requirements-stack.lock /tmp/
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=build_ca,target=/run/secrets/build_ca \
    /opt/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/requirements-stack.lock

FROM ${PYTHON_IMAGE} AS object-server-packages
RUN python -m venv /opt/venv
COPY requirements-object-server.lock /tmp/
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=build_ca,target=/run/secrets/build_ca \
    /opt/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/requirements-object-server.lock

FROM base AS object-server
COPY --from=object-server-packages /opt/venv /opt/venv
COPY scripts /opt/airlock/scripts
COPY deploy/entrypoint.sh /opt/airlock/deploy/
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin
WORKDIR /opt/airlock
USER 50000:0
EXPOSE 9000
ENTRYPOINT ["/opt/airlock/deploy/entrypoint.sh"]
CMD ["python", "-m", "scripts.object_server", "--host", "0.0.0.0", "--port", "9000", "--state", "/var/lib/objects", "--venv", "/opt/venv"]

FROM base AS airlock
COPY --from=airlock-packages /opt/venv /opt/venv
COPY include /opt/airlock/include
COPY plugins /opt/airlock/plugins
COPY dags /opt/airlock/dags
COPY deploy /opt/airlock/deploy
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/airlock:/opt/airlock/plugins \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airlock/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airlock/plugins \
    GX_ANALYTICS_ENABLED=False
WORKDIR /opt/airflow
USER 50000:0
EXPOSE 8080
ENTRYPOINT ["/opt/airlock/deploy/entrypoint.sh"]
CMD ["airflow", "version"]
