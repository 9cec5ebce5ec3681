"""Random faults under load, with an oracle that tells whether every event came to its right end.

A round is one seed: `plan` draws from it what strikes when, `events` what is published meanwhile, `faults` strikes
and undoes, and after the last fault `oracle` judges what is in MongoDB and on Kafka. What is drawn is the same for
the same seed; how threads and servers interleave is not.
"""
