"""Write pumps.csv: invented pumps, what their sensors say, and whether each failed soon after. The same bytes every time."""

import csv
import math
import random
import sys

FIELDS = ["pump_id", "hours", "pressure_bar", "vibration_mm_s", "temperature_c", "flow_m3_h", "failed"]


def main():
    draw = random.Random(31)
    out = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
    out.writeheader()
    for n in range(1, 4001):
        hours = round(draw.uniform(0, 20000))
        pressure = round(draw.gauss(6.0, 1.2), 2)
        vibration = round(draw.lognormvariate(0.6, 0.5), 2)
        temperature = round(45 + 3 * vibration + draw.gauss(0, 6), 1)
        flow = round(max(1.0, 30 - 2 * abs(pressure - 6) + draw.gauss(0, 3)), 1)
        # What shakes fails, the more so when it is old; too high and too low a pressure are both bad.
        risk = -5.0 + 0.9 * vibration + 0.00009 * hours * vibration + 0.8 * (pressure - 6) ** 2 + 0.05 * (temperature - 50)
        failed = draw.random() < 1 / (1 + math.exp(-risk))
        out.writerow(dict(zip(FIELDS, [f"Q{n:05}", hours, pressure, vibration, temperature, flow, int(failed)])))


main()
