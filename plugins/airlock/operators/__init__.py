"""One thin Airflow operator per step, and the one place where errors become task outcomes."""
