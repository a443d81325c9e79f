# ── base: airlock/base:scikit-learn-sklearn1.9-python3.11-f84f510f87cef1d9da15
FROM python:3.11-slim-bookworm AS install
LABEL io.airlock.layer=airlock/base:scikit-learn-sklearn1.9-python3.11-f84f510f87cef1d9da15
USER 0:0
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_NO_INDEX
COPY install/ /tmp/install/
RUN if [ -s /tmp/install/ca.pem ]; then export PIP_CERT=/tmp/install/ca.pem; fi; python -m pip install --disable-pip-version-check --no-cache-dir --no-warn-script-location --prefix=/install --find-links /tmp/install/wheels --no-deps -r /tmp/install/requirements.txt && mkdir -p /install && python /tmp/install/slim.py /install

FROM python:3.11-slim-bookworm
LABEL io.airlock.layer=airlock/base:scikit-learn-sklearn1.9-python3.11-f84f510f87cef1d9da15
COPY --from=install /install/ /usr/local/
RUN mkdir -p /home/mind /opt/airlock/package && chmod 1777 /home/mind && ldconfig

# requirements
numpy==2.4.6
scikit-learn==1.9.1

# ── serving: airlock/serving:scikit-learn-sklearn1.9-python3.11-1db87bc66091ee0833bf
FROM airlock/base:scikit-learn-sklearn1.9-python3.11-f84f510f87cef1d9da15
LABEL io.airlock.layer=airlock/serving:scikit-learn-sklearn1.9-python3.11-1db87bc66091ee0833bf
LABEL io.airlock.build="own" \
    io.airlock.engine="Scikit_Learn" \
    io.airlock.runtime="sklearn1.9-python3.11" \
    io.airlock.serving="sha256:5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e" \
    org.opencontainers.image.base.name="python:3.11-slim-bookworm" \
    org.opencontainers.image.title="Scikit_Learn sklearn1.9-python3.11" \
    org.opencontainers.image.version="1.9.1"
COPY serving/ /opt/airlock/serving/
ENV AIRLOCK_BASE_CLASS="model_service.python_model_service:XgSklServingBaseService" \
    AIRLOCK_ENGINE="Scikit_Learn" \
    AIRLOCK_HOME="/home/mind" \
    AIRLOCK_MODEL_PATH="*.m" \
    AIRLOCK_PACKAGE_DIR="/opt/airlock/package" \
    PYTHONDONTWRITEBYTECODE="1" \
    PYTHONPATH="/opt/airlock/serving" \
    PYTHONUNBUFFERED="1"
WORKDIR /home/mind
USER 65534:65534
EXPOSE 8080
CMD ["python", "-m", "model_service.server"]

# requirements
