"""What a runner does when nobody takes in what it has to say."""

import threading
from types import SimpleNamespace

import zmq

from workers.frames import FrameHeader
from workers.runner import Runner

WAIT_S = 10.0


def test_an_error_that_nobody_reads_does_not_hold_up_the_next_frame():
    runner = SimpleNamespace(_config=SimpleNamespace(tier="cloud"))
    header, error = FrameHeader(1, 2, "float32", (3,)), ValueError("no part")
    with zmq.Context() as context, context.socket(zmq.PUSH) as results:
        sending = threading.Thread(target=Runner._send_error, args=(runner, results, header, error), daemon=True)
        sending.start()
        sending.join(WAIT_S)
        waits = sending.is_alive()
        with context.socket(zmq.PULL) as reader:  # lets a runner that waits come to an end
            reader.bind("inproc://results")
            results.connect("inproc://results")
            sending.join(WAIT_S)
    assert not waits
