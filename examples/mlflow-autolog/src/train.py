"""Train a model that says which parcels come late, and log it with MLflow."""

import argparse

import mlflow
import mlflow.xgboost
import pandas as pd
import xgboost as xgb
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="data/parcels.csv", help="CSV of parcels")
    parser.add_argument("--max-depth", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--num-rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def main():
    args = parse_args()
    mlflow.set_experiment("late-parcels")
    mlflow.xgboost.autolog()

    df = pd.read_csv(args.data)
    X = df.drop(columns=["parcel_id", "late"]).astype("float64")
    y = df["late"]
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=args.seed, stratify=y)
    dtrain = xgb.DMatrix(X_train, label=y_train)
    dtest = xgb.DMatrix(X_test, label=y_test)

    with mlflow.start_run():
        params = {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "max_depth": args.max_depth,
            "learning_rate": args.learning_rate,
            "nthread": 1,
            "seed": args.seed,
        }
        model = xgb.train(
            params, dtrain, num_boost_round=args.num_rounds, evals=[(dtrain, "train"), (dtest, "test")], early_stopping_rounds=10, verbose_eval=20
        )
        p = model.predict(dtest, iteration_range=(0, model.best_iteration + 1))
        mlflow.log_metrics({"roc_auc": roc_auc_score(y_test, p), "log_loss": log_loss(y_test, p), "accuracy": accuracy_score(y_test, p >= 0.5)})


if __name__ == "__main__":
    main()
