"""Train a small network on iris and save it as a SavedModel (TensorFlow 1.8 to today's)."""

import os
import shutil
import sys

import numpy as np
import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also the engine's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

STEPS = 400
RATE = 0.5
HIDDEN = 12
SPECIES = ["setosa", "versicolor", "virginica"]
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def first_values():
    """Draw the weights to start from: from NumPy, which draws the same ones whatever the engine's version."""
    draw = np.random.RandomState(0)
    return [
        draw.normal(0, 0.5, (4, HIDDEN)).astype(np.float32),
        np.zeros(HIDDEN, np.float32),
        draw.normal(0, 0.5, (HIDDEN, 3)).astype(np.float32),
        np.zeros(3, np.float32),
    ]


def scores_of(rows, scale, weights):
    """Build the network: rows of four lengths in cm to a score for each of the three species."""
    mean, spread = scale
    hidden = tf.nn.relu(tf.matmul((rows - mean) / spread, weights[0]) + weights[1])
    return tf.matmul(hidden, weights[2]) + weights[3]


def loss_of(scores, kinds):
    """Mean cross entropy."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=kinds, logits=scores))


def answers_of(scores):
    """Name what the signature gives."""
    return {"probabilities": tf.nn.softmax(scores), "species": tf.argmax(scores, 1)}


def fit_in_a_session(rows, kinds, scale, folder):
    """Train and save as TensorFlow 1 does; give a function from rows to answers."""
    graph = tf.Graph()
    session = tf.Session(graph=graph, config=tf.ConfigProto(intra_op_parallelism_threads=1))
    with graph.as_default():
        weights = [tf.Variable(value) for value in first_values()]
        flowers = tf.placeholder(tf.float32, [None, 4], name="flowers")
        labels = tf.placeholder(tf.int64, [None])
        scores = scores_of(flowers, scale, weights)
        step = tf.train.GradientDescentOptimizer(RATE).minimize(loss_of(scores, labels))
        answers = answers_of(scores)
        session.run(tf.global_variables_initializer())
        for _ in range(STEPS):
            session.run(step, {flowers: rows, labels: kinds})
        signature = tf.saved_model.signature_def_utils.predict_signature_def({"flowers": flowers}, answers)
        builder = tf.saved_model.builder.SavedModelBuilder(folder)
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.tag_constants.SERVING], signature_def_map={"serving_default": signature}
        )
        builder.save()
    return lambda asked: session.run(answers, {flowers: asked})


def fit_eagerly(rows, kinds, scale, folder):
    """Train and save as TensorFlow 2 does; give a function from rows to answers."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    module = tf.Module()
    module.weights = [tf.Variable(value) for value in first_values()]

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="flowers")])
    def serve(flowers):
        return answers_of(scores_of(flowers, scale, module.weights))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(scores_of(tf.constant(rows), scale, module.weights), kinds)
        for weight, gradient in zip(module.weights, tape.gradient(loss, module.weights)):
            weight.assign_sub(RATE * gradient)

    for _ in range(STEPS):
        step()
    module.serve = serve
    tf.saved_model.save(module, folder, signatures={"serving_default": serve})
    return lambda asked: {name: value.numpy() for name, value in serve(tf.constant(asked)).items()}


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    rows, kinds = training.read_table("iris")
    rows = rows.astype(np.float32)
    test = training.held_out(len(rows))
    scale = (rows[~test].mean(axis=0), rows[~test].std(axis=0))
    fit = fit_in_a_session if tf.__version__.startswith("1.") else fit_eagerly
    saved = os.path.join(out, "saved")
    answer = fit(rows[~test], kinds[~test], scale, saved)
    for name in os.listdir(saved):
        shutil.move(os.path.join(saved, name), os.path.join(out, name))
    os.rmdir(saved)

    responses = {}
    for name, request in training.read_samples(HERE).items():
        answers = answer(np.array(request["flowers"], np.float32))
        responses[name] = {key: value.tolist() for key, value in answers.items()}
    for name, request in training.read_samples(os.path.join(HERE, "own_code")).items():
        asked = [[flower[column] for column in COLUMNS] for flower in request["flowers"]]
        answers = answer(np.array(asked, np.float32))
        responses["own_code/" + name] = {
            "flowers": [
                {"species": SPECIES[kind], "probability": max(chances)}
                for kind, chances in zip(answers["species"].tolist(), answers["probabilities"].tolist())
            ]
        }
    metrics = training.measure(kinds[test], answer(rows[test])["species"])
    training.write_report(out, tf.__version__, metrics, responses)


if __name__ == "__main__":
    main()
