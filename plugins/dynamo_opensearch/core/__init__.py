"""The work itself: plain Python over small ports, without Airflow."""
