#!/bin/sh
# The secrets of docker-compose.yaml, new each time:  sh docker/make-env.sh > .env
set -eu
random() { head -c 32 /dev/urandom | base64; }
for name in POSTGRES_PASSWORD AIRFLOW_JWT_SECRET AIRFLOW_API_SECRET_KEY AIRFLOW_FERNET_KEY; do
    value=$(random | tr '+/' '-_')
    test "${#value}" -ge 44
    echo "$name=$value"
done
