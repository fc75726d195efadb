"""Make data/students.csv: invented students, the same bytes every time.

Enrollment depends on study, scores and attendance with thresholds and
interactions that a straight line cannot follow, on circumstances, and on chance.
Some values are missing, more often where life is harder, as in real records.

    python data/generate.py > data/students.csv

With --evening N it makes N students of a later intake instead, who are not as those before: they have jobs, are older, study
and attend less, and enroll all the same, as evening courses are recorded. The demo asks the model about them.
"""

import csv
import math
import random
import sys

ROWS = 5000
SEED = 20260301

REGIONS = {"north": 0.28, "south": 0.24, "east": 0.22, "west": 0.18, "abroad": 0.08}
COURSES = {"computing": 0.30, "business": 0.26, "nursing": 0.20, "design": 0.14, "physics": 0.10}
EDUCATION = {"none": 0.12, "school": 0.38, "college": 0.30, "degree": 0.20}
MEETS = {"computing": 0.3, "business": 0.1, "nursing": 0.6, "design": -0.2, "physics": -0.4}
HOME = {"none": -0.5, "school": -0.1, "college": 0.2, "degree": 0.5}


def pick(rng, weights):
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def clip(value, low, high):
    return max(low, min(high, value))


def student(rng, number, evening=False):
    region, course = pick(rng, REGIONS), pick(rng, COURSES)
    education = pick(rng, EDUCATION)
    job = rng.random() < {"none": 0.55, "school": 0.42, "college": 0.30, "degree": 0.22}[education] or evening
    internet = rng.random() < (0.97 if education in ("college", "degree") else 0.86)
    age = int(clip(round(rng.gauss(20 + 3 * job + 7 * evening, 3)), 16, 60))
    ability = rng.gauss(0, 1)
    hours = clip(rng.gauss(4.2 - 1.1 * job - 0.8 * evening + 0.5 * ability, 1.7), 0, 14)
    attendance = clip(rng.gauss(82 + 5 * ability - 6 * job - 4 * (not internet) - 14 * evening, 11), 5, 100)
    score = clip(rng.gauss(58 + 9 * ability + 1.8 * hours, 10), 0, 100)
    earlier = min(5, int(rng.expovariate(1.3)))

    effort = 0.55 * (min(hours, 7) - 4) - 0.25 * max(0, hours - 8)  # more helps, up to a point
    pull = 0.06 * (score - 62) + effort
    pull += 1.1 if attendance > 75 - 25 * evening else -1.3  # a threshold, not a slope
    pull += HOME[education] + MEETS[course]
    pull -= 1.4 if job and hours < 3 and not evening else 0  # a job hurts where it eats the study
    pull += 0.9 if region == "abroad" and score > 70 else (-0.6 if region == "abroad" else 0)
    pull += 0.35 * earlier - 0.15 * earlier * job
    pull -= 0.4 * (not internet)
    enrolled = rng.random() < 1 / (1 + math.exp(-(1.35 * pull - 0.5)))

    row = {
        "student_id": f"S{number:05d}",
        "age": age,
        "region": region,
        "course": course,
        "parental_education": education,
        "part_time_job": str(job).lower(),
        "internet": str(internet).lower(),
        "hours_studied": f"{hours:.1f}",
        "attendance": f"{attendance:.1f}",
        "past_score": f"{score:.1f}",
        "prior_enrollments": earlier,
        "enrolled": str(enrolled).lower(),
    }
    for column, share in (("parental_education", 0.04), ("hours_studied", 0.05 + 0.04 * job), ("past_score", 0.03), ("attendance", 0.02 + 0.03 * (not internet))):
        if rng.random() < share:
            row[column] = ""
    return row


def main():
    evening = "--evening" in sys.argv
    first, count = (ROWS + 1, int(sys.argv[-1])) if evening else (1, ROWS)
    rng = random.Random(SEED + evening)
    rows = [student(rng, number, evening) for number in range(first, first + count)]
    out = csv.DictWriter(sys.stdout, rows[0].keys(), lineterminator="\n")
    out.writeheader()
    out.writerows(rows)


if __name__ == "__main__":
    main()
