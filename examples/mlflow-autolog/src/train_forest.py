"""The same with scikit-learn: autolog saves its model with cloudpickle."""

import argparse

import mlflow
import mlflow.sklearn
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", default="data/parcels.csv", help="CSV of parcels")
parser.add_argument("--trees", type=int, default=50)
args = parser.parse_args()

mlflow.set_experiment("late-parcels")
mlflow.sklearn.autolog()

df = pd.read_csv(args.data)
X, y = df.drop(columns=["parcel_id", "late"]).astype("float64"), df["late"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=42, stratify=y)
with mlflow.start_run():
    model = RandomForestClassifier(n_estimators=args.trees, min_samples_leaf=5, random_state=42).fit(X_train, y_train)
    mlflow.log_metric("roc_auc", roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]))
