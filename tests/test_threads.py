"""A job computes with the threads that its study declares, whatever the machine and the shell say."""

import os
import subprocess
import sys

CODE = """
import os, sys
from distillation_dynamics.jobs import run
assert "numpy" not in sys.modules
run.load_stage("compare", 1)
assert "numpy" in sys.modules
import numpy
numpy.ones((500, 500)) @ numpy.ones((500, 500))
print(len(os.listdir("/proc/self/task")))
"""


def test_numpy_computes_with_the_threads_of_the_job(root):
    shell = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=root / "workflow", env=shell, capture_output=True, text=True
    )
    assert done.stdout == "1\n", done.stderr
