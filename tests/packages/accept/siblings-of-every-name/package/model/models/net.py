from utils import NAME

NAME = "models.net with " + NAME
