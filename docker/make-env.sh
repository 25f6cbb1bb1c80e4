#!/bin/sh
# The secrets of docker-compose.yaml, new each time:  sh docker/make-env.sh > .env
set -eu
for name in POSTGRES_PASSWORD AIRFLOW_JWT_SECRET AIRFLOW_API_SECRET_KEY; do
    echo "$name=$(openssl rand -hex 32)"
done
echo "AIRFLOW_FERNET_KEY=$(openssl rand -base64 32 | tr '+/' '-_')"
