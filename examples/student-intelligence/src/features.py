"""Split the students, fit the encoding on the training part alone, and encode both."""

import os

import pandas as pd

import encoding


def main():
    students = pd.read_csv(os.environ["VISHWA_INPUT_STUDENTS"], dtype={"part_time_job": str, "internet": str, "enrolled": str}, keep_default_na=True)
    test = students["student_id"].map(encoding.in_test)
    spec = encoding.fit(students[~test])
    encoding.save(spec, os.environ["VISHWA_OUTPUT_ENCODING"])
    for part, variable in ((students[~test], "VISHWA_OUTPUT_TRAIN"), (students[test], "VISHWA_OUTPUT_TEST")):
        rows = [encoding.encode(spec, row) for row in part[encoding.FIELDS].to_dict("records")]
        frame = pd.DataFrame(rows, columns=encoding.names(spec))
        frame[encoding.TARGET] = part[encoding.TARGET].map(encoding.flag).astype(int).to_numpy()
        frame.to_csv(os.environ[variable], index=False, float_format="%.9g")
        print(f"{variable}: {len(frame)} students, {frame.shape[1] - 1} columns")


main()
