"""Jobs for the tests of the runner."""

import os
import time


def tell_one(tell, value):
    tell({"kind": "chore", "value": value})


def fail(tell):
    tell({"kind": "chore", "value": "before the fault"})
    raise ValueError("this job is broken")


def die(tell):
    os._exit(9)


def sleep(tell, seconds):
    tell({"kind": "chore", "value": "asleep"})
    time.sleep(seconds)
    tell({"kind": "chore", "value": "awake"})


def see(tell, variable):
    tell({"kind": "chore", "value": os.environ.get(variable)})
