"""Checks what every region consumed against what producers were told is stored.

The invariants (ARCHITECTURE.md, the rules): every acknowledged message is in every region exactly once, the messages of one producer
are in their order everywhere, and nothing is there that nobody sent.
"""

import collections
import threading


class History:
    """What was sent, and what was acknowledged, by each producer in order. Safe to use from several threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = collections.defaultdict(list)
        self.acknowledged = collections.defaultdict(set)

    def send(self, producer, number):
        with self.lock:
            self.sent[producer].append(number)

    def acknowledge(self, producer, number):
        with self.lock:
            self.acknowledged[producer].add(number)

    def counts(self):
        with self.lock:
            return sum(map(len, self.sent.values())), sum(map(len, self.acknowledged.values()))

    def check(self, region, consumed):
        """`consumed` is a list of (producer, number) in the order in which the region delivers them."""
        with self.lock:
            sent = {p: set(n) for p, n in self.sent.items()}
            acknowledged = {p: set(n) for p, n in self.acknowledged.items()}
        problems = []
        counts = collections.Counter(consumed)
        twice = {message: n for message, n in counts.items() if n > 1}
        if twice:
            problems.append(f"{len(twice)} messages more than once, such as {sorted(twice)[:3]}")
        unknown = [m for m in counts if m[1] not in sent.get(m[0], ())]
        if unknown:
            problems.append(f"{len(unknown)} messages that nobody sent, such as {unknown[:3]}")
        missing = [(p, n) for p, numbers in acknowledged.items() for n in numbers if (p, n) not in counts]
        if missing:
            problems.append(f"{len(missing)} acknowledged messages are missing, such as {sorted(missing)[:3]}")
        by_producer = collections.defaultdict(list)
        for producer, number in consumed:
            by_producer[producer].append(number)
        for producer, numbers in by_producer.items():
            if numbers != sorted(numbers):
                at = next(i for i in range(1, len(numbers)) if numbers[i] < numbers[i - 1])
                problems.append(f"{producer} is out of order: {numbers[max(0, at - 2):at + 3]}")
        assert not problems, f"region {region}: " + "; ".join(problems)
