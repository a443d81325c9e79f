"""What runs Airlock on one machine: setup, object server, Airflow's supervisor, demo."""
