"""An edge that watches a simulated link: frames one behind the other, trains between them, in steps of 2 ms.

It knows nothing of the detector but its functions, and the detector nothing of it but stamps.
``python -m tests.unit.simulated_link [HOURS]`` prints how often it decides wrongly and how soon rightly, the figures of
docs/detection.md.
"""

import itertools
import random
import sys
from statistics import median

from workers.detection import Detection, State, moved, observe, rearmed, train_due
from workers.latency import wire_bytes
from workers.records import EdgeFrame, Outcome
from workers.speed_map import SpeedMap
from workers.transfers import Observation, Way, disturbed, follow, pinged

STEP_S = 0.002
DELAY_S = 0.02
BURST_BYTES = 5000
TRAIN_BYTES = 64 * 1482
QUEUE_LIMIT = 3
FAST, SLOW = 1, 2  # the cuts for a fast and for a slow link
DETECTION = Detection(SpeedMap.from_points({20.0: FAST, 5.0: SLOW}))


def jittered(mbps, jitter, seed, every_s=0.2):
    """Return a rate that is drawn anew every `every_s` with a relative standard deviation of `jitter`."""
    draw = random.Random(seed)
    factors = {}

    def rate(second):
        index = int(second / every_s)
        if index not in factors:
            factors[index] = max(0.5, draw.gauss(1.0, jitter))
        at = mbps(second) if callable(mbps) else mbps
        return at * factors[index]

    return rate


class Sending:
    """Bytes on the link: a frame's, or a train's (frame None)."""

    def __init__(self, began_s, wire, frame=None):
        self.began_s, self.left, self.frame = began_s, wire, frame
        self.half = wire / 2
        self.half_s = None


class SimulatedEdge:
    """An edge whose link has the rate `rate(second)` in Mbit/s.

    Args:
        cut_bytes: payload of a frame by point.
        lost: numbers of frames that are never answered; `slow` those that take ten times as long.
        repartition_s: from a decision until the strategy has re-armed.
        noise_s: standard deviation of a stamp.
    """

    def __init__(
        self,
        rate,
        *,
        fps=10.0,
        point=FAST,
        cut_bytes=None,
        lost=(),
        slow=(),
        repartition_s=0.0,
        noise_s=0.0005,
        tail_s=0.02,
        seed=1,
        detection=DETECTION,
    ):
        self.rate, self.fps, self.lost, self.slow = rate, fps, set(lost), set(slow)
        self.cut_bytes = cut_bytes or {FAST: 150_528, SLOW: 100_352}
        self.repartition_s, self.noise_s, self.tail_s, self.detection = repartition_s, noise_s, tail_s, detection
        self.draw = random.Random(seed)
        self.state = rearmed(State(point), 0)
        self.way = pinged(Way(), int(DELAY_S * 1e9))
        self.queue, self.train, self.settling = [], None, []
        self.in_flight, self.head_free_s, self.tail_free_s, self.idle_since_s = 0, 0.0, 0.0, 0.0
        self.decisions, self.observations, self.trains = [], [], 0
        self.rearm_s = None

    def run(self, seconds, from_s=0.0):
        """Offer frames for so long; return the decisions, each with the second it was made in."""
        offered = round(from_s * self.fps)
        for step in range(round(from_s / STEP_S), round((from_s + seconds) / STEP_S)):
            now_s = step * STEP_S
            while offered / self.fps <= now_s:
                self._offer(offered, offered / self.fps)
                offered += 1
            self._send(now_s)
            self._settle(now_s)
            if self.rearm_s is not None and now_s >= self.rearm_s and not self.in_flight_before_rearm():
                self.state, self.rearm_s = rearmed(self.state, _ns(now_s)), None
            if step % 10 == 0 and self.train is None and train_due(self.detection.rule, self.state, _ns(now_s), 0):
                self.train = Sending(now_s, TRAIN_BYTES)
                self.trains += 1
        return self.decisions

    def in_flight_before_rearm(self):
        """Whether frames of the former cut are still on their way."""
        return any(point != self.state.point for *_, point in self._all_frames())

    def _all_frames(self):
        return [sending.frame for sending in self.queue] + [frame for _, frame, _ in self.settling]

    def _offer(self, number, received_s):
        if self.in_flight >= QUEUE_LIMIT:
            return
        self.in_flight += 1
        done_s = self.head_free_s = max(received_s, self.head_free_s) + 0.01
        point = self.state.point
        wire = wire_bytes(self.cut_bytes[point]) * (10 if number in self.slow else 1)
        self.queue.append(Sending(done_s, wire, (number, received_s, done_s, point)))

    def _send(self, now_s):
        """Move bytes for one step: a train goes before what is queued, as its packets are at the link at once."""
        left_s = STEP_S
        while left_s > 0:
            sending = self.train or next(iter(self.queue), None)
            if sending is None or sending.began_s > now_s + STEP_S:
                return
            bytes_per_s = self.rate(now_s) * 1e6 / 8
            moved_bytes = min(sending.left, bytes_per_s * left_s)
            sending.left -= moved_bytes
            left_s -= moved_bytes / bytes_per_s
            at_s = now_s + STEP_S - left_s
            if sending is self.train and sending.half_s is None and sending.left <= sending.half:
                sending.half_s = at_s
            if sending.left > 1e-6:
                return
            self._sent(sending, at_s)

    def _sent(self, sending, at_s):
        if sending is self.train:
            self.train = None
            mbps = sending.half * 8 / 1e6 / max(at_s - sending.half_s, 1e-6)
            self.way = disturbed(self.way, _ns(at_s + DELAY_S))
            self._observe(Observation(1, _ns(sending.began_s), _ns(at_s + DELAY_S), mbps, train=True), at_s)
            return
        self.queue.pop(0)
        begun_s = self.tail_free_s = max(at_s + DELAY_S, self.tail_free_s)
        self.tail_free_s += self.tail_s
        self.settling.append((begun_s + self.tail_s, sending.frame, self.tail_s))

    def _settle(self, now_s):
        while self.settling and self.settling[0][0] <= now_s:
            settled_s, (number, received_s, done_s, point), tail_s = self.settling.pop(0)
            self.in_flight -= 1
            noisy_ns = _ns(settled_s + abs(self.draw.gauss(0, self.noise_s)))
            outcome = Outcome.LOST if number in self.lost else Outcome.ANSWERED
            frame = EdgeFrame(
                1, number, _ns(received_s), outcome, point, "p1", noisy_ns,
                head_ms=10.0, head_done_ns=_ns(done_s), cut_bytes=self.cut_bytes[point], tail_ms=tail_s * 1e3,
            )  # fmt: skip
            way = self.way
            if self.train is not None:
                way = disturbed(way, noisy_ns)
            self.way, seen = follow(way, frame)
            if seen is not None and point == self.state.point:
                self._observe(seen, now_s)

    def _observe(self, seen, now_s):
        self.observations.append(seen)
        self.state, noticed = observe(self.detection, self.state, seen)
        if noticed is not None:
            self.decisions.append((now_s, noticed))
            self.state = moved(self.state, noticed.point)
            self.rearm_s = now_s + self.repartition_s


