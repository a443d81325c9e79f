{"weights": [1, 10, 100]}
