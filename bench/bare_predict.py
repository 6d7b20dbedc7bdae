"""What `kit predict` is compared with: the least that turns a model file and an array into the same CSV.

python bench/bare_predict.py MODEL.onnx PIXELS.npy IDS.npy OUT.csv
"""

import csv
import sys

import numpy as np
import onnxruntime

BATCH_SIZE = 256
LABELS = (1, 2, 3, 4, 5)

model, pixels_file, ids_file, out = sys.argv[1:]
pixels = np.load(pixels_file, mmap_mode="r")  # uint8 (rows, 28, 28, 1)
ids = np.load(ids_file)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
classes: list[int] = []
for start in range(0, len(pixels), BATCH_SIZE):
    classes += session.run(None, {name: pixels[start : start + BATCH_SIZE]})[0].argmax(axis=1).tolist()
with open(out, "w", newline="") as file:  # noqa: PTH123  pathlib is one import more
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "target"])
    writer.writerows(zip(ids.tolist(), [LABELS[index] for index in classes], strict=True))
