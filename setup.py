"""Metadata and dependencies of hrtoolkit."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
VERSION = re.search(r'"([\d.]+)"', (HERE / "hrtoolkit/version.py").read_text(encoding="utf-8"))[1]

ONNX = ["onnx", "onnxscript", "onnxruntime"]  # exports, and what runs them
OPENVINO = ["onnx", "onnxscript", "openvino", "nncf"]  # made from ONNX files; nncf for int8

setup(
    name="hrtoolkit",
    version=VERSION,
    description="One HRNet backbone for every task: pose, faces, detection, classification, segmentation",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the hrtoolkit authors",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["HRNet", "pose estimation", "face landmarks", "object detection", "segmentation", "PyTorch"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    # Packages are listed one by one, so that nothing else can slip in.
    packages=[
        "hrtoolkit",
        "hrtoolkit.backbones",
        "hrtoolkit.commands",
        "hrtoolkit.config",
        "hrtoolkit.configs",
        "hrtoolkit.data",
        "hrtoolkit.engine",
        "hrtoolkit.export",
        "hrtoolkit.foreign",
        "hrtoolkit.importers",
        "hrtoolkit.keypoints",
        "hrtoolkit.predict",
        "hrtoolkit.runtime",
        "hrtoolkit.schemes",
        "hrtoolkit.tasks",
        "hrtoolkit.tasks.bottom_up",
        "hrtoolkit.tasks.classification",
        "hrtoolkit.tasks.dense",
        "hrtoolkit.tasks.detection",
        "hrtoolkit.tasks.face",
        "hrtoolkit.tasks.pose",
        "hrtoolkit.tasks.segmentation",
        "hrtoolkit.toy",
        "hrtoolkit.tracking",
    ],
    # In a checkout `tasks` and `configs` stand beside the package, in a wheel inside it: many people have a top-level
    # package `tasks` of their own.
    package_dir={"hrtoolkit.configs": "configs", "hrtoolkit.tasks": "tasks"},
    package_data={
        "hrtoolkit": ["py.typed"],
        "hrtoolkit.configs": ["*/*.py", "model_zoo.json"],
        "hrtoolkit.schemes": ["layouts.json"],
    },
    install_requires=[
        "torch>=2.4",
        "torchvision>=0.19,<0.30",  # the detectors use some of its private parts
        "timm>=1.0",
        "mmengine>=0.10.7",
        "pycocotools>=2.0.8",
        "opencv-python>=4.8",
        "scipy",
        "numpy>=1.26",
        "rich",
        "filelock",  # so that two processes do not download one file; torch itself needs it
        "Pillow",
        "matplotlib",
        "PyYAML",  # settings of annotation tools' projects
        "safetensors",  # the format of the weights that timm publishes; timm itself needs it
    ],
    entry_points={"console_scripts": ["hrtoolkit = hrtoolkit.commands:main"]},
    extras_require={
        "test": [
            "pytest",
            "pytest-xdist",
            "ruff",
            "mypy",
            "types-PyYAML",
            "build",
            "h5py",
            "av",
            "torchjd",
            *ONNX,
            *OPENVINO,
        ],
        "aggregators": ["torchjd>=0.18"],  # other ways than a sum to combine the gradients of several tasks
        "docs": ["mkdocs-material", "mkdocstrings[python]"],  # the site
        "cofw": ["h5py"],  # its MATLAB files are of version 7.3, which is HDF5; SciPy reads older ones alone
        "hub": ["huggingface_hub"],  # models by their names on the Hugging Face Hub
        "imports": ["h5py"],  # tables of DeepLabCut and labels of SLEAP
        "eval": ["faster-coco-eval"],
        "onnx": ONNX,
        "openvino": OPENVINO,
        "logging": ["tensorboard"],
        "tables": ["pyarrow"],  # parquet files of predictions
        "trackers": ["trackers>=2.6"],  # of boxes, to compare with ours; Apache-2.0
        "video": ["av"],  # PyAV: frames at their own times, the display matrix, AV1 and interlaced films
    },
)
