NAME = "src.deep"
