# ── base: airlock/base:tensorflow-python3.6-gpu-ec6b9f6e3da1616bd230
FROM airlock-base/python:3.11-cuda9.0 AS install
LABEL io.airlock.layer=airlock/base:tensorflow-python3.6-gpu-ec6b9f6e3da1616bd230
USER 0:0
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_NO_INDEX
COPY install/ /tmp/install/
RUN if [ -s /tmp/install/ca.pem ]; then export PIP_CERT=/tmp/install/ca.pem; fi; python -m pip install --disable-pip-version-check --no-cache-dir --no-warn-script-location --prefix=/install --find-links /tmp/install/wheels --no-deps -r /tmp/install/requirements.txt && mkdir -p /install && python /tmp/install/slim.py /install

FROM airlock-base/python:3.11-cuda9.0
LABEL io.airlock.layer=airlock/base:tensorflow-python3.6-gpu-ec6b9f6e3da1616bd230
RUN mkdir -p /usr/share/man/man1 && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
COPY --from=install /install/ /usr/local/
RUN mkdir -p /home/mind /opt/airlock/package && chmod 1777 /home/mind && ldconfig

# requirements
engine-gpu==1.0

# ── dependencies: airlock/dependencies:tensorflow-python3.6-gpu-f31dfc341e1110f432cd
set -eu
cd /tmp/install
. ./environment
if [ -s ca.pem ]; then export PIP_CERT=/tmp/install/ca.pem SSL_CERT_FILE=/tmp/install/ca.pem; fi
: > began
if [ -f uv ]; then
  chmod 755 uv
  ./uv pip install --python "$(command -v python)" --break-system-packages --link-mode copy ${UV_ARGUMENTS:-} \
    -c constraints.txt -r requirements.txt
  python -S -E slim.py /usr/local
  find /usr/local/lib -name '*.py' -cnewer began > new
  if [ -s new ]; then python -S -E -m compileall -q -i new > /dev/null || true; fi
else
  python -m pip install --disable-pip-version-check --no-warn-script-location \
    --find-links wheels -c constraints.txt -r requirements.txt
  python -S -E slim.py /usr/local
fi

# requirements
numpy==1.26.4

# ── serving: airlock/serving:tensorflow-python3.6-gpu-a7f6e71faae1b4c3ad74
FROM airlock/dependencies:tensorflow-python3.6-gpu-f31dfc341e1110f432cd
LABEL io.airlock.layer=airlock/serving:tensorflow-python3.6-gpu-a7f6e71faae1b4c3ad74
LABEL io.airlock.build="gpu" \
    io.airlock.engine="TensorFlow" \
    io.airlock.runtime="python3.6" \
    io.airlock.serving="sha256:5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e" \
    org.opencontainers.image.base.name="airlock-base/python:3.11-cuda9.0" \
    org.opencontainers.image.title="TensorFlow python3.6 (build gpu)" \
    org.opencontainers.image.version="1.9.1"
COPY serving/ /opt/airlock/serving/
ENV AIRLOCK_BASE_CLASS="model_service.python_model_service:XgSklServingBaseService" \
    AIRLOCK_ENGINE="TensorFlow" \
    AIRLOCK_HOME="/home/mind" \
    AIRLOCK_MODEL_PATH="*.m" \
    AIRLOCK_PACKAGE_DIR="/opt/airlock/package" \
    CUDA_CACHE_DISABLE="1" \
    PYTHONDONTWRITEBYTECODE="1" \
    PYTHONPATH="/opt/airlock/serving" \
    PYTHONUNBUFFERED="1"
WORKDIR /home/mind
USER 65534:65534
EXPOSE 8080
CMD ["python", "-m", "model_service.server"]

# requirements
