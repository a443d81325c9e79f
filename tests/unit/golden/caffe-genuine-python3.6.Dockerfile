# ── base image: airlock-base/caffe:1.0.0-python3.6-cpu
FROM ubuntu:18.04
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    python3-caffe-cpu python3-numpy python3-protobuf python3-skimage \
    python3-pip python3-setuptools python3-wheel ca-certificates \
 && python3 -m pip install --no-cache-dir pip==21.3.1 \
 && ln -sf /usr/bin/python3 /usr/local/bin/python \
 && mkdir -p /usr/local/lib/python3.6/dist-packages \
 && echo /usr/local/lib/python3.6/site-packages > /usr/local/lib/python3.6/dist-packages/airlock.pth \
 && rm -rf /var/lib/apt/lists/*

# ── base: airlock/base:caffe-python3.6-genuine-024c49fe6f4bb73bb6a2
FROM airlock-base/caffe:1.0.0-python3.6-cpu AS install
LABEL io.airlock.layer=airlock/base:caffe-python3.6-genuine-024c49fe6f4bb73bb6a2
USER 0:0
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_NO_INDEX
COPY install/ /tmp/install/
RUN if [ -s /tmp/install/ca.pem ]; then export PIP_CERT=/tmp/install/ca.pem; fi; python -m pip install --disable-pip-version-check --no-cache-dir --no-warn-script-location --prefix=/install --find-links /tmp/install/wheels --no-deps -r /tmp/install/requirements.txt && mkdir -p /install && python /tmp/install/slim.py /install

FROM airlock-base/caffe:1.0.0-python3.6-cpu
LABEL io.airlock.layer=airlock/base:caffe-python3.6-genuine-024c49fe6f4bb73bb6a2
COPY --from=install /install/ /usr/local/
RUN mkdir -p /home/mind /opt/airlock/package && chmod 1777 /home/mind && ldconfig

# requirements
dataclasses==0.8
gunicorn==21.2.0
importlib-metadata==4.8.3
packaging==21.3
pyparsing==3.0.9
typing-extensions==4.1.1
werkzeug==2.0.3
zipp==3.6.0

# ── serving: airlock/serving:caffe-python3.6-genuine-2e5be44ee51eb1d92265
FROM airlock/base:caffe-python3.6-genuine-024c49fe6f4bb73bb6a2
LABEL io.airlock.layer=airlock/serving:caffe-python3.6-genuine-2e5be44ee51eb1d92265
LABEL io.airlock.build="genuine" \
    io.airlock.engine="Caffe" \
    io.airlock.runtime="python3.6" \
    io.airlock.serving="sha256:5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e" \
    org.opencontainers.image.base.name="airlock-base/caffe:1.0.0-python3.6-cpu" \
    org.opencontainers.image.title="Caffe python3.6 (build genuine)" \
    org.opencontainers.image.version="1.0.0"
COPY serving/ /opt/airlock/serving/
ENV AIRLOCK_BASE_CLASS="model_service.caffe_model_service:CaffeBaseService" \
    AIRLOCK_ENGINE="Caffe" \
    AIRLOCK_HOME="/home/mind" \
    AIRLOCK_MODEL_PATH="folder" \
    AIRLOCK_PACKAGE_DIR="/opt/airlock/package" \
    PYTHONDONTWRITEBYTECODE="1" \
    PYTHONPATH="/opt/airlock/serving" \
    PYTHONUNBUFFERED="1"
WORKDIR /home/mind
USER 65534:65534
EXPOSE 8080
CMD ["python", "-m", "model_service.server"]

# requirements
