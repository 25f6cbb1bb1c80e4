"""Operations between DynamoDB tables and OpenSearch indices, run by Apache Airflow."""
