NAME = "detect"