def _ns(seconds):
    return round(seconds * 1e9)


def outliers(share, seconds, fps, seed):
    """Return the numbers of frames, a share of all, that take ten times as long."""
    draw = random.Random(seed)
    return [number for number in range(round(seconds * fps)) if draw.random() < share]


def false_alarms(hours):
    """Print the decisions on links that keep their speed, and the trains it took not to make more."""
    print("| mbps | fps | jitter | outliers | decisions | trains an hour |\n| --- | --- | --- | --- | --- | --- |")
    seconds = round(hours * 3600)
    for jitter, share in ((0.1, 0.0), (0.1, 0.02), (0.2, 0.0), (0.3, 0.0)):
        for mbps, point in ((20, FAST), (5, SLOW)):
            for fps in (5, 10, 20):
                slow = outliers(share, seconds, fps, seed=fps)
                edge = SimulatedEdge(jittered(mbps, jitter, seed=fps), fps=fps, point=point, slow=slow)
                made = len(edge.run(seconds))
                print(
                    f"| {mbps} | {fps} | {jitter:.0%} | {share:.0%} | {made} | {edge.trains / hours:.0f} |", flush=True
                )


def delay_s(before, after, sent_bytes, fps, seed):
    """Return how long after the change of a link with 10 % jitter it is noticed."""
    at_s = 5 + random.Random(seed).random()
    start, cuts = (
        (FAST, {FAST: sent_bytes, SLOW: 100_352}) if before > after else (SLOW, {FAST: 602_112, SLOW: sent_bytes})
    )
    rate = jittered(lambda second: before if second < at_s else after, 0.1, seed)
    ((decided_s, _),) = SimulatedEdge(rate, fps=fps, point=start, cut_bytes=cuts).run(15)
    return decided_s - at_s


def delays(repeats=200):
    """Print how soon a change is noticed, by what a frame sends at the cut that is left."""
    print("| from | to | fps | frame | median s | worst s |\n| --- | --- | --- | --- | --- | --- |")
    for before, after, sizes in ((20, 5, (150_528, 602_112)), (5, 20, (4_000, 100_352))):
        for sent_bytes, fps in itertools.product(sizes, (5, 10, 20)):
            took_s = [delay_s(before, after, sent_bytes, fps, seed) for seed in range(repeats)]
            row = f"| {before} | {after} | {fps} | {sent_bytes // 1000} kB |"
            print(f"{row} {median(took_s):.2f} | {max(took_s):.2f} |", flush=True)


def flaps(minutes=5):
    """Print the most repartitions a minute on a link that flaps between 20 and 5 Mbit/s."""
    print("| half a period s | repartitions a minute |\n| --- | --- |")
    for half_s in (0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0):
        made = []
        for sent_bytes, fps in itertools.product((150_528, 602_112), (5, 10, 20)):
            rate = jittered(flapping(half_s), 0.1, seed=fps)
            edge = SimulatedEdge(rate, fps=fps, cut_bytes={FAST: sent_bytes, SLOW: 100_352})
            made.append(len(edge.run(60 * minutes)) / minutes)
        print(f"| {half_s:g} | {max(made):.1f} |", flush=True)


def flapping(half_s):
    """Return a rate that is 20 and 5 Mbit/s in turn, each for so long."""
    return lambda second: (20, 5)[int(second / half_s) % 2]


if __name__ == "__main__":
    false_alarms(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    delays()
    flaps()
