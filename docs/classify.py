"""python classify.py MODEL.onnx PICTURE: what a model that kit exported sees; needs onnxruntime, NumPy and Pillow.

For opaque pictures of 8 bits, of a competition whose pictures are stretched; kit predict knows the others too.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
card = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
height, width, channels = card["input_shape"]
picture = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert("L" if channels == 1 else "RGB")
pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)).reshape(1, height, width, channels)
(probabilities,) = session.run(None, {session.get_inputs()[0].name: pixels})[0]
for index in np.argsort(-probabilities)[:3]:
    print(f"{probabilities[index]:.4f}  {card['class_names'][index]}")
