"""Write rides.csv: invented hours of a city's rented bicycles, the weather, and how many rides began. The same bytes every time."""

import csv
import math
import random
import sys

FIELDS = ["hour_id", "hour", "weekend", "temperature_c", "rain_mm", "wind_m_s", "rides"]


def main():
    draw = random.Random(17)
    out = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
    out.writeheader()
    for n in range(1, 3001):
        hour = draw.randrange(24)
        weekend = int(draw.random() < 2 / 7)
        temperature = round(draw.gauss(14, 8), 1)
        rain = round(max(0.0, draw.gauss(-1.0, 1.6)), 1)
        wind = round(abs(draw.gauss(3.5, 2.0)), 1)
        # Two peaks on a working day, one long one at the weekend; rain and cold keep people off.
        if weekend:
            usual = 150 * math.exp(-(((hour - 14) / 5) ** 2))
        else:
            usual = 190 * math.exp(-(((hour - 8) / 1.8) ** 2)) + 210 * math.exp(-(((hour - 17.5) / 2.2) ** 2))
        mood = 1 / (1 + math.exp(-0.2 * (temperature - 8))) * math.exp(-0.45 * rain) * (1 - 0.03 * wind)
        rides = max(0, round((20 + usual) * max(0.05, mood) + draw.gauss(0, 6)))
        out.writerow(dict(zip(FIELDS, [f"H{n:05}", hour, weekend, temperature, rain, wind, rides])))


main()
