"""The pages and the API shown inside Airflow."""
