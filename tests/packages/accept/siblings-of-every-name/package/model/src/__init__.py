from src.deep import NAME
