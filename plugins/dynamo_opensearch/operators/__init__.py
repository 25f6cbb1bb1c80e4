"""Thin Airflow operators: connections in, one core function, its errors and report out."""
