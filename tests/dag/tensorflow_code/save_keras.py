"""Save a Keras model with given weights as iris.h5 in the folder of the last argument; any will do."""

import os
import sys

import numpy as np
from tensorflow import keras

network = keras.models.Sequential()
network.add(keras.layers.Dense(3, activation="softmax", input_shape=(4,)))
network.set_weights([np.eye(4, 3), np.zeros(3)])
network.save(os.path.join(sys.argv[-1], "iris.h5"), include_optimizer=False)
