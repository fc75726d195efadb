"""Train a small network of Keras and keep it as a SavedModel that takes hours and weather as people write them."""

import argparse
import csv
import hashlib
import json
import math
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

FEATURES = ["hour", "weekend", "temperature_c", "rain_mm", "wind_m_s"]
TARGET = "rides"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CSV of hours")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def rows(path):
    """The training rows and those that are held out, by a hash of their ids."""
    parts = {True: [], False: []}
    with open(path, newline="") as source:
        for row in csv.DictReader(source):
            held = hashlib.sha256(row["hour_id"].encode()).digest()[0] < 64
            parts[held].append([float(row[name]) for name in FEATURES + [TARGET]])
    return [(t[:, :-1], t[:, -1:]) for t in (tf.constant(parts[False]), tf.constant(parts[True]))]


class Rides(tf.Module):
    """What is served: the features as they are measured go in, and rides come out."""

    def __init__(self, width):
        super().__init__()
        self.mean = tf.Variable(tf.zeros([len(FEATURES) - 1]), trainable=False)
        self.scale = tf.Variable(tf.ones([len(FEATURES) - 1]), trainable=False)
        self.network = keras.Sequential([keras.Input((len(FEATURES) + 1,)), keras.layers.Dense(width, "relu"), keras.layers.Dense(width, "relu"), keras.layers.Dense(1, "softplus")])

    def inputs(self, x):
        turn = x[:, :1] * (2 * math.pi / 24)  # 23 o'clock is next to 0
        return tf.concat([tf.sin(turn), tf.cos(turn), (x[:, 1:] - self.mean) / self.scale], axis=1)

    @tf.function(input_signature=[tf.TensorSpec([None, len(FEATURES)], tf.float32, name="features")])
    def predict(self, features):
        return {"rides": 100.0 * self.network(self.inputs(features))[:, 0]}


def main():
    args = parse_args()
    keras.utils.set_random_seed(args.seed)
    tf.config.experimental.enable_op_determinism()
    (x, y), (x_test, y_test) = rows(args.data)
    model = Rides(args.width)
    model.mean.assign(tf.reduce_mean(x[:, 1:], axis=0))
    model.scale.assign(tf.math.reduce_std(x[:, 1:], axis=0))
    model.network.compile(keras.optimizers.Adam(0.01), "mse")
    history = model.network.fit(model.inputs(x), y / 100.0, batch_size=64, epochs=args.epochs, verbose=0)

    said = model.predict(x_test)["rides"]
    missed = said - y_test[:, 0]
    metrics = {
        "mae": float(tf.reduce_mean(tf.abs(missed))),
        "r2": float(1 - tf.reduce_sum(missed**2) / tf.reduce_sum((y_test - tf.reduce_mean(y_test)) ** 2)),
        "train.loss": history.history["loss"][-1],
    }
    tf.saved_model.save(model, os.environ["VISHWA_MODEL_DIR"], signatures={"serving_default": model.predict})
    pathlib.Path(os.environ["VISHWA_METRICS"]).write_text(json.dumps(metrics))
    print(f"width {args.width}: off by {metrics['mae']:.1f} rides on {len(y_test)} held-out hours")


main()
