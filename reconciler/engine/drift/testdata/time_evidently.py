# How long Evidently takes to hold so many columns of numbers against each other, in seconds.
import sys
import time
import warnings

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

warnings.filterwarnings("ignore")
folder, columns = sys.argv[1], int(sys.argv[2])
names = [f"c{i}" for i in range(columns)]
frames = []
for side in ("cur", "ref"):
    values = np.fromfile(f"{folder}/{side}", dtype="<f8")
    frames.append(pd.DataFrame({n: values for n in names}))
schema = DataDefinition(numerical_columns=names)
began = time.perf_counter()
cur, ref = (Dataset.from_pandas(f, data_definition=schema) for f in frames)
Report([DataDriftPreset()]).run(cur, ref).dict()
print(time.perf_counter() - began)
