"""What a strategy did not do as it promises is counted by reason, whichever container it was."""

from report.metrics.shortfalls import Shortfalls, shortfalls
from workers.records import Event, EventKind


def concluded(run, reason, *, ok=True):
    return Event(run, run, EventKind.REPARTITIONED, {"point": 4, "moved": ok, "ok": ok, "reason": reason})


def test_reasons_are_counted_for_all_containers_the_most_frequent_first():
    events = [
        concluded(2, None),
        concluded(3, "p2 took over from p1"),
        concluded(4, "no warm pair: new containers at the change"),
        concluded(5, "no warm pair: new containers at the change"),
        concluded(6, "p31 took over from p30"),
        concluded(7, "no warm pair: new containers at the change"),
    ]
    found = shortfalls(events, None).amiss
    assert list(found.items()) == [("no warm pair: new containers at the change", 3), ("p* took over from p*", 2)]


def test_a_change_that_was_not_served_is_no_shortfall_but_failed():
    assert shortfalls([concluded(2, "no memory", ok=False)], None) == Shortfalls({}, {}, {}, None)


def test_pipelines_that_were_lost_and_work_that_failed_are_counted():
    failed = {"work": "build", "container": "p1", "point": 5, "reason": "edge: no room"}
    events = [
        Event(0, 1, EventKind.WORK_FAILED, failed),
        Event(2, 2, EventKind.WORK_FAILED, failed),
        Event(
            2, 3, EventKind.WORK_FAILED, {"work": "launch", "container": "p2", "point": 0, "reason": "edge: no room"}
        ),
        Event(3, 3, EventKind.CONTAINER_DIED, {"container": "p7", "reason": "cloud: container p7 ended (exit code 1)"}),
    ]
    found = shortfalls(events, "5 (block1_pool): edge: no room")
    assert found.failed == {"build of point 5: edge: no room": 2, "launch: edge: no room": 1}
    assert found.lost == {"cloud: container p* ended (exit code 1)": 1}
    assert found.cold == "5 (block1_pool): edge: no room"
