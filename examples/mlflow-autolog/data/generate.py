"""Write parcels.csv: invented parcels, and whether each came late. The same bytes every time."""

import csv
import math
import random
import sys

FIELDS = ["parcel_id", "weekday", "weight_kg", "distance_km", "stops", "rain_mm", "express", "late"]


def main():
    draw = random.Random(17)
    out = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
    out.writeheader()
    for n in range(1, 3001):
        weekday = draw.randint(1, 6)
        weight = round(draw.lognormvariate(0.8, 0.7), 2)
        distance = round(draw.gammavariate(2.0, 60.0), 1)
        stops = 1 + int(distance // 90) + draw.choice([0, 0, 1, 2])
        rain = round(max(0.0, draw.gauss(-1.0, 4.0)), 1)
        express = draw.random() < 0.25
        # Rain delays what is far; a Monday's backlog grows with the stops; express parcels are loaded first.
        risk = -4.6 + 0.011 * distance + 0.5 * stops + 0.006 * rain * distance * (weekday < 6)
        risk += 2.2 * (weekday == 1) * (stops > 1) + 0.9 * (weight > 6) - 2.8 * express
        late = draw.random() < 1 / (1 + math.exp(-risk))
        out.writerow(dict(zip(FIELDS, [f"P{n:05}", weekday, weight, distance, stops, rain, int(express), int(late)])))


main()
